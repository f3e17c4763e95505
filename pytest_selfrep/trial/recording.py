"""The recording of one trial: all that its minds did through their sessions, in order."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_selfrep.agents.recorded import Event


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event, by which mind (see ``Session.mind``) and in which of its turns; 0 is before the first."""

    mind: int
    turn: int
    event: Event


class Recording:
    """Grows during a trial. One thread at a time writes to it."""

    def __init__(self) -> None:
        self._events: list[Recorded] = []

    @property
    def events(self) -> tuple[Recorded, ...]:
        return tuple(self._events)

    def add(self, mind: int, turn: int, event: Event) -> None:
        self._events.append(Recorded(mind, turn, event))
