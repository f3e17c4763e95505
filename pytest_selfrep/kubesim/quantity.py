"""Resource quantities (``250m``, ``1.5Gi``, ``2e3``): exact parsing and canonical writing."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
"""As the API server quotes it in its error."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i|)")
_NANO = 10**9
_LONGEST = 256
"""Characters; nobody writes half as many, and long numbers take long to read."""

Text = str | int | float
"""How quantities stand in JSON: strings, though numbers are understood."""


class InvalidQuantity(ValueError):
    """Not a quantity; the message is the API server's."""

    def __init__(self) -> None:
        super().__init__(f"quantities must match the regular expression '{PATTERN}'")


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Fraction, Format]:
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        raise InvalidQuantity
    digits, suffix = matched.groups()
    if len(text) > _LONGEST:
        raise InvalidQuantity
    amount = Fraction(digits)
    if suffix in _BINARY:
        return _rounded(amount * 1024 ** _BINARY[suffix]), "BinarySI"
    if suffix in _DECIMAL:
        return _rounded(amount * Fraction(10) ** _DECIMAL[suffix]), "DecimalSI"
    exponent = int(suffix[1:])
    if abs(exponent) > 30:
        raise InvalidQuantity
    return _rounded(amount * Fraction(10) ** exponent), "DecimalExponent"


def _rounded(amount: Fraction) -> Fraction:
    """Away from zero to whole nanos, the finest that Kubernetes keeps."""
    nanos = amount * _NANO
    return amount if nanos.denominator == 1 else Fraction(_ceil(nanos), _NANO)


def _ceil(amount: Fraction) -> int:
    """Away from zero."""
    whole = -(-abs(amount.numerator) // amount.denominator)
    return whole if amount >= 0 else -whole


def parse(text: Text) -> Fraction:
    """The exact amount. Raises InvalidQuantity."""
    if isinstance(text, bool):
        raise InvalidQuantity
    return _parse(text if isinstance(text, str) else str(text))[0]


@lru_cache(maxsize=4096)
def milli(text: Text) -> int:
    """In thousandths, rounded up; how CPU is reckoned."""
    return _ceil(parse(text) * 1000)


@lru_cache(maxsize=4096)
def whole(text: Text) -> int:
    """In units (bytes, devices), rounded up."""
    return _ceil(parse(text))


@lru_cache(maxsize=4096)
def canonical(text: Text) -> str:
    """As the API server writes it back: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``, ``0.5`` is ``500m``."""
    amount = parse(text)
    return render(amount, _parse(str(text))[1])


@lru_cache(maxsize=4096)
def render(amount: Fraction, form: Format = "DecimalSI") -> str:
    """Write an amount in the largest unit that keeps it whole."""
    if form == "BinarySI" and abs(amount) >= 1024:
        number, power = _ceil(amount), 0
        while number % 1024 == 0 and power < 6:
            number, power = number // 1024, power + 1
        return f"{number}{_BINARY_SUFFIX.get(power, '')}"
    if amount == 0:
        return "0"
    number, power = _ceil(amount * _NANO), -9
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if form == "DecimalExponent":
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_DECIMAL_SUFFIX[power]}"


@lru_cache(maxsize=4096)
def exceeds(one: Text, other: Text) -> bool:
    return parse(one) > parse(other)


@lru_cache(maxsize=4096)
def total(*texts: Text) -> str:
    """The sum, written in the unit family of the first that is not zero."""
    amount = Fraction(0)
    form: Format = "DecimalSI"
    for text in texts:
        each, its_form = _parse(str(text))
        if not amount:
            form = its_form
        amount += each
    return render(amount, form)


@lru_cache(maxsize=4096)
def less(text: Text, other: Text) -> str:
    """The difference, written in the unit family of the first that is not zero."""
    amount, form = _parse(str(text))
    taken, its_form = _parse(str(other))
    return render(amount - taken, form if amount else its_form)
