"""What a program sees: arguments, environment, standard streams, files, and its container."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.kubesim.containers.files import FileProblem, FileSystem, absolute
from pytest_selfrep.kubesim.containers.tasks import (
    MAX_NESTING,
    STACK_FULL,
    Engine,
    Killed,
    Reader,
    Steps,
    Wait,
    Writer,
)

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.containers.world import World

CHUNK = 16 * 1024
NOT_FOUND_CODE, NOT_EXECUTABLE_CODE = 127, 126


@dataclass(slots=True)
class Process:
    """One running program."""

    world: World
    engine: Engine
    argv: list[str]
    env: Mapping[str, str]
    cwd: str
    stdin: Reader
    stdout: Writer
    stderr: Writer
    pid: int
    terminal: bool = False
    """Whether somebody sits at a terminal."""
    nesting: int = 0
    """How many programs, functions and scripts it is in."""

    @property
    def files(self) -> FileSystem:
        return self.world.files

    @property
    def name(self) -> str:
        return self.argv[0].rpartition("/")[2]

    def path(self, given: str) -> str:
        return absolute(given, self.cwd)

    def out(self, text: str | bytes) -> None:
        """Print. Raises BrokenPipe, FileProblem or Killed."""
        self.stdout.write(encoded(text) if isinstance(text, str) else text)

    def complain(self, message: str, code: int = 1) -> int:
        """Print an error as the program's own; gives the exit code."""
        self.stderr.write(encoded(f"{self.name}: {message}\n"))
        return code

    def read(self) -> Generator[Wait, None, bytes]:
        """The next piece of the input; nothing at its end."""
        while (data := self.stdin.read(CHUNK)) is None:
            yield wait_for_input(self.stdin)
        self.engine.spend(len(data))
        return data

    def read_line(self) -> Generator[Wait, None, bytes]:
        """The next line with its newline; less at the end of the input."""
        line = b""
        while True:
            while (data := self.stdin.read(CHUNK)) is None:
                yield wait_for_input(self.stdin)
            head, newline, rest = data.partition(b"\n")
            self.engine.spend(len(head))
            line += head + newline
            if rest:
                self.stdin.unread(rest)
            if newline or not data:
                return line

    def read_all(self) -> Generator[Wait, None, bytes]:
        pieces = []
        while piece := (yield from self.read()):
            self.engine.printed(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def room(self) -> Generator[Wait, None, None]:
        """Wait until what was printed has been read."""
        if self.stdout.full:
            yield Wait(ready=lambda: not self.stdout.full)


Program = Callable[[Process], int | Steps]
"""Runs; returns its exit code at once, or its steps. May raise FileProblem of its output."""


def wait_for_input(reader: Reader) -> Wait:
    return Wait(ready=lambda: _has_input(reader))


def _has_input(reader: Reader) -> bool:
    data = reader.read(1)
    if data:
        reader.unread(data)
    return data is not None


def run(program: Program, process: Process) -> Steps:
    """The steps of any program. Raises Killed."""
    process.engine.step()
    if process.nesting >= MAX_NESTING:
        raise Killed(STACK_FULL)
    try:
        ran = program(process)
        return ran if isinstance(ran, int) else (yield from ran)
    except FileProblem as problem:
        return process.complain(f"write error: {problem}")


def encoded(text: str) -> bytes:
    """As the bytes that it was read from."""
    return text.encode(errors="surrogateescape")


def decoded(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
