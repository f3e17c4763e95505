"""Ends trials that nobody waits for any more: their gate has its verdict, or the run is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class CanBeCalledOff(Protocol):
    """A world, or what goes on in it."""

    def call_off(self) -> None:
        """Come to an end soon. May be called by any thread."""


class Halt:
    """Reaches trials in other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached: list[CanBeCalledOff] = []
        self.called = False

    @contextmanager
    def reaching(self, it: CanBeCalledOff) -> Iterator[None]:
        """While it goes on."""
        with self._lock:
            self._reached.append(it)
            if self.called:
                it.call_off()
        try:
            yield
        finally:
            with self._lock:
                self._reached.remove(it)

    def call(self) -> None:
        """End all of them, and those that are still to begin."""
        with self._lock:
            self.called = True
            for it in self._reached:
                it.call_off()
