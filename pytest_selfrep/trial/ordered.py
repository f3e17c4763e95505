"""Numbered tasks on a few threads, with the results handed out in the order of the numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Result(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class Ordered(Generic[T]):
    """Results of ``task(0)`` to ``task(count - 1)``, worked out ahead by at most ``jobs``.

    Tasks are only begun while somebody waits for a result. Threads are daemons, unlike those of
    ``concurrent.futures``, which the interpreter joins at exit: a task that hangs must not keep pytest alive.
    """

    def __init__(self, task: Callable[[int], T], count: int, jobs: int) -> None:
        self._task = task
        self._count = count
        self._jobs = min(jobs, count)
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._results: dict[int, _Result[T] | _Raised] = {}
        self._begun = 0
        self._taken = 0
        self._wanted = False
        self._closed = False

    def take(self) -> T:
        """Wait for the next result, or raise what its task raised. IndexError after the last."""
        if self._taken >= self._count or self._closed:
            raise IndexError(self._taken)
        self._start()
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            try:
                while self._taken not in self._results:
                    self._changed.wait()
            finally:
                self._wanted = False
            result = self._results.pop(self._taken)
            self._taken += 1
        if isinstance(result, _Raised):
            raise result.error
        return result.value

    def close(self, patience: float = 0.0) -> None:
        """Begin nothing more, and give tasks under way ``patience`` seconds to clean up after themselves."""
        with self._changed:
            self._closed = True
            self._results.clear()
            self._changed.notify_all()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self) -> None:
        if not self._threads:
            for number in range(self._jobs):
                thread = threading.Thread(target=self._work, name=f"trial-{number}", daemon=True)
                # Kept once it runs: one that could not be started cannot be waited for.
                thread.start()
                self._threads.append(thread)

    def _work(self) -> None:
        while (number := self._next()) is not None:
            result: _Result[T] | _Raised
            try:
                result = _Result(self._task(number))
            except BaseException as error:
                result = _Raised(error)
            with self._changed:
                if not self._closed:
                    self._results[number] = result
                self._changed.notify_all()

    def _next(self) -> int | None:
        with self._changed:
            while not self._closed:
                if self._begun >= self._count:
                    return None
                if self._wanted and self._begun - self._taken < self._jobs:
                    self._begun += 1
                    return self._begun - 1
                self._changed.wait()
        return None
