"""Programs that run side by side in turns, wait for time or each other, and have their bounds."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

MAX_STEPS = 20_000
"""Commands that may run on end; time gives back as many as STEPS_A_SECOND."""
STEPS_A_SECOND = 1000
MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes that the programs of one session may print."""
MAX_TASKS = 64
"""Processes at a time."""
SLICE = 500
"""Commands that run before others have their turn."""
BYTES_A_STEP = 2048
"""Bytes that cost as much to work through as a command."""
MAX_NESTING = 30
"""Programs, functions, scripts and substitutions within one another."""
PIPE_BYTES = 64 * 1024
KILLED = 137
"""Exit code after SIGKILL: what goes beyond a bound ends like what the kernel kills for want of memory."""
STACK_FULL = 139
"""Exit code after SIGSEGV: what nests without end."""


class Killed(Exception):
    """A program went beyond its bounds, or was killed."""

    def __init__(self, code: int = KILLED) -> None:
        super().__init__(code)
        self.code = code


class Interrupt(Exception):
    """Control-C at the terminal."""


class BrokenPipe(Exception):
    """Nobody reads any more what is written."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a program waits for: a time of the cluster's clock, or a condition, or just its next turn."""

    until: float | None = None
    ready: Callable[[], bool] | None = None
    forever: bool = False


TURN = Wait()
FOREVER = Wait(forever=True)
Steps = Generator[Wait, None, int]
"""A program that runs: yields when it waits and returns its exit code."""


@runtime_checkable
class Reader(Protocol):
    """Where input comes from."""

    def read(self, limit: int) -> bytes | None:
        """Up to ``limit`` bytes; nothing at the end; None if there is nothing yet."""

    def unread(self, data: bytes) -> None:
        """Put back what was read too far."""


@runtime_checkable
class Writer(Protocol):
    """Where output goes."""

    @property
    def full(self) -> bool:
        """Whether a program that could go on printing had better wait."""

    def write(self, data: bytes) -> None:
        """Raises BrokenPipe, FileProblem, or Killed."""


class Task:
    """One program in its turns."""

    def __init__(self, pid: int, title: str, steps: Steps) -> None:
        self.pid = pid
        self.title = title
        self.code: int | None = None
        self.wait = TURN
        self._steps = steps
        self._advancing = False

    def is_ready(self, now: float) -> bool:
        wait = self.wait
        if wait.forever or self.code is not None:
            return False
        if wait.until is not None:
            return now >= wait.until
        return wait.ready is None or wait.ready()

    def advance(self, *, interrupted: bool = False) -> None:
        """Go on to where it waits next, or ends; ``interrupted``: as if by Control-C."""
        self._advancing = True
        try:
            code = self._advance(interrupted)
        finally:
            self._advancing = False
        if self.code is None:
            self.code = code
        else:
            # What it did has ended its container.
            self._steps.close()

    def _advance(self, interrupted: bool) -> int | None:
        """The code of its end, if that is where it comes."""
        try:
            self.wait = self._steps.throw(Interrupt()) if interrupted else next(self._steps)
        except StopIteration as ended:
            code: int = ended.value
            return code
        except BrokenPipe:
            return 141
        except Interrupt:
            return 130
        except Killed as killed:
            return killed.code
        except RecursionError:
            return STACK_FULL
        return None

    def kill(self, code: int) -> None:
        """End it before its next step."""
        if self.code is None:
            self.code = code
            if not self._advancing:
                self._steps.close()


class Engine:
    """The programs of one session; ``now`` is the cluster's clock."""

    def __init__(self, now: Callable[[], float], first_pid: int, steps: int = MAX_STEPS) -> None:
        self.now = now
        self.tasks: list[Task] = []
        self.exhausted = False
        """Whether it went beyond its bounds."""
        self._most = steps
        self._steps = float(steps)
        self._refilled = now()
        self._printed = 0
        self._next_pid = first_pid

    def spawn(self, title: str, steps: Steps) -> Task:
        """Raises Killed if there are too many."""
        if sum(task.code is None for task in self.tasks) >= MAX_TASKS:
            raise Killed
        self.tasks = [task for task in self.tasks if task.code is None]
        task = Task(self.next_pid(), title, steps)
        self.tasks.append(task)
        return task

    def next_pid(self) -> int:
        self._next_pid += 1
        return self._next_pid - 1

    def step(self) -> None:
        """One command runs. Raises Killed."""
        self._steps -= 1
        if self._steps < 0:
            self.exhausted = True
            raise Killed

    def spend(self, count: int) -> None:
        """So many bytes are worked through. Raises Killed."""
        self._steps -= count / BYTES_A_STEP
        if self._steps < 0:
            self.exhausted = True
            raise Killed

    def printed(self, count: int) -> None:
        """Raises Killed."""
        self._printed += count
        if self._printed > MAX_OUTPUT:
            self.exhausted = True
            raise Killed

    def run(self, first: Task) -> bool:
        """Let programs run until all wait, the first has ended, or others are due. Whether more is to do."""
        now = self.now()
        self._steps = min(float(self._most), self._steps + (now - self._refilled) * STEPS_A_SECOND)
        self._refilled = now
        least = self._steps - SLICE
        while first.code is None and self._steps > least:
            ready = [task for task in self.tasks if task.is_ready(now)]
            if not ready:
                return False
            for task in ready:
                if task.code is None:
                    task.advance()
                if self.exhausted:
                    first.code = KILLED
            self._steps -= 0.01 * len(ready)
        return first.code is None

    @property
    def next_due(self) -> float | None:
        """When the next program has slept enough."""
        due = [task.wait.until for task in self.tasks if task.code is None and task.wait.until is not None]
        return min(due, default=None)

    def close(self) -> None:
        for task in self.tasks:
            task.kill(KILLED)
        self.tasks.clear()


class Pipe:
    """Bytes from writers to a reader."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._abandoned = False

    @property
    def full(self) -> bool:
        return len(self._data) >= PIPE_BYTES and not self._abandoned

    @property
    def ready(self) -> bool:
        return bool(self._data) or self._ended

    def read(self, limit: int) -> bytes | None:
        if not self._data:
            return b"" if self._ended else None
        data = bytes(self._data[:limit])
        del self._data[:limit]
        return data

    def unread(self, data: bytes) -> None:
        self._data[:0] = data

    def write(self, data: bytes) -> None:
        if self._abandoned:
            raise BrokenPipe
        if not self._ended:
            self._data += data

    def end(self) -> None:
        """Nothing more will be written."""
        self._ended = True

    def abandon(self) -> None:
        """Nobody will read any more."""
        self._abandoned = True
        self._data.clear()


class Bytes:
    """Input that is there from the start: a file, a here-document, nothing."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    def read(self, limit: int) -> bytes | None:
        data, self._data = self._data[:limit], self._data[limit:]
        return data

    def unread(self, data: bytes) -> None:
        self._data = data + self._data


class Discard:
    """/dev/null."""

    full = False

    def write(self, data: bytes) -> None:
        """Forget it."""
