"""How much a YAML text becomes once aliases stand for what they mean, known before it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting that a body may have. No object of Kubernetes comes near; Go's own limit is 10,000."""
MAX_VALUES = 1_000_000
"""Of a text, counted as often as aliases stand for them."""
MAX_REPEATED = 100_000
"""Of these, by aliases."""
_LONG_NUMBER = re.compile(r"[-+]?[0-9][0-9_:.]{1000,}")
"""To base 60, as YAML has them (``1:30``), it takes ages to read."""
_WEIGHT = 64
"""Characters of a scalar that count as one value."""


class TooMuch(ValueError):
    """A text that is better not read; the message is as go-yaml words it."""


@dataclass(slots=True)
class _Collection:
    """One that has begun."""

    anchor: str | None
    before: int
    """Values until then."""
    height: int = 0
    """Levels within it."""


@dataclass(slots=True)
class _Count:
    """Of the values of a text up to some event."""

    total: int = 0
    repeated: int = 0
    open: list[_Collection] = field(default_factory=list)
    known: dict[str | None, tuple[int, int] | None] = field(default_factory=dict)
    """Of each anchor how many values it stands for, with how many levels; None before its end."""

    def begin(self, anchor: str | None) -> None:
        self.open.append(_Collection(anchor, self.total))
        self.total += 1
        self.known[anchor] = None
        if len(self.open) > MAX_DEPTH:
            raise TooMuch("exceeded max depth")

    def end(self) -> None:
        ended = self.open.pop()
        self._within(ended.height + 1)
        self.known[ended.anchor] = (self.total - ended.before, ended.height + 1)

    def scalar(self, anchor: str | None, characters: int) -> None:
        size = 1 + characters // _WEIGHT
        self.total += size
        self.known[anchor] = (size, 0)

    def alias(self, anchor: str) -> None:
        found = self.known.get(anchor, (0, 0))
        if found is None:
            raise TooMuch(f"anchor '{anchor}' value contains itself")
        self.total += found[0]
        self.repeated += found[0]
        self._within(found[1])
        if len(self.open) + found[1] > MAX_DEPTH:
            raise TooMuch("exceeded max depth")

    def _within(self, levels: int) -> None:
        if self.open:
            self.open[-1].height = max(self.open[-1].height, levels)


def check_growth(events: Iterable[Any]) -> None:
    """Refuse texts too deep, which take ages to read, and too long: PyYAML merges (``<<``) as it reads.

    Raises TooMuch.
    """
    count = _Count()
    for event in events:
        name = type(event).__name__
        if name == "AliasEvent":
            count.alias(event.anchor)
        elif name == "ScalarEvent":
            if (event.implicit[0] or event.tag) and _LONG_NUMBER.fullmatch(event.value):
                raise TooMuch("invalid value")
            count.scalar(event.anchor, len(event.value))
        elif name in ("SequenceStartEvent", "MappingStartEvent"):
            count.begin(event.anchor)
        elif name in ("SequenceEndEvent", "MappingEndEvent"):
            count.end()
        if count.repeated > MAX_REPEATED or count.total > MAX_VALUES:
            raise TooMuch("document contains excessive aliasing")
