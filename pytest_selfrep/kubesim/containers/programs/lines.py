"""Programs that rearrange text: ``sort``, ``uniq``, ``cut``, ``tr``, ``base64``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.process import Process, Program, decoded
from pytest_selfrep.kubesim.containers.programs.inputs import contents, each_shown
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options
from pytest_selfrep.kubesim.containers.programs.printing import unescaped
from pytest_selfrep.kubesim.containers.programs.regex import CLASSES
from pytest_selfrep.kubesim.containers.tasks import Steps


def sort(process: Process) -> Steps:
    try:
        found, names = options(process.argv[1:], "nru", "kt")
    except Misused as problem:
        return misused(process, problem)
    lines: list[bytes] = []
    for name in names or ["-"]:
        data = yield from contents(process, name)
        lines += (data or b"").splitlines()
    lines.sort(reverse="r" in found)
    if "n" in found:
        lines.sort(key=_leading_number, reverse="r" in found)
    if "u" in found:
        lines = list(dict.fromkeys(lines))
    process.out(b"".join(line + b"\n" for line in lines))
    return 0


def _leading_number(line: bytes) -> float:
    found = re.match(rb"\s*-?\d+(\.\d+)?", line)
    return float(found[0]) if found else 0.0


def uniq(process: Process) -> Steps:
    data = yield from process.read_all()
    last, count = None, 0
    counted = "-c" in process.argv[1:]
    for line in [*data.splitlines(), None]:
        if line == last and line is not None:
            count += 1
            continue
        if last is not None:
            process.out((b"%7d " % count if counted else b"") + last + b"\n")
        last, count = line, 1
    return 0


def cut(process: Process) -> Steps:
    try:
        found, names = options(process.argv[1:], "s", "dfc")
    except Misused as problem:
        return misused(process, problem)
    wanted = found.get("f", found.get("c", ""))
    if not re.fullmatch(r"\d*(-\d*)?(,\d*(-\d*)?)*", wanted) or not wanted:
        return process.complain("expected a list of bytes, characters, or fields")
    mark = found.get("d", "\t")

    def shown(data: bytes) -> str:
        return "".join(
            _cut_line(line, wanted, "" if "c" in found else mark) for line in decoded(data).splitlines()
        )

    return (yield from each_shown(process, names, False, shown))


def _cut_line(line: str, wanted: str, mark: str) -> str:
    pieces = line.split(mark) if mark else list(line)
    if mark and len(pieces) == 1:
        return line + "\n"
    kept = set()
    for part in wanted.split(","):
        first, dash, last = part.partition("-")
        start = int(first or 1)
        kept |= set(range(start, (int(last) if last else len(pieces) if dash else start) + 1)[: len(pieces)])
    return mark.join(piece for at, piece in enumerate(pieces, 1) if at in kept) + "\n"


def tr(process: Process) -> Steps:
    deletes, words = "-d" in process.argv[1:], [w for w in process.argv[1:] if w not in ("-d", "-s")]
    if not words:
        return process.complain("missing operand")
    text = decoded((yield from process.read_all()))
    first = _ranged(words[0])
    if deletes:
        process.out(text.translate({ord(char): None for char in first}))
        return 0
    second = _ranged(words[1]) if len(words) > 1 else ""
    if not second:
        return process.complain("missing operand")
    second += second[-1] * (len(first) - len(second))
    process.out(text.translate({ord(a): b for a, b in zip(first, second, strict=False)}))
    return 0


def _ranged(text: str) -> str:
    text = re.sub(r"\[:(\w+):\]", lambda m: CLASSES.get(m[1], ""), unescaped(text))
    return re.sub(
        r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), min(ord(m[2]), ord(m[1]) + 256) + 1))), text
    )


def base64_(process: Process) -> Steps:
    decodes = "-d" in process.argv[1:]
    names = [word for word in process.argv[1:] if word not in ("-d", "-w0", "-w", "0")]
    data = yield from contents(process, names[0] if names else "-")
    if data is None:
        return 1
    try:
        shown = base64.b64decode(data, validate=False) if decodes else base64.encodebytes(data)
    except ValueError:
        return process.complain("truncated input")
    process.out(shown if decodes or "-w0" not in process.argv else shown.replace(b"\n", b""))
    return 0


PROGRAMS: Mapping[str, Program] = {
    "base64": base64_,
    "cut": cut,
    "sort": sort,
    "tr": tr,
    "uniq": uniq,
}
