"""Patterns of schemas, matched in time that grows with the value alone, as Go's regexp does.

They are rewritten as POSIX extended expressions, which have an engine already (containers/programs/regex.py);
Python's own may take for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pytest_selfrep.kubesim.containers.programs.regex import BadRegex, Regex

LONGEST = 16_384
"""Characters of the longest value that is matched."""
_TOKEN = re.compile(
    r"(?P<set>\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\])"
    r"|(?P<escape>\\(?:x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]+\}|.))"
    r"|(?P<group>\(\?(?:P?<\w+>|:)?)"
    r"|(?P<repeat>\{\d+(?:,\d*)?\})"
    r"|(?P<other>.)",
    re.DOTALL,
)
_ITEM = re.compile(r"\[:\w+:\]|\\x[0-9A-Fa-f]{2}|\\x\{[0-9A-Fa-f]+\}|\\.|.", re.DOTALL)
_SHORT = {"d": "0-9", "w": "[:alnum:]_", "s": "[:space:]"}
_PLACES = {"A": "^", "z": "$", "b": r"\b", "B": r"\B"}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


class _Unknown(Exception):
    """Something that extended expressions have no word for."""


@lru_cache(maxsize=128)
def matcher(pattern: str) -> Callable[[str], bool] | None:
    """Whether some part of a text matches; None for a pattern that cannot be checked here.

    Those are patterns with flags other than a leading ``(?i)``, with classes of Unicode, and huge ones.
    """
    bare = pattern.removeprefix("(?i)")
    try:
        regex = Regex(_extended(bare), extended=True, fold=bare != pattern, spend=lambda _: None)
    except (_Unknown, BadRegex):
        return None
    return regex.found


def _extended(pattern: str) -> str:
    return "".join(_token(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(pattern))


def _token(kind: str, text: str) -> str:
    match kind:
        case "set":
            return _set(text)
        case "escape":
            return _escape(text)
        case "group":
            if text == "(?":
                raise _Unknown
            return "("
        case "other" if text == ".":
            return "[^\n]"
        case "other" if text in "{}":
            return "\\" + text
    return text


def _escape(text: str) -> str:
    letter = text[1]
    if letter in _PLACES:
        return _PLACES[letter]
    if letter.lower() in _SHORT:
        return f"[{'^' if letter.isupper() else ''}{_SHORT[letter.lower()]}]"
    return "\\" + _character(text)


def _character(text: str) -> str:
    """What an escape stands for. Raises _Unknown if that is not one character."""
    letter, rest = text[1], text[2:]
    if letter == "x" and rest:
        return chr(int(rest.strip("{}"), 16))
    if letter in _CONTROLS:
        return _CONTROLS[letter]
    if letter.isalnum():
        raise _Unknown
    return letter


def _set(text: str) -> str:
    """A set in brackets, in which a backslash is no escape, and some characters have their places."""
    negated = text.startswith("[^")
    items = _ITEM.findall(text[1 + negated : -1])
    singles: list[str] = []
    parts: list[str] = []
    while items:
        item = items.pop(0)
        if item.startswith("[:"):
            parts.append(item)
        elif item[0] == "\\" and item[1:].lower() in _SHORT:
            if item[1:].isupper():
                raise _Unknown
            parts.append(_SHORT[item[1:]])
        elif len(items) > 1 and items[0] == "-":
            parts.append(f"{_member(item)}-{_member(items[1])}")
            del items[:2]
        else:
            singles.append(_member(item))
    body = "".join(
        [
            "]" if "]" in singles else "",
            *parts,
            *(each for each in singles if each not in "][^-"),
            *(each for each in "[^-" if each in singles),
        ]
    )
    if body == "^" and not negated:
        return r"\^"
    if body.startswith("^"):
        body = f"{body[1:]}^"
    return f"[{'^' if negated else ''}{body}]"


def _member(item: str) -> str:
    return _character(item) if len(item) > 1 else item
