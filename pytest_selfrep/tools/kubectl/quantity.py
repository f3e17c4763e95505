"""Kubernetes quantities: read, added up, and written as kubectl writes them."""

from __future__ import annotations

import re
from fractions import Fraction

NO_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
"""How kubectl refuses an amount that is none."""

_QUANTITY = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?", re.ASCII
)
_BINARY = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6}
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
}


def is_quantity(text: str) -> bool:
    """Whether ``parse`` can make a number of it."""
    return _QUANTITY.fullmatch(text) is not None


def parse(text: object) -> Fraction:
    """The number behind ``250m``, ``64Mi`` or ``1e3``; 0 for what is no quantity."""
    word = str(text)
    suffix = word.lstrip("+-0123456789.")
    try:
        if suffix in _BINARY:
            return Fraction(word[:-2]) * _BINARY[suffix]
        if suffix in _DECIMAL:
            return Fraction(word[: len(word) - len(suffix)]) * _DECIMAL[suffix]
        return Fraction(word)
    except ValueError:
        return Fraction(0)


def cores(amount: Fraction) -> str:
    """CPU: whole cores, or thousandths with ``m``."""
    return str(int(amount)) if amount.denominator == 1 else f"{-(-amount * 1000 // 1)}m"


def size(amount: Fraction) -> str:
    """Bytes, with the largest binary suffix that leaves no remainder."""
    whole = int(amount)
    for suffix, factor in reversed(_BINARY.items()):
        if whole and whole % factor == 0:
            return f"{whole // factor}{suffix}"
    return str(whole)


def share(amount: Fraction, total: Fraction) -> int:
    """Whole percent, rounded down; 0 of nothing."""
    return int(amount * 100 / total) if total else 0
