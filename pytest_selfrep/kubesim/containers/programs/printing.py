"""Programs that print what they are told: ``echo``, ``printf``, ``seq``, ``yes``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.process import CHUNK, Process, Program, encoded
from pytest_selfrep.kubesim.containers.tasks import Killed, Steps, Wait

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


def seq(process: Process) -> Steps:
    numbers = process.argv[1:]
    if not numbers or not all(re.fullmatch(r"-?\d{1,30}", number) for number in numbers):
        return process.complain("invalid number")
    values = [int(number) for number in numbers]
    first, step, last = (1, 1, *values)[-3:] if len(values) < 3 else values
    if len(values) == 2:
        first, step, last = values[0], 1, values[1]
    value = first
    while value <= last if step >= 0 else value >= last:
        process.engine.step()
        process.out(f"{value}\n")
        yield from process.room()
        value += step
    return 0


def yes(process: Process) -> Steps:
    line = encoded(" ".join(process.argv[1:]) or "y") + b"\n"
    lines = line * (CHUNK // len(line) or 1)
    while True:
        process.engine.step()
        process.out(lines)
        yield Wait()
        yield from process.room()


PROGRAMS: Mapping[str, Program] = {
    "echo": echo,
    "printf": printf,
    "seq": seq,
    "yes": yes,
}
