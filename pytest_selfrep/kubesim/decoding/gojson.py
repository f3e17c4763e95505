"""What is wrong with a JSON text, in the words of Go's encoding/json."""

from __future__ import annotations

import re

MAX_DEPTH = 10_000
"""Levels of nesting that Go reads."""
_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = (
    (re.compile(r"-?"), ""),
    (re.compile(r"0|[1-9][0-9]*"), "in numeric literal"),
    (re.compile(r"\.[0-9]+|(?!\.)"), "after decimal point in numeric literal"),
    (re.compile(r"[eE][+-]?[0-9]+|(?![eE])"), "in exponent of numeric literal"),
)
"""The parts of a number, and where an error in each is."""
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class _Wrong(Exception):
    """At a position, and where that is in what is being read."""

    def __init__(self, at: int, where: str) -> None:
        super().__init__(where)
        self.at = at
        self.where = where


def complaint(text: str) -> str:
    """What Go says of a text; empty if it finds nothing wrong."""
    try:
        _scan(text)
    except _Wrong as wrong:
        if wrong.at >= len(text):
            return "unexpected end of JSON input"
        return f"invalid character {_quoted(text[wrong.at])} {wrong.where}"
    return ""


def _quoted(char: str) -> str:
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        named = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(char)
        return f"'{named or f'{chr(92)}x{code:02x}'}'"
    # Go shows the byte that it stumbles over.
    return f"'{char if code < 0x80 else chr(char.encode(errors='replace')[0])}'".replace("'\\'", r"'\\'")


def _scan(text: str) -> None:
    """Without recursion: texts may be as deep as they like. Raises _Wrong."""
    open_: list[str] = []
    at = _skip(text, 0)
    while True:
        char = text[at : at + 1]
        if char and char in "{[":
            if len(open_) == MAX_DEPTH:
                raise _Wrong(at, "exceeded max depth")
            open_.append(char)
            at = _skip(text, at + 1)
            if text[at : at + 1] != ("}" if char == "{" else "]"):
                at = _key(text, at) if char == "{" else at
                continue
            open_.pop()
        else:
            at = _scalar(text, at) - 1
        at = _skip(text, at + 1)
        at = _after(text, at, open_)
        if at < 0:
            return


def _after(text: str, at: int, open_: list[str]) -> int:
    """From the end of a value to the beginning of the next; -1 after the last. Raises _Wrong."""
    while open_:
        inside, char = open_[-1], text[at : at + 1]
        if char == ",":
            at = _skip(text, at + 1)
            return _key(text, at) if inside == "{" else at
        if char != ("}" if inside == "{" else "]"):
            raise _Wrong(at, "after object key:value pair" if inside == "{" else "after array element")
        open_.pop()
        at = _skip(text, at + 1)
    if at < len(text):
        raise _Wrong(at, "after top-level value")
    return -1


def _key(text: str, at: int) -> int:
    """Past an object's key and its colon."""
    if text[at : at + 1] != '"':
        raise _Wrong(at, "looking for beginning of object key string")
    at = _skip(text, _string(text, at))
    if text[at : at + 1] != ":":
        raise _Wrong(at, "after object key")
    return _skip(text, at + 1)


def _scalar(text: str, at: int) -> int:
    char = text[at : at + 1]
    if char == '"':
        return _string(text, at)
    if char and char in "-0123456789":
        return _number(text, at)
    literal = _LITERALS.get(char)
    if literal is None:
        raise _Wrong(at, "looking for beginning of value")
    for place, wanted in enumerate(literal):
        if text[at + place : at + place + 1] != wanted:
            raise _Wrong(at + place, f"in literal {literal} (expecting '{wanted}')")
    return at + len(literal)


def _number(text: str, at: int) -> int:
    for part, where in _NUMBER:
        found = part.match(text, at)
        if found is None:
            while text[at : at + 1] and text[at] in ".eE+-":
                at += 1
            raise _Wrong(at, where)
        at = found.end()
    return at


def _string(text: str, at: int) -> int:
    at += 1
    while True:
        found = _PLAIN.match(text, at)
        at = found.end() if found else at
        char = text[at : at + 1]
        if char == '"':
            return at + 1
        if char != "\\":
            raise _Wrong(at, "in string literal")
        escaped = text[at + 1 : at + 2]
        if escaped == "u":
            for place in range(at + 2, at + 6):
                if not re.fullmatch("[0-9a-fA-F]", text[place : place + 1]):
                    raise _Wrong(place, "in \\u hexadecimal character escape")
            at += 6
        elif escaped and escaped in '"\\/bfnrt':
            at += 2
        else:
            raise _Wrong(at + 1, "in string escape code")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
