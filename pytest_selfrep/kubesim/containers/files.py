"""The file system of a container, in memory: nothing of it is on any disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

MAX_BYTES = 16 * 1024 * 1024
"""That the files of a container may hold together."""
MAX_NAMES = 4096
"""Files and directories that a container may make."""
MAX_PATH = 4096
"""Characters of a path; and a sixteenth as many directories within one another."""
_MAX_LINKS = 20


class FileProblem(Exception):
    """An operation that fails; the message is that of the C library."""


NOT_FOUND = "No such file or directory"
IS_DIRECTORY = "Is a directory"
NOT_DIRECTORY = "Not a directory"
READ_ONLY = "Read-only file system"
EXISTS = "File exists"
NOT_EMPTY = "Directory not empty"
FULL = "No space left on device"
DENIED = "Permission denied"


@dataclass(slots=True, eq=False)
class File:
    """``contents`` is asked anew at each reading if it is a function, as in /proc."""

    contents: bytes | Callable[[], bytes] = b""
    mode: int = 0o644
    changed: float = 0.0
    program: str = ""
    """What runs when it is executed, where it is one of the system's programs."""

    def read(self) -> bytes:
        return self.contents if isinstance(self.contents, bytes) else self.contents()

    @property
    def size(self) -> int:
        return len(self.contents) if isinstance(self.contents, bytes) else 0


@dataclass(slots=True, eq=False)
class Link:
    target: str
    changed: float = 0.0
    mode: int = 0o777

    @property
    def size(self) -> int:
        return len(self.target)


@dataclass(slots=True, eq=False)
class Directory:
    entries: dict[str, Node] = field(default_factory=dict)
    mode: int = 0o755
    changed: float = 0.0
    read_only: bool = False
    size: int = 4096


Node: TypeAlias = File | Link | Directory


class FileSystem:
    """Directories and files under one root."""

    def __init__(self, root: Directory, now: Callable[[], float]) -> None:
        self.root = root
        self._now = now
        self._bytes = 0
        self._names = 0

    def find(self, path: str, *, follow: bool = True) -> Node:
        """What an absolute path names. Raises FileProblem."""
        return self._walk(path, follow)[2]

    def exists(self, path: str) -> bool:
        try:
            self.find(path)
        except FileProblem:
            return False
        return True

    def directory(self, path: str) -> Directory:
        """Raises FileProblem."""
        found = self.find(path)
        if not isinstance(found, Directory):
            raise FileProblem(NOT_DIRECTORY)
        return found

    def read(self, path: str) -> bytes:
        """Raises FileProblem."""
        found = self.find(path)
        if not isinstance(found, File):
            raise FileProblem(IS_DIRECTORY)
        return found.read()

    def open(self, path: str, *, append: bool = False, mode: int = 0o644) -> File:
        """A file to write to, made if it is not there and emptied unless appended to. Raises FileProblem."""
        try:
            found = self.find(path)
        except FileProblem as problem:
            if str(problem) != NOT_FOUND:
                raise
            made = File(mode=mode, changed=self._now())
            self.put(path, made)
            return made
        if isinstance(found, Directory):
            raise FileProblem(IS_DIRECTORY)
        if not isinstance(found, File) or self._is_read_only(path):
            raise FileProblem(READ_ONLY)
        if not isinstance(found.contents, bytes) or found.program:
            raise FileProblem(DENIED)
        if not append:
            self.write(found, b"", replace=True)
        return found

    def write(self, file: File, data: bytes, *, replace: bool = False) -> None:
        """Add to a file, or replace what it holds. Raises FileProblem."""
        old = file.read()
        new = data if replace else old + data
        if self._bytes + len(new) - len(old) > MAX_BYTES:
            raise FileProblem(FULL)
        self._bytes += len(new) - len(old)
        file.contents, file.changed = new, self._now()

    def put(self, path: str, node: Node) -> None:
        """Give a node a name, in place of what had it. Raises FileProblem."""
        self._set(*self._parent(path), node)

    def mount(self, path: str, node: Node) -> None:
        """The same, also where nobody may write. Raises FileProblem."""
        self._set(*self._place(path), node)

    def _set(self, parent: Directory, name: str, node: Node) -> None:
        if not name:
            raise FileProblem(EXISTS)
        self._names += name not in parent.entries
        if self._names > MAX_NAMES:
            raise FileProblem(FULL)
        parent.entries[name] = node
        parent.changed = self._now()

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Raises FileProblem."""
        at = ""
        parts = _parts(path)
        for index, part in enumerate(parts):
            at += f"/{part}"
            last = index == len(parts) - 1
            if not last and not parents:
                continue
            if self.exists(at):
                if last and not parents:
                    raise FileProblem(EXISTS)
                self.directory(at)
                continue
            self.put(at, Directory(changed=self._now()))
        if not parts and not parents:
            raise FileProblem(EXISTS)

    def remove(self, path: str) -> None:
        """Take a name away. Raises FileProblem."""
        parent, name = self._parent(path)
        if name not in parent.entries:
            raise FileProblem(NOT_FOUND)
        node = parent.entries.pop(name)
        self._names -= 1
        self._bytes -= sum(each.size for each in _files(node))

    def _is_read_only(self, path: str) -> bool:
        return self._walk(path, True)[0].read_only

    def _parent(self, path: str) -> tuple[Directory, str]:
        parent, name = self._place(path)
        if parent.read_only:
            raise FileProblem(READ_ONLY)
        return parent, name

    def _place(self, path: str) -> tuple[Directory, str]:
        head, _, name = path.rstrip("/").rpartition("/")
        _parts(path)
        return self.directory(head or "/"), name

    def _walk(self, path: str, follow: bool) -> tuple[Directory, str, Node]:
        """A node, with its directory and its name there."""
        parts = _parts(path)
        trail: list[Directory] = [self.root]
        node: Node = self.root
        name, links = "", 0
        while parts:
            name = parts.pop(0)
            directory = trail[-1]
            if name == ".":
                continue
            if name == "..":
                if len(trail) > 1:
                    trail.pop()
                node = trail[-1]
                continue
            found = directory.entries.get(name)
            if found is None:
                raise FileProblem(NOT_FOUND)
            node = found
            if isinstance(node, Link) and (parts or follow):
                links += 1
                if links > _MAX_LINKS:
                    raise FileProblem("Symbolic link loop")
                if node.target.startswith("/"):
                    trail = [self.root]
                parts = [part for part in node.target.split("/") if part] + parts
                node = trail[-1]
            elif isinstance(node, Directory):
                trail.append(node)
            elif parts:
                raise FileProblem(NOT_DIRECTORY)
        parent = trail[-2] if isinstance(node, Directory) and len(trail) > 1 else trail[-1]
        return parent, name, node


def _parts(path: str) -> list[str]:
    """Raises FileProblem."""
    parts = [part for part in path.split("/") if part]
    if len(path) > MAX_PATH or len(parts) > MAX_PATH // 16 or any(len(part) > 255 for part in parts):
        raise FileProblem("File name too long")
    return parts


def _files(node: Node) -> Iterator[File]:
    if isinstance(node, File):
        yield node
    elif isinstance(node, Directory):
        for each in node.entries.values():
            yield from _files(each)


def absolute(path: str, cwd: str) -> str:
    """A path from the root, without ``.``; ``..`` goes up by name, as a shell's ``cd`` does."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{cwd}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
