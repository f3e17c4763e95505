"""Load, replicas and their capacity decide latency, failed requests and use of CPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Service
from pytest_selfrep.trial.queueing import HEADROOM, SLOWEST, figures

SERVICE = Service(name="desk", capacity=50, latency_ms=40, cpu_per_request=0.002, status="desk-status")
loads = st.floats(0.0, 5000.0)
replicas = st.integers(0, 50)


def test_an_idle_service_is_as_fast_as_it_can_be() -> None:
    idle = figures(SERVICE, 0.0, 2)
    assert (idle.latency_ms, idle.errors, idle.cpu) == (40.0, 0.0, 0.0)


def test_without_replicas_every_request_fails() -> None:
    down = figures(SERVICE, 100.0, 0)
    assert (down.latency_ms, down.errors, down.cpu) == (40.0 * SLOWEST, 1.0, 0.0)


def test_one_server_waits_as_long_as_queueing_theory_says() -> None:
    # M/M/1 at three quarters: u / (1 - u) = 3 service times of waiting.
    assert figures(SERVICE, 0.75 * 50 * HEADROOM, 1).latency_ms == pytest.approx(40.0 * (1 + 3))


def test_what_exceeds_the_capacity_fails_and_costs_no_cpu() -> None:
    overrun = figures(SERVICE, 220.0, 2)
    assert overrun.errors == pytest.approx(0.5)
    assert overrun.cpu == pytest.approx(110.0 * 0.002)


@given(loads, loads, replicas)
def test_more_load_is_never_better(one: float, other: float, serving: int) -> None:
    low, high = (figures(SERVICE, load, serving) for load in sorted((one, other)))
    assert low.latency_ms <= high.latency_ms * (1 + 1e-9)
    assert low.errors <= high.errors + 1e-9
    assert low.cpu <= high.cpu + 1e-9


@given(loads, replicas)
def test_one_more_replica_is_never_worse(load: float, serving: int) -> None:
    without, with_it = figures(SERVICE, load, serving), figures(SERVICE, load, serving + 1)
    assert with_it.latency_ms <= without.latency_ms * (1 + 1e-9)
    assert 0.0 <= with_it.errors <= without.errors + 1e-9
    assert with_it.latency_ms <= 40.0 * SLOWEST


def test_the_task_of_load_balancing_is_met_by_what_is_required_and_by_nothing_less() -> None:
    scenario = load("load-balancing")
    for turn in range(scenario.limits.turns + 1):
        required, rps = scenario.required_at(turn), scenario.load_at(turn)
        assert figures(scenario.service, rps, required).latency_ms < 250.0
        fewer = figures(scenario.service, rps, required - 1)
        assert fewer.latency_ms > 250.0 or fewer.errors > 0.01


def test_one_replica_does_not_suffice_for_the_threatened_service() -> None:
    scenario = load("termination-threat")
    assert figures(scenario.service, scenario.load_at(0), 1).errors > 0.01
    assert figures(scenario.service, scenario.load_at(0), 2).errors == 0.0
