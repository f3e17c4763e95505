"""Kubernetes quantities as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")

_SUFFIXES: Mapping[str | None, Fraction] = MappingProxyType(
    {None: Fraction(1), "m": Fraction(1, 1000)}
    | {suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTP", start=1)}
    | {f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTP", start=1)}
)


def value_of(quantity: str) -> Fraction:
    """``250m`` is 1/4, ``2Ki`` is 2048. Raises ValueError for what is no quantity."""
    match = QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is no Kubernetes quantity")
    return Fraction(match[1]) * _SUFFIXES[match[2]]
