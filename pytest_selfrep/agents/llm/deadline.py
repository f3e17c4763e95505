"""A call that somebody waits for until a point in time and no longer, whatever its own timeouts are about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T | None:
    """What the call gives; None when it has given nothing by then.

    It is made in a thread of its own, which then ends by itself and is waited for by nobody: timeouts of
    HTTP clients begin anew with each byte, and a server that lets them drip would hold the trial for ever.
    """
    results: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def make() -> None:
        try:
            results.put((call(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=make, name="model call", daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except Empty:
        return None
    if error is not None:
        raise error
    return result
