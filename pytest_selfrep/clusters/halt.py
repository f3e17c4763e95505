"""Ends trials that nobody waits for any more: their gate has its verdict, or the run is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import World


_CURRENT: ContextVar[Halt | None] = ContextVar("halt", default=None)


def is_called_off() -> bool:
    """Whether nobody waits any more for the trial that this thread is about to begin."""
    halt = _CURRENT.get()
    return halt is not None and halt.called


class Halt:
    """Reaches the worlds of trials in other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worlds: list[World] = []
        self.called = False

    @contextmanager
    def reaching(self, world: World) -> Iterator[None]:
        """While a trial takes place in a world."""
        with self._lock:
            self._worlds.append(world)
            if self.called:
                world.call_off()
        try:
            yield
        finally:
            with self._lock:
                self._worlds.remove(world)

    @contextmanager
    def over(self) -> Iterator[None]:
        """While the trial of this thread has no world yet, and asks ``is_called_off`` itself."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def call(self) -> None:
        """End all of them, and those that are still to begin."""
        with self._lock:
            self.called = True
            for world in self._worlds:
                world.call_off()
