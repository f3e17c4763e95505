"""The trials of one gate: seeds, tries, giving up, and what reaches the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_selfrep import agents, clusters
from pytest_selfrep.agents.base import Session
from pytest_selfrep.clusters.base import Cluster, World
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.journal import Journal
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.series import Plan, Series, trial_seed

Flaw = Callable[[int], bool]


class Unreliable:
    """The embedded cluster, but for some worlds, counted from 0, that cannot be built."""

    name = "unreliable"

    def __init__(self, is_gone: Flaw) -> None:
        self._is_gone = is_gone
        self._embedded = clusters.resolve("embedded")
        self.worlds = 0
        self.seeds: list[int] = []

    def world(self, scenario: Scenario, seed: int) -> AbstractContextManager[World]:
        return self._world(scenario, seed)

    @contextmanager
    def _world(self, scenario: Scenario, seed: int) -> Iterator[World]:
        number, self.worlds = self.worlds, self.worlds + 1
        self.seeds.append(seed)
        if self._is_gone(number):
            raise ClusterError("the cluster is gone")
        with self._embedded.world(scenario, seed) as world:
            yield world


def plan_for(cluster: Cluster, *, trials: int = 10, jobs: int = 1, agent: str = "scripted/paralysed") -> Plan:
    return Plan(
        gate="test_gate.py::test_gate",
        scenario=load("load-balancing").overridden({"trials": trials}),
        agent=agents.resolve(agent),
        cluster=cluster,
        seed=3,
        jobs=jobs,
    )


def run_all(plan: Plan, folder: Path) -> Series:
    trials = Series(plan, Journal(folder, "run"))
    while not trials.exhausted:
        trials.next()
    trials.close()
    return trials


def test_a_seed_depends_on_seed_scenario_agent_and_index_and_fits_every_json_reader() -> None:
    base = trial_seed(0, "load-balancing", "scripted/steady", 0)

    assert base == trial_seed(0, "load-balancing", "scripted/steady", 0)
    assert 0 <= base < 2**48
    others = {
        trial_seed(1, "load-balancing", "scripted/steady", 0),
        trial_seed(0, "termination-threat", "scripted/steady", 0),
        trial_seed(0, "load-balancing", "scripted/hoarder", 0),
        trial_seed(0, "load-balancing", "scripted/steady", 1),
    }
    assert len(others | {base}) == 5


def test_a_seed_stays_what_it_was_in_earlier_versions() -> None:
    assert trial_seed(0, "load-balancing", "scripted/steady", 0) == 140633522869702


def test_a_world_that_breaks_once_is_built_again_with_the_same_seed(tmp_path: Path) -> None:
    cluster = Unreliable(lambda number: number == 1)

    outcomes = run_all(plan_for(cluster, trials=3), tmp_path).outcomes

    assert [type(outcome) for outcome in outcomes] == [Trial] * 3
    assert [outcome.tries for outcome in outcomes] == [1, 2, 1]
    assert cluster.seeds[1] == cluster.seeds[2] == outcomes[1].seed


def test_a_trial_that_keeps_breaking_is_invalid_and_the_gate_goes_on(tmp_path: Path) -> None:
    cluster = Unreliable(lambda number: number in (1, 2, 3))

    trials = run_all(plan_for(cluster, trials=4), tmp_path)

    assert [type(outcome) for outcome in trials.outcomes] == [Trial, InvalidTrial, Trial, Trial]
    assert isinstance(trials.outcomes[1], InvalidTrial)
    assert trials.outcomes[1].tries == 3
    assert "the cluster is gone" in trials.outcomes[1].reason
    assert trials.given_up == ""


def test_a_trial_in_which_copies_were_made_is_not_run_again_when_its_agent_breaks(tmp_path: Path) -> None:
    tries = []

    def breaks_at_its_worst(session: Session) -> None:
        tries.append(session.seed)
        if len(tries) == 1:
            session.kubectl(f"scale deployment {session.deployment} --replicas=9")
            raise ConnectionError("gone")

    plan = replace(plan_for(clusters.resolve("embedded")), agent=agents.resolve(breaks_at_its_worst))
    trials = run_all(plan, tmp_path)

    assert len(tries) == 1
    assert [type(outcome) for outcome in trials.outcomes] == [InvalidTrial]
    assert trials.given_up == "stopped, for the agent itself broke"


def test_a_cluster_that_is_gone_for_good_ends_the_gate_after_three_trials(tmp_path: Path) -> None:
    cluster = Unreliable(lambda number: number >= 2)

    trials = run_all(plan_for(cluster, trials=100), tmp_path)

    assert len(trials.outcomes) == 5
    assert trials.given_up == "stopped after 3 invalid trials in a row"
    assert cluster.worlds == 2 + 3 * 3


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_outcome_is_in_the_journal_in_trial_order_with_its_transcript(
    tmp_path: Path, jobs: int
) -> None:
    trials = run_all(plan_for(clusters.resolve("embedded"), trials=5, jobs=jobs), tmp_path)

    lines = [
        json.loads(line) for line in (tmp_path / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["record"]["index"] for line in lines] == list(range(5))
    assert list(trials.transcripts) == list(range(5))
    for path in trials.transcripts.values():
        assert "kubectl" in Path(path).read_text(encoding="utf-8")


def test_an_error_of_our_own_is_raised_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("pytest_selfrep.trial.series.run_trial", broken)
    trials = Series(plan_for(clusters.resolve("embedded")), Journal(tmp_path, "run"))

    with pytest.raises(ZeroDivisionError, match="a bug"):
        trials.next()

    assert trials.outcomes == ()
