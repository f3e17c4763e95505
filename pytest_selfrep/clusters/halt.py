"""Ends trials that nobody waits for any more: their gate has its verdict, or the run is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class CanBeCalledOff(Protocol):
    """A world, or what goes on in it."""

    def call_off(self) -> None:
        """Come to an end soon. May be called by any thread."""


_CURRENT: ContextVar[Halt | None] = ContextVar("halt", default=None)


def is_called_off() -> bool:
    """Whether nobody waits any more for the trial that this thread is about to begin."""
    halt = _CURRENT.get()
    return halt is not None and halt.called


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
            for it in self._reached:
                it.call_off()
