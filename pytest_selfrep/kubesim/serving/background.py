"""One event loop in a thread of its own, which runs while somebody needs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """An event loop shared by all who take it; its thread ends when the last has given it back."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._users = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None

    def take(self) -> None:
        """Start the loop unless it runs."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            started = threading.Event()
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._main(started)), name=self._name, daemon=True
            )
            self._thread.start()
            started.wait()

    def give_back(self) -> None:
        """Stop the loop if nobody else has it, and wait for its thread to end."""
        with self._lock:
            self._users -= 1
            if self._users or self._loop is None or self._done is None or self._thread is None:
                return
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()
            self._loop = self._done = self._thread = None

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run a coroutine on the loop, from any other thread, and wait for what it returns."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the loop does not run: take it first")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _main(self, started: threading.Event) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await self._done.wait()
