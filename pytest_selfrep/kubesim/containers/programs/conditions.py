"""``test`` and ``[``: conditions about texts, numbers and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise

from pytest_selfrep.kubesim.containers.files import Directory, File, FileProblem, Link
from pytest_selfrep.kubesim.containers.process import Process, Program, encoded


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
    return any(
        all(_holds(process, condition) for condition in _split(part, "-a")) for part in _split(words, "-o")
    )


def _split(words: list[str], joint: str) -> list[list[str]]:
    """The words between joints; those at either end are words like others."""
    marks = [at for at, word in enumerate(words) if word == joint and 0 < at < len(words) - 1]
    return [words[start + 1 : end] for start, end in pairwise((-1, *marks, len(words)))]


def _holds(process: Process, words: list[str]) -> bool:
    negations = 0
    while len(words) > 1 and words[0] == "!":
        words, negations = words[1:], negations + 1
    return _is(process, words) is (negations % 2 == 0)


def _is(process: Process, words: list[str]) -> bool:
    match words:
        case []:
            return False
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
    "test": check,
}
