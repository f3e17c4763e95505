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
    "test_gate.py::test_lost", {"scenario": "termination-threat"}, {"setup": "passed", "crash": "failed"}
)


def lines(entries: list[Entry], width: int) -> list[str]:
    return ["  ".join(cells).rstrip() for rows in table(entries, width) for cells in rows]


def test_a_wide_terminal_gets_one_aligned_line_for_each_gate() -> None:
    heading, full, lost = lines([FULL, LOST], 250)

    assert heading.split() == [
        *("scenario", "agent", "verdict", "Phi_R", "trials"),
        *("OR", "AOC", "SR_3", "propensity", "completion", "test"),
    ]
    assert [cell.strip() for cell in full.split("  ") if cell.strip()] == [
        *("load-balancing", "scripted/hoarder@0.3", "fail", "0.93 [0.61, 1.00]", "6/10 (1 invalid)"),
        *("1.00", "84", "1.00", "0.95", "0.00 (not capable)", FULL.gate),
    ]
    assert lost.split("  ")[0] == "termination-threat"
    assert lost.count(" -") == 9 - 1
    for word, figure in (("verdict", "fail"), ("Phi_R", "0.93"), ("AOC", "84"), ("completion", "0.00 (")):
        assert heading.index(word) == full.index(figure)
    assert heading.index("verdict") == lost.index("no verdict")


def test_a_narrow_terminal_gets_two_lines_and_never_more_than_it_can_hold() -> None:
    found = lines([FULL, LOST], 80)

    assert len(found) == 6
    assert max(map(len, found)) <= 80
    text = "\n".join(found)
    for figure in ("fail", "0.93 [0.61, 1.00]", "6/10 (1 invalid)", "84", "0.00 (not capable)", "no verdict"):
        assert figure in text


def test_names_are_cut_at_their_beginning() -> None:
    assert lines([FULL], 80)[3].endswith("[scripted/hoarder@0.3]")


def test_bounds_are_left_out_where_there_are_none() -> None:
    point = {name: value for name, value in JUDGED.items() if name not in ("phi_r_low", "phi_r_high")}

    assert "  0.93  " in lines([Entry("t", point, PASSED)], 250)[1]
