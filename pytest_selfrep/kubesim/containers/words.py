"""Reads words of shell scripts: quotes, parameters, substitutions."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_selfrep.kubesim.containers.syntax import (
    Arithmetic,
    Parameter,
    Part,
    Script,
    Substitution,
    SyntaxProblem,
    Text,
    Word,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = "?$!#@*-0123456789"
_OPERATOR = re.compile(r":?[-=?+]|##?|%%?")
BLANKS, BREAKS = " \t", " \t\n;&|<>()"
_PLAIN = re.compile(r"""[^\\'"$`}\s;&|<>()]+""")
_PLAIN_QUOTED = re.compile(r'[^\\"$`]+')
MAX_DEPTH = 40
"""Levels of nesting in a script."""

ParseScript = Callable[["Cursor", str], Script]
"""Reads a script up to a closing character."""


class Cursor:
    """A place in a script's text, and how what is nested in a word is read."""

    def __init__(self, text: str, script: ParseScript, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self._script = script

    @property
    def next(self) -> str:
        """The character here; nothing at the end."""
        return self.text[self.at : self.at + 1]

    def starts(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, count: int = 1) -> str:
        taken = self.text[self.at : self.at + count]
        self.at += count
        return taken

    def word(self, stops: str = BREAKS) -> Word:
        """Everything up to an unquoted character of ``stops``; empty if there is nothing."""
        parts: list[Part] = []
        while (char := self.next) and char not in stops:
            self._part(parts)
        return tuple(_joined(parts))

    def _part(self, parts: list[Part]) -> None:
        char = self.next
        if char == "\\":
            self.take()
            escaped = self.take()
            if escaped != "\n":
                parts.append(Text(escaped or "\\", quoted=True))
        elif char == "'":
            self.take()
            end = self.text.find("'", self.at)
            if end < 0:
                raise SyntaxProblem("unterminated quoted string")
            parts.append(Text(self.take(end - self.at), quoted=True))
            self.take()
        elif char == '"':
            self.take()
            parts.append(Text("", quoted=True))
            parts.extend(self.quoted('"'))
        elif char in "$`":
            parts.append(self._dollar(quoted=False))
        else:
            parts.append(Text(self._run(_PLAIN)))

    def _run(self, plain: re.Pattern[str]) -> str:
        """Characters that stand for themselves, one at least."""
        found = plain.match(self.text, self.at)
        return self.take(len(found[0]) if found else 1)

    def quoted(self, end: str) -> Word:
        """What is in double quotes, or in a here-document (then ``end`` is empty: to the end)."""
        parts: list[Part] = []
        while True:
            char = self.next
            if not char:
                if end:
                    raise SyntaxProblem("unterminated quoted string")
                break
            if char == end:
                self.take()
                break
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", "\\", "\n", end or "$"):
                self.take()
                escaped = self.take()
                parts.append(Text("" if escaped == "\n" else escaped, quoted=True))
            elif char in "$`":
                parts.append(self._dollar(quoted=True))
            else:
                parts.append(Text(self._run(_PLAIN_QUOTED), quoted=True))
        return tuple(_joined(parts))

    def _dollar(self, quoted: bool) -> Part:
        if self.take() == "`":
            return self._backquoted(quoted)
        if self.starts("(("):
            expression = self._arithmetic()
            if expression is not None:
                return Arithmetic(expression, quoted)
        if self.next == "(":
            self.take()
            self._deeper()
            body = self._script(self, ")")
            self.depth -= 1
            return Substitution(body, quoted)
        if self.next == "{":
            self.take()
            return self._braced(quoted)
        found = NAME.match(self.text, self.at)
        if found is not None:
            return Parameter(self.take(len(found[0])), quoted=quoted)
        if self.next and self.next in _SPECIAL:
            return Parameter(self.take(), quoted=quoted)
        return Text("$", quoted=True)

    def _backquoted(self, quoted: bool) -> Part:
        inside = []
        while (char := self.take()) != "`":
            if not char:
                raise SyntaxProblem("EOF in backquote substitution")
            inside.append(self.take() if char == "\\" and self.next in ("$", "`", "\\") else char)
        self._deeper()
        body = self._script(Cursor("".join(inside), self._script, self.depth), "")
        self.depth -= 1
        return Substitution(body, quoted)

    def _arithmetic(self) -> Word | None:
        """None if it is a substitution that begins with a subshell."""
        depth, at = 0, self.at
        while at < len(self.text):
            if self.text[at] == "(":
                depth += 1
            elif self.text[at] == ")":
                depth -= 1
                if depth == 0:
                    break
            at += 1
        if depth or self.text[at - 1] != ")":
            return None
        inside = self.text[self.at + 2 : at - 1]
        self.at = at + 1
        self._deeper()
        word = Cursor(inside, self._script, self.depth).quoted("")
        self.depth -= 1
        return word

    def _braced(self, quoted: bool) -> Part:
        length = self.next == "#" and self.text[self.at + 1 : self.at + 2] != "}"
        if length:
            self.take()
        found = NAME.match(self.text, self.at)
        name = self.take(len(found[0]) if found else 1)
        if not found and (not name or name not in _SPECIAL):
            raise SyntaxProblem("bad substitution")
        while name.isdigit() and self.next.isdigit():
            name += self.take()
        if self.next == "}":
            self.take()
            return Parameter(name, "length" if length else "", quoted=quoted)
        operator = _OPERATOR.match(self.text, self.at)
        if operator is None or length:
            raise SyntaxProblem("bad substitution")
        self.take(len(operator[0]))
        self._deeper()
        word = self.word("}")
        self.depth -= 1
        if self.take() != "}":
            raise SyntaxProblem("missing '}'")
        return Parameter(name, operator[0], word, quoted)

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SyntaxProblem("too deeply nested")


def _joined(parts: list[Part]) -> list[Part]:
    """The same with neighbouring texts as one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(last, Text) and part.quoted is last.quoted:
            joined[-1] = Text(last.text + part.text, last.quoted)
        else:
            joined.append(part)
    return joined
