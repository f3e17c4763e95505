"""Programs for text: ``echo``, ``cat``, ``grep``, ``head``, ``tail``, ``wc``, ``sort`` and their like."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Generator, Mapping, Sequence

from pytest_selfrep.kubesim.containers.files import FileProblem
from pytest_selfrep.kubesim.containers.process import Process, Program, decoded, encoded
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options
from pytest_selfrep.kubesim.containers.tasks import FOREVER, Killed, Steps, Wait

_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    "e": "\x1b",
}
_ESCAPE = re.compile(r"\\(0[0-7]{0,3}|[0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_DIRECTIVE = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d+))?([a-zA-Z%])")
_WIDEST = 4096


def unescaped(text: str) -> str:
    """With C's escapes replaced."""

    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x":
            return chr(int(code[1:], 16))
        if code[0].isdigit():
            return chr(int(code, 8) % 256)
        return _ESCAPES.get(code, found[0])

    return _ESCAPE.sub(one, text)


def echo(process: Process) -> int:
    words, newline, escapes = process.argv[1:], True, False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        flags = words.pop(0)
        newline = newline and "n" not in flags
        escapes = "e" in flags or (escapes and "E" not in flags)
    text = " ".join(words)
    if escapes:
        text, cut, _ = text.partition("\\c")
        text, newline = unescaped(text), newline and not cut
    process.out(text + ("\n" if newline else ""))
    return 0


def printf(process: Process) -> int:
    if len(process.argv) < 2:
        process.stderr.write(b"sh: printf: usage: printf FORMAT [ARG]...\n")
        return 2
    shape, rest = process.argv[1], process.argv[2:]
    code = 0

    def directive(found: re.Match[str]) -> str:
        nonlocal code
        flags, width, precision, kind = found.groups()
        if kind == "%":
            return "%"
        if int(width or 0) > _WIDEST or int(precision or 0) > _WIDEST:
            raise Killed
        value = rest.pop(0) if rest else ""
        spec = f"%{flags}{width}" + (f".{precision}" if precision else "")
        if kind == "b":
            return (spec + "s") % unescaped(value)
        if kind in "sc":
            return (spec + "s") % (value[:1] if kind == "c" else value)
        if kind in "diuxXofeEgG":
            try:
                number = float(value or "0") if kind in "feEgG" else int(value or "0", 0)
            except ValueError:
                code = process.complain(f"invalid number '{value}'")
                number = 0
            return (spec + ("d" if kind in "iu" else kind)) % number
        code = process.complain(f"{found[0]}: invalid format")
        return ""

    parts = []
    while True:
        before = len(rest)
        parts.append(_DIRECTIVE.sub(directive, unescaped(shape)))
        process.engine.step()
        if not rest or len(rest) == before:
            break
    process.out("".join(parts))
    return code


Input = Generator[Wait, None, bytes | None]


def contents(process: Process, name: str) -> Input:
    """A file's bytes, or the input's for ``-``; None if it cannot be read, which has been said."""
    if name == "-":
        return (yield from process.read_all())
    try:
        return process.files.read(process.path(name))
    except FileProblem as problem:
        words = f"read error: {problem}" if str(problem) == "Is a directory" else ""
        process.complain(
            f"{name}: {problem}" if process.name != "cat" else words or f"can't open '{name}': {problem}"
        )
        return None


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


def _each(
    process: Process, names: Sequence[str], titled: bool, shown: Callable[[bytes], bytes | str]
) -> Steps:
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


def _count(process: Process, found: dict[str, str], names: list[str]) -> int | None:
    text = found.get("c", found.get("n", "10"))
    if not re.fullmatch(r"[-+]?\d+", text):
        process.complain(f"invalid number '{text}'")
        return None
    return int(text)


def _old_style(words: list[str]) -> list[str]:
    """``-5`` is ``-n 5``."""
    return [f"-n{word[1:]}" if re.fullmatch(r"-\d+", word) else word for word in words]


def head(process: Process) -> Steps:
    try:
        found, names = options(_old_style(process.argv[1:]), "qv", "nc")
    except Misused as problem:
        return misused(process, problem)
    count = _count(process, found, names)
    if count is None:
        return 1
    if not names and "c" not in found and count >= 0:
        for _ in range(count):
            line = yield from process.read_line()
            if not line:
                break
            process.out(line)
        return 0

    def shown(data: bytes) -> bytes:
        if "c" in found:
            return data[:count]
        return b"".join(data.splitlines(keepends=True)[:count])

    return (yield from _each(process, names, True, shown))


def tail(process: Process) -> Steps:
    try:
        found, names = options(_old_style(process.argv[1:]), "fFqv", "nc")
    except Misused as problem:
        return misused(process, problem)
    count = _count(process, found, names)
    if count is None:
        return 1
    given = found.get("c", found.get("n", ""))

    def shown(data: bytes) -> bytes:
        pieces = (
            [data[i : i + 1] for i in range(len(data))] if "c" in found else data.splitlines(keepends=True)
        )
        if given.startswith("+"):
            return b"".join(pieces[max(0, count - 1) :])
        return b"".join(pieces[-abs(count) :] if count else [])

    code = yield from _each(process, names, True, shown)
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
        matcher = _matcher(shapes[0], found)
    except (re.error, ValueError):
        return process.complain(f"bad regex '{shapes[0]}'", 2)
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


def _matcher(shape: str, found: dict[str, str]) -> re.Pattern[str]:
    if len(shape) > 200 or re.search(r"[*+}]\)?[*+{]|\)[*+{]", shape):
        raise ValueError(shape)  # what could take for ever
    if "F" in found:
        shape = re.escape(shape)
    elif "E" not in found:
        shape = re.sub(r"\\([|+?(){}])|([|+?(){}])", lambda m: m[1] or "\\" + m[2], shape)
    shape = re.sub(r"\[:(\w+):\]", lambda m: _CLASSES.get(m[1], ""), shape)
    if "w" in found:
        shape = rf"\b(?:{shape})\b"
    if "x" in found:
        shape = f"^(?:{shape})$"
    return re.compile(shape, re.IGNORECASE if "i" in found else 0)


_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "space": r"\s",
    "upper": "A-Z",
    "lower": "a-z",
}


def _hits(matcher: re.Pattern[str], text: str, found: dict[str, str]) -> list[str]:
    most = int(found["m"]) if found.get("m", "").isdigit() else None
    hits: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        matched = matcher.search(line[:4096])
        if (matched is None) is ("v" not in found):
            continue
        shown = [each[0] for each in matcher.finditer(line)] if "o" in found and "v" not in found else [line]
        hits += [f"{number}:{each}" if "n" in found else each for each in shown]
        if most is not None and len(hits) >= most:
            break
    return hits


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

    return (yield from _each(process, names, False, shown))


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
    text = re.sub(r"\[:(\w+):\]", lambda m: _CLASSES.get(m[1], ""), unescaped(text))
    return re.sub(
        r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), min(ord(m[2]), ord(m[1]) + 256) + 1))), text
    )


def tee(process: Process) -> Steps:
    data = yield from process.read_all()
    process.out(data)
    for name in process.argv[1:]:
        if name != "-a":
            path = process.path(name)
            process.files.write(process.files.open(path, append="-a" in process.argv), data)
    return 0


def seq(process: Process) -> Steps:
    numbers = process.argv[1:]
    if not numbers or not all(re.fullmatch(r"-?\d+", number) for number in numbers):
        return process.complain("invalid number")
    values = [int(number) for number in numbers]
    first, step, last = (1, 1, *values)[-3:] if len(values) < 3 else values
    if len(values) == 2:
        first, step, last = values[0], 1, values[1]
    for value in range(first, last + (1 if step > 0 else -1), step or 1):
        process.engine.step()
        process.out(f"{value}\n")
        yield from process.room()
    return 0


def yes(process: Process) -> Steps:
    line = encoded(" ".join(process.argv[1:]) or "y") + b"\n"
    while True:
        process.engine.step()
        process.out(line * 64)
        yield Wait()
        yield from process.room()


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


def check(process: Process) -> int:
    """``test``, and ``[`` with its closing bracket."""
    words = process.argv[1:]
    if process.name == "[":
        if words[-1:] != ["]"]:
            return process.complain("missing ]", 2)
        words = words[:-1]
    try:
        return int(not _true(process, words))
    except ValueError as problem:
        process.stderr.write(encoded(f"sh: {problem}\n"))
        return 2


def _true(process: Process, words: list[str]) -> bool:
    for joint in ("-o", "-a"):
        if joint in words[1:-1]:
            at = words.index(joint, 1)
            one, other = _true(process, words[:at]), _true(process, words[at + 1 :])
            return one or other if joint == "-o" else one and other
    match words:
        case []:
            return False
        case ["!", *rest]:
            return not _true(process, rest)
        case [word]:
            return bool(word)
        case ["-n", word]:
            return bool(word)
        case ["-z", word]:
            return not word
        case ["-t", _]:
            return process.terminal
        case [flag, name] if flag in ("-e", "-f", "-d", "-r", "-w", "-x", "-s", "-h", "-L"):
            return _file_is(process, flag, name)
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, operator, right] if operator in _COMPARE:
            return _COMPARE[operator](_integer(left), _integer(right))
    raise ValueError(f"{words[1] if len(words) > 1 else words[0]}: unknown operand")


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}


def _integer(word: str) -> int:
    if not re.fullmatch(r"\s*[-+]?\d{1,18}\s*", word):
        raise ValueError(f"{word}: bad number")
    return int(word)


def _file_is(process: Process, flag: str, name: str) -> bool:
    from pytest_selfrep.kubesim.containers.files import Directory, File, Link

    try:
        node = process.files.find(process.path(name), follow=flag not in ("-h", "-L"))
    except FileProblem:
        return False
    return {
        "-f": isinstance(node, File),
        "-d": isinstance(node, Directory),
        "-h": isinstance(node, Link),
        "-L": isinstance(node, Link),
        "-s": isinstance(node, Directory) or (isinstance(node, File) and bool(node.read())),
        "-x": bool(node.mode & 0o111),
    }.get(flag, True)


PROGRAMS: Mapping[str, Program] = {
    "[": check,
    "base64": base64_,
    "cat": cat,
    "cut": cut,
    "echo": echo,
    "grep": grep,
    "head": head,
    "printf": printf,
    "seq": seq,
    "sort": sort,
    "tail": tail,
    "tee": tee,
    "test": check,
    "tr": tr,
    "uniq": uniq,
    "wc": wc,
    "yes": yes,
}
