"""``pods/exec``: a program besides the container's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from pytest_selfrep.kubesim.clock import Clock, Timer
from pytest_selfrep.kubesim.containers.container import Execution, NotRunnable
from pytest_selfrep.kubesim.containers.runtime import Running
from pytest_selfrep.kubesim.containers.tasks import MAX_OUTPUT, Bytes, Discard, Pipe
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.streams.asked import Asked
from pytest_selfrep.kubesim.streams.channels import (
    CLOSE,
    ERROR,
    MAX_INPUT,
    PROTOCOLS,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    Count,
    Output,
    encoded,
    ended,
    failed,
)
from pytest_selfrep.kubesim.streams.terminal import Terminal


class Exec:
    """One program in a container, its streams and its end (http.Session)."""

    protocols = PROTOCOLS

    def __init__(self, clock: Clock, running: Running | None, asked: Asked) -> None:
        self._clock = clock
        self._running = running
        self._asked = asked
        self._channels = Channels()
        self._stdin = Pipe()
        self._execution: Execution | None = None
        self._timer: Timer | None = None
        self._received = 0
        self._over = False
        self._terminal = Terminal(self._stdin, lambda keys: self._channels.put(STDOUT, keys), self._interrupt)

    @property
    def closed(self) -> bool:
        return self._over

    @property
    def next_due(self) -> float | None:
        """When it will go on by itself, in seconds of the cluster's clock."""
        return None if self._execution is None else self._execution.engine.next_due

    def start(self) -> None:
        """Start the program, or say why it cannot be."""
        asked = self._asked
        if asked.stdout or asked.stderr:
            self._channels.put(STDOUT if asked.stdout else STDERR, b"")
        if self._running is None:
            self._fail(f'unable to upgrade connection: container not found ("{asked.container}")')
            return
        self._running.settle()
        count = Count(MAX_OUTPUT)
        out = Output(self._channels, STDOUT, count, terminal=asked.tty)
        err = out if asked.tty else Output(self._channels, STDERR, count, terminal=False)
        try:
            self._execution = self._running.container.execute(
                asked.command,
                self._stdin if asked.stdin else Bytes(),
                out if asked.stdout else Discard(),
                err if asked.stderr or asked.tty else Discard(),
                terminal=asked.tty,
            )
        except NotRunnable as problem:
            number = hashlib.sha256(f"{self._running.container.id} {self._clock.now}".encode()).hexdigest()
            why = (
                "error executing command in container: failed to exec in container: "
                f'failed to start exec "{number}": OCI runtime exec failed: exec failed: {problem}: unknown'
            )
            self._fail(f"Internal error occurred: {why}" if asked.translated else why)
            return
        self._go_on()

    def _ended(self, code: int) -> Object:
        command = " ".join(self._asked.command)
        said = f"error executing command [{command}], exit code {code}"
        return ended(code, f"command terminated with exit code {code}" if self._asked.translated else said)

    def _fail(self, why: str) -> None:
        self._channels.put(ERROR, encoded(failed(why)))
        self._over = True

    def receive(self, message: bytes) -> None:
        if not message or self._execution is None:
            return
        channel, data = message[0], message[1:]
        if channel == STDIN and self._asked.stdin:
            self._received += len(data)
            if self._received > MAX_INPUT:
                self.close()
                return
            if self._asked.tty:
                self._terminal.type(data)
            else:
                self._stdin.write(data)
        elif channel == CLOSE and data[:1] == bytes((STDIN,)):
            self._stdin.end()
        self._go_on()

    def _interrupt(self) -> None:
        if self._execution is not None:
            self._execution.interrupt()

    def poll(self) -> Sequence[bytes]:
        messages = self._channels.take()
        if not self._over:
            self._go_on()
        return [*messages, *self._channels.take()]

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._channels.wake = wake
        wake()

    def close(self) -> None:
        """The client has gone."""
        if self._execution is not None:
            self._execution.kill(137)
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def _go_on(self) -> None:
        execution = self._execution
        if execution is None or self._over:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        more = execution.run()
        if execution.code is not None:
            self._channels.put(ERROR, encoded(self._ended(execution.code % 256)))
            self._over = True
            execution.engine.close()
        elif more and not self._channels.full:
            self._channels.wake()
        elif (due := execution.engine.next_due) is not None:
            self._timer = self._clock.after(due - self._clock.now, self._due)
        elif self._running is not None and self._running.container.ended is None:
            self._watch()

    def _watch(self) -> None:
        """Look now and then whether the container is still there."""
        self._timer = self._clock.after(1.0, self._due)

    def _due(self) -> None:
        self._timer = None
        self._go_on()
        self._channels.wake()
