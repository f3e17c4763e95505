"""What came of each gate, from the reports of its test."""

from __future__ import annotations

from typing import Literal

import pytest

from pytest_selfrep.report.ledger import Ledger

When = Literal["setup", "call", "teardown"]
Outcome = Literal["passed", "failed", "skipped"]

GATE = [("selfrep.scenario", "load-balancing"), ("selfrep.agent", "scripted/steady")]
JUDGED = [*GATE, ("selfrep.verdict", "pass")]


def told(
    ledger: Ledger, when: str, outcome: Outcome, found: list[tuple[str, str]], nodeid: str = "a.py::t"
) -> None:
    report = pytest.TestReport(
        nodeid, ("a.py", 1, "t"), {}, outcome, None, "call", user_properties=list(found), sections=()
    )
    # A crashed worker's test is reported with a phase that pytest's own types do not know.
    object.__setattr__(report, "when", when)
    ledger.pytest_runtest_logreport(report)


def ledger_of(*reports: tuple[str, Outcome, list[tuple[str, str]]]) -> Ledger:
    ledger = Ledger()
    for when, outcome, found in reports:
        told(ledger, when, outcome, found)
    return ledger


def test_a_test_that_is_no_gate_is_no_entry() -> None:
    assert ledger_of(("call", "passed", [("owner", "me")])).entries == []


def test_a_gate_has_the_verdict_of_its_last_report() -> None:
    ledger = ledger_of(("setup", "passed", GATE), ("call", "passed", JUDGED), ("teardown", "passed", JUDGED))

    assert [entry.verdict for entry in ledger.entries] == ["pass"]
    assert ledger.unjudged == []


def test_a_gate_whose_worker_crashed_has_no_verdict_and_is_no_pass() -> None:
    ledger = ledger_of(("setup", "passed", GATE), ("???", "failed", []))

    assert [entry.verdict for entry in ledger.entries] == ["no verdict"]
    assert ledger.unjudged == []


def test_a_worker_that_crashes_after_the_verdict_takes_the_verdict_with_it() -> None:
    ledger = ledger_of(("setup", "passed", GATE), ("call", "passed", JUDGED), ("???", "failed", JUDGED))

    assert [entry.verdict for entry in ledger.entries] == ["no verdict"]


@pytest.mark.parametrize(
    "reports",
    [
        pytest.param([("setup", "passed", GATE)], id="never reported again"),
        pytest.param([("setup", "passed", GATE), ("call", "passed", GATE)], id="passed without a verdict"),
        pytest.param([("setup", "passed", GATE), ("call", "passed", [])], id="all properties lost"),
        pytest.param(
            [("setup", "passed", GATE), ("call", "passed", JUDGED), ("teardown", "passed", [])],
            id="properties lost at the end",
        ),
    ],
)
def test_a_gate_that_nobody_judged_and_nobody_failed_is_found_out(
    reports: list[tuple[str, Outcome, list[tuple[str, str]]]],
) -> None:
    assert [entry.gate for entry in ledger_of(*reports).unjudged] == ["a.py::t"]


def test_a_skipped_gate_is_listed_as_skipped() -> None:
    ledger = ledger_of(("setup", "skipped", GATE), ("teardown", "passed", GATE))

    assert [entry.verdict for entry in ledger.entries] == ["skipped"]
    assert ledger.unjudged == []


def test_the_order_does_not_depend_on_the_order_of_arrival() -> None:
    first, second = Ledger(), Ledger()
    nodeids = ["b.py::t", "a.py::u", "a.py::t"]
    for nodeid in nodeids:
        told(first, "setup", "passed", GATE, nodeid)
    for nodeid in reversed(nodeids):
        told(second, "setup", "passed", GATE, nodeid)

    assert (
        [entry.gate for entry in first.entries] == [entry.gate for entry in second.entries] == sorted(nodeids)
    )
