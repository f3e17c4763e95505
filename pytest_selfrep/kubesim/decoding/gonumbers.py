"""Whole numbers that clients write as text, read as Go's strconv reads them.

Python's ``int`` takes other scripts' digits and underscores, and gives up at some thousands of digits.
"""

from __future__ import annotations

import re

_SIGNED = re.compile(r"[+-]?[0-9]+")
_UNSIGNED = re.compile(r"[0-9]+")
_MOST_DIGITS = 20
"""Of any number of 64 bits."""


def parse_int(text: str) -> int:
    """A number of 64 bits with a sign. Raises ValueError in Go's words."""
    return _parsed(text, "ParseInt", _SIGNED, -(1 << 63), 1 << 63)


def parse_uint(text: str) -> int:
    """The same without a sign."""
    return _parsed(text, "ParseUint", _UNSIGNED, 0, 1 << 64)


def int_or(text: str | None, default: int) -> int:
    """A number with a sign, or something else if the text is none."""
    try:
        return parse_int(text or "")
    except ValueError:
        return default


def _parsed(text: str, function: str, form: re.Pattern[str], least: int, end: int) -> int:
    if not form.fullmatch(text):
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    number = int(text) if len(text.lstrip("+-0")) <= _MOST_DIGITS and len(text) < 4000 else end
    if not least <= number < end:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return number
