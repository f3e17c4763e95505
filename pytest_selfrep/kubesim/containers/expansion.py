"""Expands words of shell scripts: parameters, substitutions, arithmetic, fields, file names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Generator, Sequence
from typing import Protocol

from pytest_selfrep.kubesim.containers.arithmetic import Problem, evaluate
from pytest_selfrep.kubesim.containers.files import Directory, FileProblem, FileSystem, absolute
from pytest_selfrep.kubesim.containers.syntax import Arithmetic, Parameter, Part, Script, Text, Word
from pytest_selfrep.kubesim.containers.tasks import Killed, Wait

MAX_LENGTH = 256 * 1024
"""Characters that a word may have."""
FIELD_BYTES = 128
"""Characters that cost as much as one more field."""
_GLOB = re.compile(r"[*?\[]")

Field = list[tuple[str, bool]]
"""Characters with whether they were quoted."""
Expanding = Generator[Wait, None, list[Field]]


class ExpansionProblem(Exception):
    """What cannot be expanded ends the shell; the message is ash's."""


class Variables(Protocol):
    """What of a shell words depend on."""

    cwd: str

    def value(self, name: str) -> str | None: ...
    def assign(self, name: str, value: str) -> None: ...
    def spend(self, count: int) -> None: ...
    @property
    def arguments(self) -> Sequence[str]: ...
    @property
    def files(self) -> FileSystem: ...
    def substitute(self, body: Script) -> Generator[Wait, None, str]: ...


def fields(shell: Variables, words: Sequence[Word]) -> Generator[Wait, None, list[str]]:
    """Words as a program gets them."""
    found: list[str] = []
    for word in words:
        for field in (yield from _expand(shell, word, split=True)):
            found.extend(_file_names(shell, field))
    return found


def text(shell: Variables, word: Word) -> Generator[Wait, None, str]:
    """A word that stays one: an assignment's, a redirection's, a case's."""
    expanded = yield from _expand(shell, word, split=False)
    return "".join(part for field in expanded for part, _ in field)


def pattern(shell: Variables, word: Word) -> Generator[Wait, None, str]:
    """A word as a pattern for fnmatch, what was quoted standing for itself."""
    expanded = yield from _expand(shell, word, split=False)
    return "".join(_literal(part) if quoted else part for field in expanded for part, quoted in field)


def _literal(part: str) -> str:
    return _GLOB.sub(lambda found: f"[{found[0]}]", part)


def _expand(shell: Variables, word: Word, *, split: bool) -> Expanding:
    done: list[Field] = []
    current: Field = []
    open_field = False
    for index, part in enumerate(word):
        if isinstance(part, Text):
            content = _home(shell, part, index) if not part.quoted else part.text
            current.append((content, part.quoted))
            open_field = True
            continue
        pieces = yield from _values(shell, part, split)
        if part.quoted or not split:
            for number, piece in enumerate(pieces):
                if number:
                    done.append(current)
                    current = []
                current.append((piece, bool(part.quoted)))
                open_field = True
            continue
        for number, piece in enumerate(pieces):
            if number and open_field:
                done.append(current)
                current, open_field = [], False
            open_field, current = _split(shell, piece, done, current, open_field)
    if open_field:
        done.append(current)
    length = sum(len(piece) for field in done for piece, _ in field)
    shell.spend(length + FIELD_BYTES * len(done))
    if length > MAX_LENGTH:
        raise Killed
    return done


def _split(
    shell: Variables, piece: str, done: list[Field], current: Field, open_field: bool
) -> tuple[bool, Field]:
    separators = shell.value("IFS")
    if separators is None:
        separators = " \t\n"
    if not separators or not piece:
        if piece:
            current.append((piece, False))
        return open_field or bool(piece), current
    blanks = "".join(each for each in separators if each in " \t\n")
    blank = f"[{re.escape(blanks)}]*" if blanks else ""
    parts = re.split(f"{blank}[{re.escape(separators)}]{blank}", piece)
    for number, part in enumerate(parts):
        if number:
            if open_field or piece[0] not in blanks:
                done.append(current)
            current, open_field = [], False
        if part:
            current.append((part, False))
            open_field = True
    return open_field, current


def _home(shell: Variables, part: Text, index: int) -> str:
    if index == 0 and (part.text == "~" or part.text.startswith("~/")):
        return (shell.value("HOME") or "/root") + part.text[1:]
    return part.text


def _values(shell: Variables, part: Part, split: bool) -> Generator[Wait, None, list[str]]:
    if isinstance(part, Arithmetic):
        expression = yield from text(shell, part.expression)
        try:
            return [str(evaluate(expression, lambda name: shell.value(name) or "0", shell.assign))]
        except Problem as problem:
            raise ExpansionProblem(f"arithmetic {problem}") from None
    if isinstance(part, Parameter):
        return (yield from _parameter(shell, part, split))
    if isinstance(part, Text):
        return [part.text]
    return [(yield from shell.substitute(part.body)).rstrip("\n")]


def _parameter(shell: Variables, part: Parameter, split: bool) -> Generator[Wait, None, list[str]]:
    if part.name in ("@", "*") and not part.operator:
        if part.name == "@" and (part.quoted or split):
            return list(shell.arguments)
        if part.quoted or not split:
            return [" ".join(shell.arguments)]
        return list(shell.arguments)
    value = shell.value(part.name)
    operator = part.operator
    if operator == "length":
        return [str(len(value or ""))]
    missing = value is None or (operator.startswith(":") and not value)
    match operator.removeprefix(":"):
        case "":
            return [value or ""]
        case "-" if missing:
            return [(yield from text(shell, part.word))]
        case "=" if missing:
            given = yield from text(shell, part.word)
            shell.assign(part.name, given)
            return [given]
        case "+":
            return ["" if missing else (yield from text(shell, part.word))]
        case "?" if missing:
            why = (yield from text(shell, part.word)) or "parameter not set"
            raise ExpansionProblem(f"{part.name}: {why}")
        case "#" | "##" | "%" | "%%":
            shape = yield from pattern(shell, part.word)
            shell.spend(len(value or "") ** 2 // 32)
            return [_trimmed(value or "", shape, operator)]
    return [value or ""]


def _trimmed(value: str, shape: str, operator: str) -> str:
    if len(value) > 4096:
        raise Killed
    matches = re.compile(fnmatch.translate(shape)).match
    lengths = range(len(value) + 1)
    if len(operator) == 2:
        lengths = lengths[::-1]
    for length in lengths:
        if operator[0] == "#" and matches(value[:length]):
            return value[length:]
        if operator[0] == "%" and matches(value[len(value) - length :]):
            return value[: len(value) - length]
    return value


def _file_names(shell: Variables, field: Field) -> list[str]:
    whole = "".join(part for part, _ in field)
    if not any(not quoted and _GLOB.search(part) for part, quoted in field):
        return [whole]
    shape = "".join(_literal(part) if quoted else part for part, quoted in field)
    found = _glob(shell, shape)
    return found or [whole]


def _glob(shell: Variables, shape: str) -> list[str]:
    found = ["/"] if shape.startswith("/") else [""]
    parts = [part for part in shape.split("/") if part]
    for part in parts:
        matched = []
        for base in found:
            try:
                directory = shell.files.directory(absolute(base or ".", shell.cwd))
            except FileProblem:
                continue
            shell.spend(16 * len(directory.entries))
            matched += [base + name for name in _matching(directory, part)]
        found = [each + ("/" if part is not parts[-1] else "") for each in matched]
    return sorted(found)


def _matching(directory: Directory, shape: str) -> list[str]:
    hidden = shape.startswith(".")
    return [
        name
        for name in directory.entries
        if fnmatch.fnmatchcase(name, shape) and (hidden or not name.startswith("."))
    ]
