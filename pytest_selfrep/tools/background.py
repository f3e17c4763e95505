"""An event loop in a thread of its own, for what is served while a trial goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine on the loop, and waits for what it returns."""

    def __call__(self, work: Coroutine[None, None, T], /) -> T: ...


@contextmanager
def background(name: str) -> Iterator[Run]:
    """While the block lasts; what still runs at its end is cancelled."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def stay() -> None:
        done = asyncio.Event()
        ready.set_result((asyncio.get_running_loop(), done))
        await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(stay(),), name=name, daemon=True)
    thread.start()
    loop, done = ready.result()

    def run(work: Coroutine[None, None, T], /) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
