"""Programs that show text, or how much of it there is: ``cat``, ``head``, ``tail``, ``wc``, ``tee``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.files import FileProblem
from pytest_selfrep.kubesim.containers.process import Process, Program
from pytest_selfrep.kubesim.containers.programs.inputs import contents, each_shown
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options
from pytest_selfrep.kubesim.containers.tasks import FOREVER, Steps, Wait


def cat(process: Process) -> Steps:
    code = 0
    for name in [word for word in process.argv[1:] if word not in ("-u", "-A", "-e", "-v")] or ["-"]:
        if name != "-":
            data = yield from contents(process, name)
            code = 1 if data is None else code
            process.out(data or b"")
            continue
        while piece := (yield from process.read()):
            process.out(piece)
            yield from process.room()
    return code


def _count(process: Process, found: dict[str, str]) -> int | None:
    text = found.get("c", found.get("n", "10"))
    if not re.fullmatch(r"[-+]?\d{1,18}", text):
        process.complain(f"invalid number '{text}'")
        return None
    return int(text)


def _old_style(words: list[str]) -> list[str]:
    """``-5`` is ``-n 5``."""
    return [f"-n{word[1:]}" if re.fullmatch(r"-\d+", word, re.ASCII) else word for word in words]


def head(process: Process) -> Steps:
    try:
        found, names = options(_old_style(process.argv[1:]), "qv", "nc")
    except Misused as problem:
        return misused(process, problem)
    count = _count(process, found)
    if count is None:
        return 1
    if not names and "c" not in found and count >= 0:
        for _ in range(count):
            line = yield from process.read_line()
            if not line:
                break
            process.out(line)
        return 0

    if not names and "c" in found and count >= 0:
        while count and (piece := (yield from process.read())):
            process.out(piece[:count])
            count -= min(count, len(piece))
        return 0

    def shown(data: bytes) -> bytes:
        if "c" in found:
            return data[:count]
        return b"".join(data.splitlines(keepends=True)[:count])

    return (yield from each_shown(process, names, True, shown))


def tail(process: Process) -> Steps:
    try:
        found, names = options(_old_style(process.argv[1:]), "fFqv", "nc")
    except Misused as problem:
        return misused(process, problem)
    count = _count(process, found)
    if count is None:
        return 1
    given = found.get("c", found.get("n", ""))

    def shown(data: bytes) -> bytes:
        first = slice(max(0, count - 1), None) if given.startswith("+") else slice(-abs(count), None)
        if not count and not given.startswith("+"):
            return b""
        return data[first] if "c" in found else b"".join(data.splitlines(keepends=True)[first])

    code = yield from each_shown(process, names, True, shown)
    if ("f" in found or "F" in found) and names:
        yield from _follow(process, names[-1])
    return code


def _follow(process: Process, name: str) -> Steps:
    if name in ("/dev/null", "-"):
        yield FOREVER
    size = len(process.files.read(process.path(name))) if process.files.exists(process.path(name)) else 0
    while True:
        yield Wait(until=process.engine.now() + 1.0)
        process.engine.step()
        try:
            data = process.files.read(process.path(name))
        except FileProblem:
            continue
        if len(data) > size:
            process.out(data[size:])
        size = len(data)


def wc(process: Process) -> Steps:
    try:
        found, names = options(process.argv[1:], "lwcm")
    except Misused as problem:
        return misused(process, problem)
    letters = [each for each in "lwc" if each in found or (each == "c" and "m" in found)] or list("lwc")
    totals = dict.fromkeys("lwc", 0)
    code = 0
    for name in names or ["-"]:
        data = yield from contents(process, name)
        if data is None:
            code = 1
            continue
        counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
        totals = {each: totals[each] + counts[each] for each in totals}
        process.out(_counted(counts, letters, name if names else ""))
    if len(names) > 1:
        process.out(_counted(totals, letters, "total"))
    return code


def _counted(counts: dict[str, int], letters: list[str], name: str) -> str:
    wide = "%9d" if len(letters) > 1 else "%d"
    shown = " ".join(wide % counts[each] for each in letters)
    return f"{shown}{' ' + name if name else ''}\n"


def tee(process: Process) -> Steps:
    data = yield from process.read_all()
    process.out(data)
    for name in process.argv[1:]:
        if name != "-a":
            path = process.path(name)
            process.files.write(process.files.open(path, append="-a" in process.argv), data)
    return 0


PROGRAMS: Mapping[str, Program] = {
    "cat": cat,
    "head": head,
    "tail": tail,
    "tee": tee,
    "wc": wc,
}
