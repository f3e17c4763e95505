"""``pods/attach``: the container's own command, from now on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_selfrep.kubesim.clock import Clock, Timer
from pytest_selfrep.kubesim.containers.runtime import Running
from pytest_selfrep.kubesim.containers.tasks import Pipe
from pytest_selfrep.kubesim.streams.asked import Asked
from pytest_selfrep.kubesim.streams.channels import (
    CLOSE,
    ERROR,
    PROTOCOLS,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    encoded,
    ended,
    failed,
)
from pytest_selfrep.kubesim.streams.terminal import Terminal

LOOK_SECONDS = 0.5
"""How often it is looked whether the container has ended, in the cluster's time."""


class Attach:
    """Somebody at the streams of a container (http.Session)."""

    protocols = PROTOCOLS

    def __init__(self, clock: Clock, pod: str, running: Running | None, asked: Asked) -> None:
        """``pod`` is its name as kubelets spell it: NAME_NAMESPACE."""
        self._clock = clock
        self._pod = pod
        self._running = running
        self._asked = asked
        self._channels = Channels()
        self._leave: Callable[[], None] | None = None
        self._timer: Timer | None = None
        self._over = False
        self._typed = Pipe()
        self._terminal = Terminal(self._typed, lambda keys: self._channels.put(STDOUT, keys), self._interrupt)

    @property
    def closed(self) -> bool:
        return self._over

    @property
    def next_due(self) -> float | None:
        return self._clock.next_due()

    def start(self) -> None:
        asked = self._asked
        self._channels.put(STDOUT if asked.stdout else STDERR, b"")
        if self._running is None:
            why = f"unable to upgrade connection: container {asked.container} not found in pod {self._pod}"
            self._channels.put(ERROR, encoded(failed(why)))
            self._over = True
            return
        for _, line in self._running.log.lines if self._running.stdin is not None else ():
            self._show(line.encode() + b"\n")
        if self._running.stdin is not None:
            self._show(self._running.log.rest)
        self._leave = self._running.follow(self._printed)
        self._look()

    def _printed(self, data: bytes) -> None:
        self._show(data)
        self._channels.wake()

    def _show(self, data: bytes) -> None:
        if self._asked.stdout or self._asked.tty:
            self._channels.put(STDOUT, data.replace(b"\n", b"\r\n") if self._asked.tty else data)

    def _look(self) -> None:
        self._timer = None
        if self._over or self._running is None:
            return
        if self._running.container.ended is not None:
            self._channels.put(ERROR, encoded(ended(0)))
            self._finish()
        else:
            self._timer = self._clock.after(LOOK_SECONDS, self._look)
        self._channels.wake()

    def receive(self, message: bytes) -> None:
        if not message or self._running is None or not self._asked.stdin:
            return
        channel, data = message[0], message[1:]
        if channel == STDIN and self._asked.tty:
            self._terminal.type(data)
            typed = self._typed.read(1 << 20)
            if typed:
                self._running.feed(typed)
            elif typed == b"":
                self._running.end_input()
        elif channel == STDIN:
            self._running.feed(data)
        elif (
            channel == CLOSE and data[:1] == bytes((STDIN,)) and self._running.container.spec.get("stdinOnce")
        ):
            self._running.end_input()

    def _interrupt(self) -> None:
        if self._running is not None:
            self._running.interrupt()

    def poll(self) -> Sequence[bytes]:
        return self._channels.take()

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._channels.wake = wake
        wake()

    def close(self) -> None:
        """The client has gone; a container that reads once has read all."""
        once = self._running is not None and self._running.container.spec.get("stdinOnce")
        if not self._over and once and self._asked.stdin and self._running is not None:
            self._running.end_input()
        self._finish()

    def _finish(self) -> None:
        self._over = True
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._timer is not None:
            self._timer.cancel()
