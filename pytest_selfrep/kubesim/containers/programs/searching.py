"""``grep``: the lines that match an expression."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.process import Process, Program, decoded
from pytest_selfrep.kubesim.containers.programs.inputs import contents
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options
from pytest_selfrep.kubesim.containers.programs.regex import BadRegex, Regex
from pytest_selfrep.kubesim.containers.tasks import Steps


def grep(process: Process) -> Steps:
    try:
        found, names = options(process.argv[1:], "ivcnqoEFwxhHlsr", "em")
    except Misused as problem:
        return misused(process, problem)
    shapes = [found["e"]] if "e" in found else names[:1]
    names = names if "e" in found else names[1:]
    if not shapes:
        return process.complain("missing pattern", 2)
    try:
        matcher = _matcher(process, shapes[0], found)
    except BadRegex as problem:
        return process.complain(f"bad regex '{shapes[0]}': {problem}", 2)
    code, prefix = 1, "H" in found or (len(names) > 1 and "h" not in found)
    for name in names or ["-"]:
        data = yield from contents(process, name)
        if data is None:
            code = 2
            continue
        hits = _hits(matcher, decoded(data), found)
        if hits and code == 1:
            code = 0
        if "q" in found:
            continue
        title = f"{name}:" if prefix else ""
        if "c" in found:
            process.out(f"{title}{len(hits)}\n")
        elif "l" in found:
            process.out(f"{name}\n" if hits else "")
        else:
            process.out("".join(title + hit + "\n" for hit in hits))
    return code


def _matcher(process: Process, shape: str, found: dict[str, str]) -> Regex:
    """Raises BadRegex. Lines of an expression are alternatives."""
    extended, plain = "E" in found, "F" in found
    shapes = shape.split("\n")
    if plain:
        shapes = [re.sub(r"([.*\[\]^$\\])", r"\\\1", each) for each in shapes]
    if "w" in found:
        shapes = [rf"\b({each})\b" if extended else rf"\b\({each}\)\b" for each in shapes]
    return Regex(
        ("|" if extended else "\\|").join(shapes),
        extended=extended and not plain,
        fold="i" in found,
        spend=process.engine.spend,
    )


def _hits(matcher: Regex, text: str, found: dict[str, str]) -> list[str]:
    most = int(found["m"]) if found.get("m", "").isdigit() else None
    hits: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if (matcher.whole(line) if "x" in found else matcher.found(line)) is ("v" in found):
            continue
        shown = list(matcher.spans(line)) if "o" in found and "v" not in found else [line]
        hits += [f"{number}:{each}" if "n" in found else each for each in shown]
        if most is not None and len(hits) >= most:
            break
    return hits


PROGRAMS: Mapping[str, Program] = {
    "grep": grep,
}
