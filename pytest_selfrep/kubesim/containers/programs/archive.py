"""``tar``: packs and unpacks files of the container, through memory only."""

from __future__ import annotations

import io
import tarfile

from pytest_selfrep.kubesim.containers.files import (
    FULL,
    MAX_BYTES,
    Directory,
    File,
    FileProblem,
    Link,
    Node,
    absolute,
)
from pytest_selfrep.kubesim.containers.process import Process
from pytest_selfrep.kubesim.containers.tasks import Steps

_MAX_MEMBERS = 4096


def tar(process: Process) -> Steps:
    letters, name, base, members = _read(process.argv[1:])
    cwd = absolute(base, process.cwd)
    if "c" in letters:
        return _create(process, letters, name, cwd, members)
    if "x" in letters or "t" in letters:
        try:
            data = (yield from process.read_all()) if name == "-" else process.files.read(process.path(name))
        except FileProblem as problem:
            return process.complain(f"can't open '{name}': {problem}")
        return _extract(process, letters, data, cwd)
    return process.complain("need at least one option")


def _read(words: list[str]) -> tuple[str, str, str, list[str]]:
    letters, name, base, members = "", "-", ".", []
    rest = list(words)
    if rest and not rest[0].startswith("-"):
        rest[0] = "-" + rest[0]
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            continue
        if word.startswith("-") and len(word) > 1:
            letters += word[1:]
            if "f" in word and rest:
                name = rest.pop(0)
            if "C" in word and rest:
                base = rest.pop(0)
        else:
            members.append(word)
    return letters, name, base, members


def _create(process: Process, letters: str, name: str, cwd: str, members: list[str]) -> int:
    packed, code, told = io.BytesIO(), 0, False
    with tarfile.open(fileobj=packed, mode="w:gz" if "z" in letters else "w") as archive:
        for member in members:
            try:
                found = process.files.find(absolute(member, cwd))
                if member.startswith("/") and not told:
                    process.stderr.write(b"tar: removing leading '/' from member names\n")
                    told = True
                _add(process, archive, member.lstrip("/") or ".", found, 0)
            except FileProblem as problem:
                code = process.complain(f"{member}: {problem}")
    if code:
        process.complain("error exit delayed from previous errors")
    if name == "-":
        process.out(packed.getvalue())
    else:
        process.files.write(process.files.open(process.path(name)), packed.getvalue(), replace=True)
    return code


def _add(process: Process, archive: tarfile.TarFile, name: str, node: Node, depth: int) -> None:
    process.engine.step()
    info = tarfile.TarInfo(name)
    info.mode = node.mode
    info.mtime = int(process.world.date().timestamp() - process.world.now() + node.changed)
    info.uname = info.gname = "root"
    if isinstance(node, Directory):
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
        for each, inner in sorted(node.entries.items()) if depth < 32 else ():
            _add(process, archive, f"{name}/{each}", inner, depth + 1)
    elif isinstance(node, Link):
        info.type, info.linkname = tarfile.SYMTYPE, node.target
        archive.addfile(info)
    else:
        data = node.read()
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


def _extract(process: Process, letters: str, data: bytes, cwd: str) -> int:
    member: tarfile.TarInfo | None = None
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if "z" in letters else "r:") as archive:
            for _ in range(_MAX_MEMBERS):
                member = archive.next()
                if member is None:
                    break
                process.engine.step()
                if "t" in letters:
                    process.out(member.name + "\n")
                else:
                    _unpack(process, archive, member, cwd)
    except FileProblem as problem:
        return process.complain(f"can't open '{member.name if member else ''}': {problem}")
    except (tarfile.TarError, OSError, EOFError):
        return process.complain("short read")
    return 0


def _unpack(process: Process, archive: tarfile.TarFile, member: tarfile.TarInfo, cwd: str) -> None:
    path = absolute(absolute("/" + member.name, "/").lstrip("/"), cwd)
    if member.isdir():
        process.files.make_directory(path, parents=True)
        return
    process.files.make_directory(path.rpartition("/")[0] or "/", parents=True)
    if member.issym():
        process.files.put(path, Link(member.linkname, process.world.now()))
    elif member.isfile():
        if member.size > MAX_BYTES:
            raise FileProblem(FULL)
        packed = archive.extractfile(member)
        made: File = process.files.open(path)
        process.files.write(made, packed.read() if packed else b"", replace=True)
        made.mode = member.mode & 0o777


PROGRAMS = {"tar": tar}
