"""The recording of one trial as it grows: all that its minds did through their sessions, in order."""

from __future__ import annotations

import json
import threading
from typing import Final

from pytest_selfrep.agents.recorded import Asked, Called, Event, Recorded, Said

MOST_KEPT: Final = 50_000_000
"""Characters of a trial that are kept, about."""


class Recording:
    """Grows during a trial, by all minds of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Recorded] = []
        self._size = 0

    @property
    def events(self) -> tuple[Recorded, ...]:
        return tuple(self._events)

    @property
    def complete(self) -> bool:
        """Whether everything was kept."""
        return self._size <= MOST_KEPT

    @property
    def answered(self) -> bool:
        """Whether a model has answered."""
        events = (each.event for each in self.events)
        return any(isinstance(event, Asked) and event.call.reply is not None for event in events)

    def add(self, mind: int, turn: int, event: Event) -> None:
        with self._lock:
            if self.complete:
                self._size += _size(event)
            if self.complete:
                self._events.append(Recorded(mind, turn, event))


def _size(event: Event) -> int:
    """Characters that it will take, about; some for the least of them."""
    match event:
        case Said(text=text):
            return 100 + len(text)
        case Called(arguments=arguments, output=output):
            given = sum(len(value) for value in arguments.values() if isinstance(value, str))
            return 100 + given + len(output or "")
        case Asked(call=call):
            return 100 + len(json.dumps([call.messages, call.reply]))
    return 100
