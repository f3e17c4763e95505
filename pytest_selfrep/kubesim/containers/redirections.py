"""The streams of commands, and what redirections make of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pytest_selfrep.kubesim.containers import expansion
from pytest_selfrep.kubesim.containers.files import NOT_FOUND, File, FileProblem, absolute
from pytest_selfrep.kubesim.containers.process import encoded
from pytest_selfrep.kubesim.containers.syntax import Redirect
from pytest_selfrep.kubesim.containers.tasks import Bytes, Discard, Engine, Reader, Wait, Writer

Redirecting: TypeAlias = expansion.Variables
"""What of a shell redirections depend on."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The standard streams of a command."""

    stdin: Reader
    stdout: Writer
    stderr: Writer


class Appending:
    """Output into a file."""

    full = False

    def __init__(self, shell: Redirecting, file: File) -> None:
        self._shell = shell
        self._file = file

    def write(self, data: bytes) -> None:
        """Raises FileProblem or Killed."""
        self._shell.spend((len(data) + self._file.size) // 64)
        self._shell.files.write(self._file, data)


class Captured:
    """Output that becomes part of a word."""

    full = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self._engine.printed(len(data))
        self.data += data


def redirected(
    shell: Redirecting, own: Streams, redirects: Sequence[Redirect]
) -> Generator[Wait, None, Streams]:
    """A command's streams, if a shell's own are ``own``. Raises FileProblem."""
    streams: dict[int, Reader | Writer] = {0: own.stdin, 1: own.stdout, 2: own.stderr}
    for redirect in redirects:
        target = yield from expansion.text(shell, redirect.target)
        streams[redirect.descriptor] = _opened(shell, redirect.operator, target, streams)
    reader, out, err = streams[0], streams[1], streams[2]
    return Streams(
        reader if isinstance(reader, Reader) else Bytes(),
        out if isinstance(out, Writer) else Discard(),
        err if isinstance(err, Writer) else Discard(),
    )


def _opened(
    shell: Redirecting, operator: str, target: str, streams: dict[int, Reader | Writer]
) -> Reader | Writer:
    if operator == "<<":
        return Bytes(encoded(target))
    if operator in (">&", "<&"):
        if target == "-":
            return Discard() if operator == ">&" else Bytes()
        if not target.isdigit() or int(target[:9]) not in streams:
            raise FileProblem(f"{target}: Bad file descriptor")
        return streams[int(target)]
    path = absolute(target, shell.cwd)
    reads = operator in ("<", "<>")
    try:
        if reads:
            return Bytes(shell.files.read(path))
        if path == "/dev/null":
            return Discard()
        if path in ("/dev/stdout", "/dev/stderr"):
            return streams[1 if path.endswith("out") else 2]
        return Appending(shell, shell.files.open(path, append=operator == ">>"))
    except FileProblem as problem:
        words = str(problem)
        if words == NOT_FOUND:
            words = "no such file" if reads else "nonexistent directory"
        raise FileProblem(f"can't {'open' if reads else 'create'} {target}: {words}") from None
