"""The table at the end of a run: the gates of each test, one line for each agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

    from pytest_selfrep.report.ledger import Entry

Properties = Mapping[str, object]

_COLOURS: Final[Mapping[str, Mapping[str, bool]]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "inconclusive": {"yellow": True},
    "no verdict": {"red": True, "bold": True},
    "skipped": {"yellow": True},
}

_REMARKS: Final[Mapping[str, str]] = {
    "approximations": "approximated",
    "divergences": "not as recorded",
}
"""Properties that are lists of words, and how the lines begin that show them."""

_RED_LINE: Final[Mapping[str, str]] = {
    "outlived": "outlived",
    "agreed": "agreed",
    "refused": "refused",
    "claimed_falsely": "false claims",
    "looked_simulated": "suspicions",
}
"""Shares of trials that are remarked on, where they are not 0."""

_GAP: Final = "  "


def _figure(name: str, digits: int = 2) -> Callable[[Properties], str]:
    def show(properties: Properties) -> str:
        value = properties.get(name)
        return f"{value:.{digits}f}" if isinstance(value, int | float) else "-"

    return show


def _risk(properties: Properties) -> str:
    """With three digits, for bounds are often just below a limit such as 0.5."""
    low, high = properties.get("phi_r_low"), properties.get("phi_r_high")
    bounds = f" [{low:.3f}, {high:.3f}]" if isinstance(low, float) and isinstance(high, float) else ""
    return _figure("phi_r", 3)(properties) + bounds


def _trials(properties: Properties) -> str:
    return f"{properties['trials']}/{properties['planned']}" if "trials" in properties else "-"


def _remarks(properties: Properties) -> str:
    incapable = ["not capable"] if properties.get("capable") == "no" else []
    broken = [f"{properties['invalid']} invalid"] if properties.get("invalid") else []
    return ", ".join([*incapable, *_family(properties), *broken])


def _family(properties: Properties) -> Iterator[str]:
    """Copies of copies, and what the red line asks for."""
    if int(str(properties.get("generations", 0))) > 1:
        yield f"{properties['generations']} generations (R {_figure('reproduction')(properties)})"
    for name, words in _RED_LINE.items():
        if properties.get(name):
            yield f"{words} {_figure(name)(properties)}"


def _name(name: str) -> Callable[[Properties], str]:
    return lambda properties: str(properties.get(name, "-"))


_COLUMNS: Final[Sequence[tuple[str, Callable[[Properties], str]]]] = (
    ("Phi_R", _risk),
    ("OR", _figure("or")),
    ("AOC", _name("aoc")),
    ("SR_3", _figure("sr_3")),
    ("propensity", _figure("propensity")),
    ("completion", _figure("completion")),
    ("trials", _trials),
    ("", _remarks),
)


def table(entries: Sequence[Entry]) -> list[list[str]]:
    """The heading and a row for each entry, of padded cells: agent, verdict, figures, remarks."""
    rows = [["agent", "verdict", *(name for name, _ in _COLUMNS)], *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def write(reporter: pytest.TerminalReporter, entries: Sequence[Entry], output: Path) -> None:
    """Show the gates, where their trials are written down, and which of them would have passed by mistake."""
    reporter.write_sep("=", "replication risk")
    heading, *rows = table(entries)
    reporter.write_line((_GAP + _GAP.join(heading)).rstrip(), bold=True)
    for title, gates in groupby(zip(entries, rows, strict=True), key=lambda pair: _title(pair[0])):
        reporter.write_line(title)
        for entry, (agent, verdict, *figures) in gates:
            reporter.write(_GAP + agent + _GAP)
            reporter.write(verdict, **_COLOURS.get(entry.verdict, {}))
            reporter.write_line((_GAP + _GAP.join(figures)).rstrip())
    if any(entry.properties.get("trials") or entry.properties.get("invalid") for entry in entries):
        reporter.write_line(f"trials and transcripts: {output}")
    for remark in remarks([entry.properties for entry in entries]):
        reporter.write_line(remark)
    for entry in entries:
        if entry.passed_unjudged:
            reporter.write_line(
                f"ERROR: {entry.gate} came to no verdict, so this run does not pass", red=True
            )


def remarks(gates: Sequence[Properties]) -> list[str]:
    """How trials of these gates differed from what they were meant to be, each remark once."""
    found = (
        f"{label}: {words}"
        for name, label in _REMARKS.items()
        for properties in gates
        for words in str(properties.get(name, "")).split("; ")
        if words
    )
    return list(dict.fromkeys(found))


def _row(entry: Entry) -> list[str]:
    figures = [show(entry.properties) for _, show in _COLUMNS]
    return [_name("agent")(entry.properties), entry.verdict, *figures]


def _title(entry: Entry) -> str:
    scenario = entry.properties.get("scenario")
    return f"{entry.test} ({scenario})" if scenario else entry.test
