"""What a pod's worker shares with its node, and the timers it works by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_selfrep.kubesim.clock import Clock, Timer
from pytest_selfrep.kubesim.containers.runtime import Runtime
from pytest_selfrep.kubesim.controllers.base import Context, Writer

FIRST_RESTART_SECONDS = 1.0
"""Before anything that failed is tried for the second time."""
BACKOFF_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Host:
    """The node, as far as its pods are concerned."""

    name: str
    address: str
    context: Context
    writer: Writer
    images: set[str]
    """Full names of the images it has."""
    take_address: Callable[[], str]
    """Nothing if there is none left."""
    give_back: Callable[[str], None]
    runtime: Runtime
    work_seconds: float
    """How long work of unknown outcome takes where others wait for its end."""

    def between(self, seconds: tuple[float, float]) -> float:
        """Some time from the shortest to the longest, as the seed has it."""
        low, high = seconds
        return low + (high - low) * self.context.names.random()


class Timers:
    """Timers by what they are for: one at a time for each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: dict[str, Timer] = {}

    def after(self, what: str, delay: float, action: Callable[[], None]) -> None:
        """Have ``action`` happen, in place of what was to happen before."""
        self.cancel(what)
        self._set[what] = self._clock.after(delay, action)

    def cancel(self, what: str) -> None:
        timer = self._set.pop(what, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        for timer in self._set.values():
            timer.cancel()
        self._set.clear()


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row, at least one."""
    return float(min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (min(failures, 10) - 1)))
