"""The channels of exec and attach (channel.k8s.io): which byte begins which message."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from pytest_selfrep.kubesim.containers.tasks import Killed
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import StatusError

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
MAX_PENDING = 256 * 1024
"""Bytes that wait for a client before programs that print more wait too."""
MAX_INPUT = 8 * 1024 * 1024
"""Bytes of input that wait for a program that does not read them; what is more ends the session."""


class Channels:
    """What is to be sent to one client, who is woken for it."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = _nobody
        self._messages: list[bytes] = []
        self._pending = 0

    @property
    def full(self) -> bool:
        return self._pending > MAX_PENDING

    def put(self, channel: int, data: bytes) -> None:
        """Neighbouring pieces of a channel become one message."""
        self._pending += len(data)
        last = self._messages[-1] if self._messages else b""
        if last[:1] == bytes((channel,)) and channel != ERROR and len(last) + len(data) < 32 * 1024:
            self._messages[-1] = last + data
            return
        for start in range(0, max(1, len(data)), 32 * 1024):
            self._messages.append(bytes((channel,)) + data[start : start + 32 * 1024])

    def take(self) -> list[bytes]:
        taken, self._messages, self._pending = self._messages, [], 0
        return taken


class Output:
    """One output of a program: a channel, as a terminal shows it if there is one."""

    def __init__(self, channels: Channels, channel: int, count: Count, *, terminal: bool) -> None:
        self._channels = channels
        self._channel = channel
        self._count = count
        self._terminal = terminal

    @property
    def full(self) -> bool:
        return self._channels.full

    def write(self, data: bytes) -> None:
        self._count.add(len(data))
        self._channels.put(self._channel, data.replace(b"\n", b"\r\n") if self._terminal else data)


class Count:
    """Bounds what a session prints in all."""

    def __init__(self, most: int) -> None:
        self._left = most

    def add(self, count: int) -> None:
        """Raises Killed."""
        self._left -= count
        if self._left < 0:
            raise Killed


def _nobody() -> None:
    """Nobody waits yet."""


def ended(code: int, why: str = "") -> Object:
    """The Status that tells an exit code, and for another than 0 how."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {why}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(why: str) -> Object:
    """The Status of what could not be started."""
    causes = {"causes": [{"message": why}]}
    status = StatusError(500, "InternalError", f"Internal error occurred: {why}", causes).to_object()
    del status["kind"], status["apiVersion"]
    return status


def encoded(status: Object) -> bytes:
    return orjson.dumps(status)
