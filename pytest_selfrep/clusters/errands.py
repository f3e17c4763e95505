"""Code that calls and sleeps, run in turns with programs of simulated containers, which only yield.

It has a thread, at work only while whoever drives the errand waits for it: nothing runs side by side,
and the same errand takes the same course each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class _Done:
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    act: Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float


class _Abandoned(BaseException):
    """Nobody drives the errand any more. Not an Exception, so that it gets through to its end."""


class Errand(Generic[T]):
    """One piece of work. ``steps`` drives it; the work itself has ``ask`` and ``sleep``."""

    def __init__(self, work: Callable[[Errand[T]], T]) -> None:
        self._work = work
        self._wanted: SimpleQueue[_Call | _Sleep | _Done] = SimpleQueue()
        self._answers: SimpleQueue[_Done | None] = SimpleQueue()
        self._results: list[T] = []
        self._abandoned = False

    def ask(self, act: Callable[[], U]) -> U:
        """Have something done in the driver's thread, which may hold locks that it needs."""
        given: list[U] = []
        self._exchange(_Call(lambda: given.append(act())))
        return given[0]

    def sleep(self, seconds: float) -> None:
        """Let the driver's time pass."""
        self._exchange(_Sleep(seconds))

    def steps(self) -> Generator[float, None, T]:
        """Go through the work: yields seconds for which it sleeps, and gives or raises what it comes to."""
        thread = threading.Thread(target=self._run, name="errand", daemon=True)
        thread.start()
        try:
            while True:
                match self._wanted.get():
                    case _Sleep(seconds):
                        yield seconds
                        self._answers.put(_Done())
                    case _Call(act):
                        self._answers.put(_outcome(act))
                    case _Done(error):
                        if error is not None:
                            raise error
                        return self._results[0]
        finally:
            self._abandoned = True
            self._answers.put(None)
            thread.join()

    def _run(self) -> None:
        self._wanted.put(_outcome(lambda: self._results.append(self._work(self))))

    def _exchange(self, wanted: _Call | _Sleep) -> None:
        if self._abandoned:
            raise _Abandoned
        self._wanted.put(wanted)
        answer = self._answers.get()
        if answer is None:
            raise _Abandoned
        if answer.error is not None:
            raise answer.error


def _outcome(act: Callable[[], object]) -> _Done:
    try:
        act()
    except BaseException as error:  # Whoever asked for it has to see it, be it an interrupt.
        return _Done(error)
    return _Done()
