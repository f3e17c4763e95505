"""A program on this machine, in a home of its own, under a keeper that leaves nothing of it running."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from pytest_selfrep.agents.command import keeper
from pytest_selfrep.agents.command.program import Ending, Outfit, Piece, Program

if TYPE_CHECKING:
    from pytest_selfrep.tools.mcp import Endpoint

MOST_PROCESSES: Final = 256
"""At once. Programs have as many threads as they like."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
END_SECONDS: Final = 10.0
"""For the keeper to end all."""
ENDINGS: Final = frozenset({"ended", "many", "failed"})
"""One of which a keeper reports last."""
SWEEPS: Final = 20
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class OnHost:
    """This machine, on which nothing keeps a program from what its user may do."""

    home: str
    beside: str
    """The folder that the program is in: what it is run with is often there too."""
    address: str = "127.0.0.1"
    python: str = sys.executable
    reached_model: bool = True
    """Nobody knows."""

    def env(self, tools: Endpoint) -> dict[str, str]:
        return {"PATH": f"{self.beside}:{PATH}", "TMPDIR": self.home}

    @contextmanager
    def started(self, outfit: Outfit, tools: Endpoint) -> Iterator[Program]:
        """Run a program until the block ends."""
        for name, text in outfit.files.items():
            path = Path(self.home, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
        with ExitStack() as stack:
            program = _begun(outfit, self.home, stack)
            try:
                yield program
            finally:
                program.end()


@contextmanager
def on_host(command: str) -> Iterator[OnHost]:
    """With a new home, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as home:
        yield OnHost(home, str(Path(command).parent))


def _begun(outfit: Outfit, home: str, stack: ExitStack) -> _Kept:
    # A file, not a pipe: a program that does not read it keeps nobody waiting.
    task = stack.enter_context(_holding(outfit.task))
    told, teller = os.pipe()
    reported, reporter = os.pipe()
    stdout, printed = os.pipe()
    stderr, complained = os.pipe()
    control = stack.enter_context(os.fdopen(teller, "wb"))
    for each in (reported, stdout, stderr):
        os.set_blocking(each, False)
        stack.callback(os.close, each)
    try:
        process = subprocess.Popen(  # noqa: S603 (what the user named, by the user's leave)
            [
                *(sys.executable, "-I", "-S", keeper.__file__),
                *(str(told), str(reporter), str(MOST_PROCESSES), home),
                *outfit.command,
            ],
            stdin=task,
            stdout=printed,
            stderr=complained,
            env=outfit.env,
            pass_fds=(told, reporter),
            start_new_session=True,
        )
    finally:
        for each in (told, reporter, printed, complained):
            os.close(each)
    return _Kept(process, control, (stdout, stderr), reported, home)


@contextmanager
def _holding(text: str) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode("utf-8", "replace"))
        file.seek(0)
        yield file


def _swept(variable: bytes) -> None:
    """End all that has a variable in its environment (proc(5)), until nothing more comes of it."""
    for _ in range(SWEEPS):
        found = list(_having(variable))
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.01)


def _having(variable: bytes) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)


class _Kept:
    """A program under its keeper. What it prints is for one thread at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: BinaryIO,
        output: tuple[int, int],
        reported: int,
        home: str,
    ) -> None:
        self._home = home
        self._process = process
        self._control = control
        self._stdout, _ = output
        self._output = list(output)
        self._reported = reported
        self._report = bytearray()

    def read(self) -> Piece | None:
        for each in tuple(self._output):
            with suppress(BlockingIOError):
                if printed := os.read(each, _PIECE):
                    return Piece(printed, stdout=each == self._stdout)
                # Nobody can print there any more: there is nothing to wait for.
                self._output.remove(each)
        return None

    def wait(self, seconds: float) -> Ending | None:
        select.select([self._reported, *self._output], [], [], seconds)
        return self._ending()

    def end(self) -> None:
        """Leave nothing of it running."""
        self._control.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        said = self._said()
        if ENDINGS.isdisjoint(said) and "began" in said:
            # Somebody has ended the keeper, and so nobody has adopted the others.
            with suppress(OSError):
                os.killpg(int(said["began"]), signal.SIGKILL)
            _swept(f"HOME={self._home}".encode())

    def _ending(self) -> Ending | None:
        said = self._said()
        if "failed" in said:
            return Ending(127, f"cannot be run: {said['failed']}")
        if "many" in said:
            return Ending(-9, f"had more than {MOST_PROCESSES} processes at once, and was ended")
        if "ended" in said:
            return Ending(int(said["ended"]))
        return None if self._process.poll() is None else Ending(-9, "was ended together with its keeper")

    def _said(self) -> dict[str, str]:
        """What the keeper reports, by the first word of each line."""
        with suppress(BlockingIOError):
            self._report += os.read(self._reported, _PIECE)
        lines = (line.partition(" ") for line in self._report.decode().splitlines())
        return {name: rest for name, _, rest in lines}
