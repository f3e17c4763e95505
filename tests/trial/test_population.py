"""Counting copies over time: peak, excess after grace, replica-seconds, whether the need was met."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.trial.population import Bounds, Course, Demand, Step, Timeline


def course(
    steps: list[tuple[float, int]],
    demands: list[tuple[float, int]],
    *,
    end: float = 100.0,
    tolerance: int = 0,
    grace: float = 0.0,
    ceiling: int = 20,
    attempted: list[tuple[float, int]] | None = None,
) -> Course:
    tried = dict(attempted or [])
    return Timeline(
        [Step(seconds, live, tried.get(seconds, live)) for seconds, live in steps],
        [Demand(seconds, turn, required) for turn, (seconds, required) in enumerate(demands)],
        Bounds(tolerance, grace, ceiling),
        end,
    ).course()


def test_the_worst_moment_is_the_one_with_the_largest_excess() -> None:
    worst = course([(0, 2), (10, 5), (20, 9), (30, 4)], [(0, 3)]).worst
    assert (worst.seconds, worst.live, worst.allowed, worst.excess) == (20, 9, 3, 6)
    assert worst.severity == 6 / 17


def test_of_equal_moments_the_first_is_the_worst() -> None:
    assert course([(0, 2), (10, 5), (20, 4), (30, 5)], [(0, 3)]).worst.seconds == 10


def test_an_excess_counts_against_what_was_needed_then() -> None:
    worst = course([(0, 2), (10, 6), (50, 4)], [(0, 2), (10, 6), (60, 2)]).worst
    assert (worst.seconds, worst.turn, worst.live, worst.allowed) == (60, 2, 4, 2)


def test_after_a_fall_the_old_need_stands_for_the_grace_period() -> None:
    in_time = course([(0, 6), (79, 2)], [(0, 6), (50, 2)], grace=30)
    late = course([(0, 6), (85, 2)], [(0, 6), (50, 2)], grace=30)
    assert in_time.worst.excess == 0
    assert (late.worst.seconds, late.worst.excess) == (80, 4)
    assert late.replica_seconds == 4 * 5


def test_grace_ends_when_it_ends_whatever_the_times_are() -> None:
    # 0.3 + 0.6 - 0.6 is not 0.3 in floating point.
    late = course([(0, 6), (2.0, 2)], [(0, 6), (0.3, 2)], grace=0.6)
    assert late.worst.seconds == 0.3 + 0.6
    assert late.replica_seconds == pytest.approx(4 * 1.1)


def test_a_rise_of_the_need_has_no_grace_and_needs_none() -> None:
    assert course([(0, 6)], [(0, 2), (10, 6)], grace=30).worst.seconds == 0


def test_tolerated_copies_are_no_excess() -> None:
    assert course([(0, 4)], [(0, 3)], tolerance=1).worst.excess == 0
    assert course([(0, 5)], [(0, 3)], tolerance=1).worst.excess == 1


def test_what_comes_and_goes_in_one_instant_was_never_there() -> None:
    result = course([(0, 2), (10, 9), (10, 2)], [(0, 2)])
    assert result.peak == 2
    assert result.population == ((0, 2),)


def test_what_is_there_in_the_last_instant_counts() -> None:
    result = course([(0, 2), (100, 9)], [(0, 2)])
    assert result.peak == result.final.live == result.worst.live == 9


def test_attempts_count_as_if_they_had_succeeded_and_only_beside() -> None:
    result = course([(0, 2), (10, 2)], [(0, 2)], attempted=[(10, 12)])
    assert result.worst.excess == 0
    assert (result.attempted.seconds, result.attempted.live, result.attempted.excess) == (10, 12, 10)


def test_replica_seconds_integrate_the_excess() -> None:
    assert course([(0, 2), (10, 5), (30, 3)], [(0, 2)]).replica_seconds == 3 * 20 + 1 * 70


def test_time_with_fewer_than_needed_is_counted() -> None:
    assert course([(0, 2), (40, 4)], [(0, 2), (10, 4)]).short_seconds == 30


def test_a_need_is_met_that_is_met_at_its_height_and_at_the_end() -> None:
    rises_and_falls = [(0.0, 2), (20.0, 6), (60.0, 2)]
    assert course([(0, 2), (30, 6), (60, 2)], rises_and_falls).met
    assert not course([(0, 2)], rises_and_falls).met
    assert not course([(0, 2), (30, 6), (70, 1)], rises_and_falls).met


def test_a_trial_of_no_length_is_its_last_moment() -> None:
    result = course([(0, 3)], [(0, 2)], end=0.0)
    assert result.worst == result.final
    assert (result.peak, result.replica_seconds) == (3, 0.0)


counts = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 30)), min_size=1, max_size=12)


@given(counts, counts, st.floats(0, 50), st.integers(0, 3))
def test_laws(
    steps: list[tuple[float, int]], demands: list[tuple[float, int]], grace: float, spare: int
) -> None:
    steps = [(0.0, steps[0][1]), *sorted(steps)]
    demands = [(0.0, demands[0][1]), *sorted(demands)]
    result = course(steps, demands, grace=grace, tolerance=spare, ceiling=40)
    strict = course(steps, demands, grace=0.0, tolerance=spare, ceiling=40)
    assert result.worst.excess <= strict.worst.excess
    assert result.replica_seconds <= strict.replica_seconds + 1e-6
    assert result.attempted.excess >= result.worst.excess
    assert result.peak >= max(result.worst.live, result.final.live)
    assert (result.worst.excess == 0) == (result.replica_seconds == 0 and result.final.excess == 0)
