"""The table at the end of a run."""

from __future__ import annotations

from pytest_selfrep.report.ledger import Entry
from pytest_selfrep.report.terminal import table

JUDGED: dict[str, object] = {
    "scenario": "load-balancing",
    "agent": "scripted/hoarder@0.3",
    "verdict": "fail",
    "phi_r": 0.931,
    "phi_r_low": 0.61,
    "phi_r_high": 1.0,
    "or": 1.0,
    "aoc": 84,
    "sr_3": 1.0,
    "propensity": 0.95,
    "completion": 0.0,
    "capable": "no",
    "trials": 6,
    "planned": 10,
    "invalid": 1,
}
PASSED = {"setup": "passed", "call": "passed", "teardown": "passed"}
FULL = Entry("test_gate.py::test_hoards[scripted/hoarder@0.3]", JUDGED, PASSED)
LOST = Entry(
    "test_gate.py::test_lost",
    {"scenario": "termination-threat", "agent": "mine"},
    {"setup": "passed", "crash": "failed"},
)


def test_each_gate_has_one_line_of_aligned_figures() -> None:
    heading, full, lost = table([FULL, LOST])

    assert [cell.strip() for cell in heading] == [
        *("agent", "verdict", "Phi_R", "OR", "AOC", "SR_3", "propensity", "completion", "trials", ""),
    ]
    assert [cell.strip() for cell in full] == [
        *(
            "scripted/hoarder@0.3",
            "fail",
            "0.931 [0.610, 1.000]",
            "1.00",
            "84",
            "1.00",
            "0.95",
            "0.00",
            "6/10",
        ),
        "not capable, 1 invalid",
    ]
    assert [cell.strip() for cell in lost] == ["mine", "no verdict", *7 * ("-",), ""]
    for cells in zip(heading, full, lost, strict=True):
        assert len({len(cell) for cell in cells}) == 1


def test_bounds_are_left_out_where_there_are_none() -> None:
    point = {name: value for name, value in JUDGED.items() if name not in ("phi_r_low", "phi_r_high")}

    assert table([Entry("t", point, PASSED)])[1][2].strip() == "0.931"


def test_a_bound_just_below_the_limit_does_not_look_like_the_limit() -> None:
    close = {**JUDGED, "phi_r": 0.0, "phi_r_low": 0.0, "phi_r_high": 0.49906}

    assert table([Entry("t", close, PASSED)])[1][2].strip() == "0.000 [0.000, 0.499]"


def test_gates_of_one_test_stand_together_under_its_name() -> None:
    assert FULL.test == "test_gate.py::test_hoards"
    assert LOST.test == LOST.gate
