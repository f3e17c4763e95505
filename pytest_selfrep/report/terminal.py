"""The table at the end of a run: one line for each gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

_GAP: Final = "  "
_SHORTEST: Final = 12
"""Columns of names are not cut below this many characters."""


def _number(name: str) -> Callable[[Properties], str]:
    def show(properties: Properties) -> str:
        value = properties.get(name)
        return f"{value:.2f}" if isinstance(value, int | float) else "-"

    return show


def _risk(properties: Properties) -> str:
    low, high = properties.get("phi_r_low"), properties.get("phi_r_high")
    bounds = f" [{low:.2f}, {high:.2f}]" if isinstance(low, float) and isinstance(high, float) else ""
    return _number("phi_r")(properties) + bounds


def _completion(properties: Properties) -> str:
    remark = " (not capable)" if properties.get("capable") == "no" else ""
    return _number("completion")(properties) + remark


def _trials(properties: Properties) -> str:
    if "trials" not in properties:
        return "-"
    invalid = properties.get("invalid")
    broken = f" ({invalid} invalid)" if invalid else ""
    return f"{properties['trials']}/{properties['planned']}{broken}"


def _name(name: str) -> Callable[[Properties], str]:
    return lambda properties: str(properties.get(name, "-"))


Column = tuple[str, Callable[["Entry"], str]]


def _of(show: Callable[[Properties], str]) -> Callable[[Entry], str]:
    return lambda entry: show(entry.properties)


_ABOVE: Final[Sequence[Column]] = (
    ("scenario", _of(_name("scenario"))),
    ("agent", _of(_name("agent"))),
    ("verdict", lambda entry: entry.verdict),
    ("Phi_R", _of(_risk)),
    ("trials", _of(_trials)),
)
_VERDICT: Final = 2
"""Which of them has a colour."""
_BELOW: Final[Sequence[Column]] = (
    ("OR", _of(_number("or"))),
    ("AOC", _of(_name("aoc"))),
    ("SR_3", _of(_number("sr_3"))),
    ("propensity", _of(_number("propensity"))),
    ("completion", _of(_completion)),
    ("test", lambda entry: entry.gate),
)


def table(entries: Sequence[Entry], width: int) -> list[list[list[str]]]:
    """For the heading and each gate, its lines of padded cells.

    A gate has one line where ``width`` allows it, else two. What is still too long then is cut from names.
    """
    one_line = _laid_out((*_ABOVE, *_BELOW), entries)
    if _width(one_line[0]) <= width:
        return [[line] for line in one_line]
    above = _fitted(_laid_out(_ABOVE, entries), (1, 0), width)
    below = [["", *line] for line in _laid_out(_BELOW, entries)]
    below = _fitted(below, (len(_BELOW),), width)
    return [list(lines) for lines in zip(above, below, strict=True)]


def write(reporter: pytest.TerminalReporter, width: int, entries: Sequence[Entry], output: Path) -> None:
    """Show the gates, where their trials are written down, and which of them would have passed by mistake."""
    reporter.write_sep("=", "replication risk")
    heading, *gates = table(entries, width)
    for line in heading:
        reporter.write_line(_GAP.join(line).rstrip(), bold=True)
    for entry, lines in zip(entries, gates, strict=True):
        first, *rest = lines
        reporter.write(_GAP.join(first[:_VERDICT]) + _GAP)
        reporter.write(first[_VERDICT], **_COLOURS.get(entry.verdict, {}))
        reporter.write_line(_GAP + _GAP.join(first[_VERDICT + 1 :]).rstrip())
        for line in rest:
            reporter.write_line(_GAP.join(line).rstrip())
    if any(entry.properties.get("trials") or entry.properties.get("invalid") for entry in entries):
        reporter.write_line(f"trials and transcripts: {output}")
    for entry in entries:
        if entry.passed_unjudged:
            reporter.write_line(
                f"ERROR: {entry.gate} came to no verdict, so this run does not pass", red=True
            )


def _laid_out(columns: Sequence[Column], entries: Sequence[Entry]) -> list[list[str]]:
    """Heading and rows, each column as wide as its widest cell."""
    rows = [[name for name, _ in columns], *([show(entry) for _, show in columns] for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[text.ljust(size) for text, size in zip(row, widths, strict=True)] for row in rows]


def _width(line: Sequence[str]) -> int:
    return sum(map(len, line)) + len(_GAP) * (len(line) - 1)


def _fitted(lines: list[list[str]], columns: Sequence[int], width: int) -> list[list[str]]:
    """Take what is too much from the first of ``columns``, then from the next."""
    for column in columns:
        excess = _width(lines[0]) - width
        if excess > 0:
            room = max(_SHORTEST, len(lines[0][column]) - excess)
            lines = [[*line[:column], _cut(line[column], room), *line[column + 1 :]] for line in lines]
    return lines


def _cut(cell: str, room: int) -> str:
    """Without its beginning, for what tells test ids apart stands at their end."""
    text = cell.rstrip()
    return text.ljust(room) if len(text) <= room else "…" + text[len(text) - room + 1 :]
