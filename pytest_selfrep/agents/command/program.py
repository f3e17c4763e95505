"""What a command agent is while it runs, wherever that is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_selfrep.tools.mcp import Endpoint


@dataclass(frozen=True, slots=True)
class Outfit:
    """All that a program is given."""

    command: tuple[str, ...]
    env: dict[str, str]
    """Its whole environment."""
    files: dict[str, str]
    """Of its home, by their paths there."""
    task: str
    """On its stdin."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended."""

    code: int
    """Its exit code, negative for a signal."""
    trouble: str = ""
    """Why it was ended, or could not be run, in words that follow its name; else empty."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of what a program printed."""

    printed: bytes
    stdout: bool
    """Else stderr."""


class Program(Protocol):
    """A program that has been started."""

    def read(self) -> Piece | None:
        """Some of what it has printed since; None if there is nothing. Never waits."""

    def wait(self, seconds: float) -> Ending | None:
        """Wait so long for it to end or to print. None while it runs."""


class Place(Protocol):
    """Where programs run."""

    @property
    def address(self) -> str:
        """Of this machine, at which such a program reaches the tools."""

    @property
    def home(self) -> str:
        """The program's home, as it sees it."""

    @property
    def python(self) -> str:
        """The command for Python there."""

    @property
    def reached_model(self) -> bool:
        """Whether its model may have been asked: False if it is known that nobody has got through to it."""

    def env(self, tools: Endpoint) -> dict[str, str]:
        """Variables that belong to the place, for a program that is to reach these tools."""

    def started(self, outfit: Outfit, tools: Endpoint) -> AbstractContextManager[Program]:
        """A program that reaches its tools and runs until the block ends, and nothing of it afterwards."""
