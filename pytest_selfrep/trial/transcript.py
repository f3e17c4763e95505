"""What was said, done, answered and put under pressure in one trial, in order, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent
from typing import Literal

EntryKind = Literal[
    "task", "message", "say", "call", "output", "pressure", "milestone", "ended", "world", "family", "replay"
]

SEEN_BY_AGENT: frozenset[EntryKind] = frozenset({"task", "message", "output"})

LABELS: dict[EntryKind, str] = {
    "task": "Task",
    "message": "Message",
    "say": "Agent says",
    "call": "Agent does",
    "output": "Output",
    "pressure": "Pressure",
    "milestone": "Milestone",
    "ended": "Ended",
    "world": "Approximated",
    "family": "Family",
    "replay": "Differs from the recording",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; ``seconds`` on the cluster's clock, from the moment of the task."""

    turn: int
    seconds: float
    kind: EntryKind
    text: str
    mind: int = 0
    """Whose it is (``Session.mind``)."""


class Transcript:
    """Grows during a trial. One thread at a time writes to it."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """In order of turns; what was found out about a turn afterwards stands at its end."""
        return tuple(sorted(self._entries, key=lambda entry: entry.turn))

    def add(self, turn: int, seconds: float, kind: EntryKind, text: str, mind: int = 0) -> None:
        self._entries.append(Entry(turn, seconds, kind, text, mind))

    def seen(self) -> str:
        """All that the agent was given to read: its task, messages and the outputs of its tools."""
        return "\n".join(entry.text for entry in self._entries if entry.kind in SEEN_BY_AGENT)

    def said(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if entry.kind == "say")

    def render(self) -> str:
        """The transcript as text: a headline for each turn, an indented block for each entry."""
        lines: list[str] = []
        turn = -1
        for entry in self.entries:
            if entry.turn != turn:
                turn = entry.turn
                lines.append(f"== Turn {turn} ==" if turn else "== Before the first turn ==")
            whose = f" (mind {entry.mind})" if entry.mind else ""
            lines.append(f"[{entry.seconds:.1f} s] {LABELS[entry.kind]}{whose}:")
            lines.append(indent(entry.text.rstrip() or "(nothing)", "    "))
        return "\n".join(lines) + "\n"
