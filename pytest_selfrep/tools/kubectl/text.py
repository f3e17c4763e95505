"""Text layout as Go's text/tabwriter does it, and words for times and amounts as kubectl has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


def table(rows: Sequence[Sequence[str]], *, minimum: int = 6, padding: int = 3) -> str:
    """Rows of equal length in aligned columns, the last one ragged; each line ends with a newline."""
    if not rows:
        return ""
    widths = [
        max(minimum, max(len(row[column]) for row in rows) + padding) for column in range(len(rows[0]) - 1)
    ]
    form = "".join(f"{{:<{width}}}" for width in widths) + "{}\n"
    return "".join(form.format(*row) for row in rows)


def align(text: str, *, padding: int = 2) -> str:
    """Replace tabs by blanks so that neighbouring lines with as many cells line up (elastic tab stops)."""
    rows = [line.split("\t") for line in text.split("\n")]
    out = ["" for _ in rows]
    _align_block(rows, out, 0, len(rows), 0, padding)
    return "\n".join(out)


def _align_block(
    rows: list[list[str]], out: list[str], start: int, end: int, column: int, padding: int
) -> None:
    """Lay out one column over the lines [start, end), which all reach it."""
    line = start
    while line < end:
        if len(rows[line]) - 1 <= column:
            out[line] += rows[line][column] if column < len(rows[line]) else ""
            line += 1
            continue
        last = line
        while last < end and len(rows[last]) - 1 > column:
            last += 1
        width = max(len(rows[index][column]) for index in range(line, last)) + padding
        for index in range(line, last):
            out[index] += rows[index][column].ljust(width)
        _align_block(rows, out, line, last, column + 1, padding)
        line = last


def parse_time(text: str | None) -> datetime | None:
    """A Kubernetes Time or MicroTime; None for none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def long_time(text: str | None) -> str:
    """A Time as describe prints it: ``Sat, 21 Nov 2026 07:44:57 +0000``."""
    moment = parse_time(text)
    if moment is None:
        return "<unset>"
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


_DURATION_STEPS = (
    (60 * 2, 1, 0),
    (60 * 10, 60, 1),
    (3600 * 3, 60, 0),
    (3600 * 8, 3600, 60),
    (3600 * 48, 3600, 0),
    (86400 * 8, 86400, 3600),
    (86400 * 730, 86400, 0),
    (86400 * 365 * 8, 86400 * 365, 86400),
)
_UNITS = {1: "s", 60: "m", 3600: "h", 86400: "d", 86400 * 365: "y"}


def short_duration(seconds: float) -> str:
    """A duration as kubectl shortens it: ``45s``, ``2m5s``, ``5h``, ``12d`` (duration.HumanDuration)."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    for limit, unit, rest in _DURATION_STEPS:
        if whole < limit:
            text = f"{whole // unit}{_UNITS[unit]}"
            return text + (f"{whole % unit // rest}{_UNITS[rest]}" if rest and whole % unit // rest else "")
    return f"{whole // (86400 * 365)}y"


def joined(mapping: dict[str, str] | None, *, empty: str = "<none>") -> str:
    """Labels as one line: ``a=1,b=2``."""
    return ",".join(f"{key}={mapping[key]}" for key in sorted(mapping)) if mapping else empty
