"""What programs of a container share: files, time, name, processes, network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pytest_selfrep.kubesim.containers.files import DENIED, File, FileProblem, FileSystem, absolute
from pytest_selfrep.kubesim.containers.process import Program

NO_PROGRAM = "not found"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server in the cluster says to an HTTP request."""

    status: int
    reason: str
    body: bytes
    content_type: str = "text/html"
    server: str = ""


class Network(Protocol):
    """The cluster as a container reaches it."""

    @property
    def nameserver(self) -> str:
        """The address of the cluster's DNS."""

    def lookup(self, name: str) -> tuple[str, str] | None:
        """The full name and address of a host, or None."""

    def get(self, address: str, port: int, path: str, host: str) -> Answer | str:
        """What a server answers, or why there is no connection."""


@dataclass(slots=True)
class Listed:
    """A process as ``ps`` shows it."""

    pid: int
    title: str


@dataclass(slots=True)
class World:
    """One container as its programs see it."""

    files: FileSystem
    hostname: str
    now: Callable[[], float]
    date: Callable[[], datetime]
    programs: dict[str, Program]
    """By the names that files in ``/bin`` give them."""
    interpreter: Program
    """Runs scripts that are executed by their own names."""
    network: Network
    processes: Callable[[], Sequence[Listed]]
    signal: Callable[[int, int], bool]
    """Sends a signal to a process outside the sender's session; whether there is one."""
    uid: int = 0
    gid: int = 0
    foreign: Callable[[str], Program | None] = lambda name: None
    """What stands for programs that are not the system's, by name."""
    seed: int = 1

    def program(self, name: str, path: str, cwd: str) -> Program | str:
        """What runs under a name, or why nothing does."""
        foreign = self.foreign(name)
        if foreign is not None:
            return foreign
        found = name if "/" in name else self.which(name, path)
        if not found:
            return NO_PROGRAM
        try:
            node = self.files.find(absolute(found, cwd))
        except FileProblem:
            return NO_PROGRAM
        if not isinstance(node, File) or not node.mode & 0o111:
            return DENIED
        if node.program:
            return self.programs[node.program]
        return self.interpreter

    def which(self, name: str, path: str) -> str:
        """The path of a program, or nothing."""
        for directory in path.split(":"):
            candidate = f"{directory.rstrip('/')}/{name}"
            try:
                node = self.files.find(candidate)
            except FileProblem:
                continue
            if isinstance(node, File) and node.mode & 0o111:
                return candidate
        return ""

    def random(self) -> int:
        self.seed = (self.seed * 1103515245 + 12345) % (1 << 31)
        return self.seed >> 8
