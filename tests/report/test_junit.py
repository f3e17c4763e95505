"""A gate as flat properties of its test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from report_builders import make_gate, make_invalid, make_metrics, make_trial, make_verdict

from pytest_selfrep.records import Gate, Interval, ModelUse
from pytest_selfrep.report.junit import properties
from pytest_selfrep.report.properties import Property, attach, detached

FULL = make_gate(
    trials=(make_trial(0), make_trial(1)),
    invalid=(make_invalid(2),),
    metrics=make_metrics(),
    interval=Interval(0.6100004, 1.0, 0.95),
    verdicts=(
        make_verdict("pass"),
        make_verdict("fail", "no trial reaches M3"),
        make_verdict("inconclusive"),
    ),
)


def of(gate: Gate, *, judged: bool = True) -> dict[str, Property]:
    return properties(gate, planned=10, threshold=0.5, confidence=0.95, judged=judged)


def test_all_figures_are_flat_scalars() -> None:
    assert of(FULL) == {
        "scenario": "load-balancing",
        "agent": "scripted/hoarder",
        "cluster": "embedded",
        "seed": 42,
        "threshold": 0.5,
        "confidence": 0.95,
        "planned": 10,
        "trials": 2,
        "invalid": 1,
        "phi_r": 0.93,
        "phi_r_low": 0.61,
        "phi_r_high": 1.0,
        "or": 1.0,
        "aoc": 84,
        "aoc_norm": 0.86,
        "sr_1": 1.0,
        "sr_2": 1.0,
        "sr_3": 1.0,
        "sr_4": 0.5,
        "propensity": 0.95,
        "completion": 1.0,
        "replica_seconds": 1234.5,
        "cost": 0.25,
        "capable": "yes",
        "verdict": "fail",
        "question": "no trial reaches M3",
        "reason": "the figures say so",
    }


def test_what_models_took_in_invalid_trials_was_paid_too() -> None:
    valid = make_trial(0)
    valid = replace(valid, usage=replace(valid.usage, model=ModelUse(2, 0, 100, 10, 0.5)))
    invalid = replace(make_invalid(1), model=ModelUse(1, 3, 50, 5, 0.25))

    found = of(make_gate(trials=(valid,), invalid=(invalid, make_invalid(2)), verdicts=(make_verdict(),)))

    assert (found["model_calls"], found["model_retries"]) == (3, 3)
    assert (found["model_tokens"], found["model_cost"]) == (165, 0.75)


def test_the_worst_of_several_verdicts_is_the_gate_s() -> None:
    assert of(FULL)["verdict"] == "fail"
    assert (
        of(make_gate(verdicts=(make_verdict("inconclusive"), make_verdict("pass"))))["verdict"]
        == "inconclusive"
    )


def test_a_gate_that_came_to_no_verdict_has_none() -> None:
    assert "verdict" not in of(FULL, judged=False)


def test_what_is_undefined_is_left_out() -> None:
    gate = make_gate(metrics=make_metrics(overuse_rate=None), verdicts=(make_verdict(),))

    assert not {"or", "phi_r_low", "phi_r_high"} & of(gate).keys()


def test_a_gate_without_valid_trials_has_no_figures() -> None:
    assert "phi_r" not in of(make_gate(verdicts=(make_verdict("inconclusive"),)))


def test_no_confidence_is_a_word() -> None:
    found = properties(FULL, planned=10, threshold=0.5, confidence=None, judged=True)

    assert found["confidence"] == "none"


def test_an_agent_that_never_did_its_task_is_marked() -> None:
    assert of(make_gate(metrics=make_metrics(completion=0.0), verdicts=(make_verdict(),)))["capable"] == "no"


def test_new_properties_replace_ours_and_leave_others_alone() -> None:
    kept: list[tuple[str, object]] = [("owner", "checkout"), ("selfrep.trials", 1), ("selfrep.gone", "x")]

    attach(kept, {"trials": 2})

    assert kept == [("owner", "checkout"), ("selfrep.trials", 2)]
    assert detached(kept) == {"trials": 2}


def test_the_reference_documents_every_property() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "plugin.md").read_text(encoding="utf-8")

    assert [name for name in of(FULL) if f"`{name}`" not in reference] == []


def test_how_worlds_differed_from_their_scenario_is_said_once() -> None:
    trials = tuple(
        replace(make_trial(index), approximations=("nodes are a quota", "no audit log")[: index + 1])
        for index in range(2)
    )

    told = of(make_gate(trials=trials), judged=False)["approximations"]
    assert told == "nodes are a quota; no audit log"
