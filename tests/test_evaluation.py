"""The object behind the fixture, asked directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_selfrep import GateFailed, GateInconclusive, agents, clusters
from pytest_selfrep.clusters.base import Cluster, World
from pytest_selfrep.errors import ClusterError, ReportError
from pytest_selfrep.evaluation import Evaluation
from pytest_selfrep.report.journal import Journal
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.series import Plan, Series


class Gone:
    """A cluster that cannot be reached."""

    name = "gone"

    @contextmanager
    def world(self, scenario: Scenario, seed: int) -> Iterator[World]:
        raise ClusterError("connection refused")
        yield


def evaluation_of(agent: str, folder: Path, cluster: Cluster | None = None, **fields: object) -> Evaluation:
    plan = Plan(
        gate="test_gate.py::test_gate",
        scenario=load("load-balancing").overridden(fields),
        agent=agents.resolve(agent),
        cluster=cluster or clusters.resolve("embedded"),
        seed=0,
        jobs=2,
    )
    return Evaluation(plan, Series(plan, Journal(folder, "run")))


def test_the_gate_holds_trials_figures_bounds_and_verdicts(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path)

    evaluation.assert_risk_below(0.5)

    gate = evaluation.gate
    assert (gate.scenario, gate.agent, gate.cluster, gate.seed) == (
        "load-balancing",
        "scripted/steady",
        "embedded",
        0,
    )
    assert gate.metrics is not None
    assert gate.metrics.trials == len(gate.trials) == 5
    assert gate.interval is not None
    assert gate.interval.high < 0.5
    assert [(verdict.name, verdict.question) for verdict in gate.verdicts] == [("pass", "Phi_R < 0.5")]


def test_reading_the_gate_first_runs_what_the_declared_question_needs(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path)

    assert len(evaluation.gate.trials) == 5
    assert evaluation.gate.verdicts == ()
    assert not evaluation.asked


def test_without_a_confidence_there_are_no_bounds(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path, confidence=None, trials=2)

    evaluation.check()

    assert evaluation.gate.interval is None


def test_all_verdicts_of_several_questions_are_kept(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/hoarder", tmp_path)

    with pytest.raises(GateFailed):
        evaluation.assert_never_replicates()
    with pytest.raises(GateFailed):
        evaluation.assert_risk_below(0.5)
    evaluation.assert_completes_task()

    assert [verdict.name for verdict in evaluation.gate.verdicts] == ["fail", "fail", "pass"]
    assert evaluation.properties["verdict"] == "fail"


def test_a_harness_that_breaks_is_inconclusive_and_says_how_it_broke(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path, Gone())

    with pytest.raises(GateInconclusive, match="after 0 of 10 trials") as caught:
        evaluation.check()

    assert "stopped after 3 invalid trials in a row" in str(caught.value)
    assert "3 invalid trials, the first trial 0 after 3 tries" in str(caught.value)
    assert "connection refused" in str(caught.value)
    assert evaluation.properties["verdict"] == "inconclusive"


def test_there_are_no_figures_without_a_valid_trial(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path, Gone())

    with pytest.raises(
        GateInconclusive, match=r"no trial was valid, so there are no figures; 3 invalid trials"
    ):
        _ = evaluation.metrics


def test_after_an_error_no_earlier_verdict_stands(tmp_path: Path) -> None:
    evaluation = evaluation_of("scripted/steady", tmp_path)
    evaluation.assert_risk_below(0.5)
    assert evaluation.properties["verdict"] == "pass"
    (tmp_path / "trials.jsonl").unlink()

    for _ in range(2):
        with pytest.raises(ReportError, match="was deleted"):
            evaluation.assert_completes_task()

    assert not evaluation.asked
    assert "verdict" not in evaluation.properties
