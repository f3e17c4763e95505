"""The files that programs for text are given, or their standard input."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from pytest_selfrep.kubesim.containers.files import FileProblem
from pytest_selfrep.kubesim.containers.process import Process
from pytest_selfrep.kubesim.containers.tasks import Steps, Wait

Input = Generator[Wait, None, bytes | None]


def contents(process: Process, name: str) -> Input:
    """A file's bytes, or the input's for ``-``; None if it cannot be read, which has been said."""
    if name == "-":
        return (yield from process.read_all())
    try:
        data = process.files.read(process.path(name))
    except FileProblem as problem:
        words = f"read error: {problem}" if str(problem) == "Is a directory" else ""
        process.complain(
            f"{name}: {problem}" if process.name != "cat" else words or f"can't open '{name}': {problem}"
        )
        return None
    process.engine.spend(len(data))
    return data


def each_shown(
    process: Process, names: Sequence[str], titled: bool, shown: Callable[[bytes], bytes | str]
) -> Steps:
    """Print what ``shown`` makes of every file, or of the input without any; ``titled``: with their names."""
    code = 0
    for index, name in enumerate(names or ["-"]):
        data = yield from contents(process, name)
        if data is None:
            code = 1
            continue
        if titled and len(names) > 1:
            process.out(("\n" if index else "") + f"==> {name} <==\n")
        process.out(shown(data))
    return code
