"""Evaluates ``$((...))``: integers of 64 bits with C's operators."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>!~&|^()?:=])", re.ASCII
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_APPLY: Mapping[str, Callable[[int, int], int]] = {
    "||": lambda a, b: int(bool(a or b)),
    "&&": lambda a, b: int(bool(a and b)),
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b % 64),
    ">>": lambda a, b: a >> (b % 64),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


class Problem(Exception):
    """What cannot be evaluated, in ash's words: ``syntax error``, ``divide by zero``."""


def evaluate(text: str, get: Callable[[str], str], assign: Callable[[str, str], None]) -> int:
    """The value of an expression. Raises Problem."""
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Problem("syntax error")
        tokens.append(found[1])
        at = found.end()
    if not tokens:
        return 0
    if len(tokens) > 1000:
        raise Problem("syntax error")
    reader = _Reader(tokens, get, assign)
    value = reader.conditional()
    if reader.next:
        raise Problem("syntax error")
    return value


class _Reader:
    def __init__(
        self, tokens: list[str], get: Callable[[str], str], assign: Callable[[str, str], None]
    ) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._get = get
        self._assign = assign

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def conditional(self) -> int:
        name = self.next
        if name[:1].isalpha() and self._tokens[self._at + 1 : self._at + 2] == ["="]:
            self._at += 2
            value = self.conditional()
            self._assign(name, str(value))
            return value
        value = self._binary(0)
        if self.next != "?":
            return value
        self._take()
        yes = self.conditional()
        if self.next != ":":
            raise Problem("syntax error")
        self._take()
        no = self.conditional()
        return yes if value else no

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while self.next in _LEVELS[level]:
            operator = self._take()
            value = _wrapped(_applied(operator, value, self._binary(level + 1)))
        return value

    def _unary(self) -> int:
        self._depth += 1
        if self._depth > 20:
            raise Problem("syntax error")
        try:
            return _wrapped(self._signed())
        finally:
            self._depth -= 1

    def _signed(self) -> int:
        if not self.next:
            raise Problem("syntax error")
        read = self._take()
        if read in "-+!~":
            value = self._unary()
            return {"-": -value, "+": value, "!": int(not value), "~": ~value}[read]
        if read == "(":
            value = self.conditional()
            if self.next != ")":
                raise Problem("syntax error")
            self._take()
            return value
        if read[0].isalpha() or read[0] == "_":
            read = self._get(read).strip() or "0"
        return _number(read)


def _number(token: str) -> int:
    sign, digits = (-1, token[1:]) if token.startswith("-") else (1, token)
    try:
        if len(digits) > 40:
            raise ValueError
        octal = digits.startswith("0") and digits.isdigit()
        return sign * int(digits, 8 if octal else 0)
    except ValueError:
        raise Problem("syntax error") from None


def _applied(operator: str, a: int, b: int) -> int:
    if operator in "/%":
        if b == 0:
            raise Problem("divide by zero")
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return quotient if operator == "/" else a - quotient * b
    return _APPLY[operator](a, b)


def _wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
