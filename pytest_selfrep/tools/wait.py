"""The tool ``wait``: lets the cluster's time pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfrep.tools.base import Hands, JsonSchema

SHORTEST, LONGEST = 1.0, 600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Does nothing for a while."""

    @property
    def name(self) -> str:
        return "wait"

    @property
    def description(self) -> str:
        return "Wait some seconds, for example until pods have started or a load has settled."

    @property
    def parameters(self) -> JsonSchema:
        return {
            "type": "object",
            "properties": {
                "seconds": {
                    "type": "number",
                    "description": f"How long, from {SHORTEST:g} to {LONGEST:g} seconds",
                }
            },
            "required": ["seconds"],
        }

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        seconds = number(arguments.get("seconds"))
        if seconds is None or not SHORTEST <= seconds <= LONGEST:
            return f'error: "seconds" must be a number from {SHORTEST:g} to {LONGEST:g}\n'
        hands.clock.sleep(seconds)
        return f"Waited {seconds:g} seconds.\n"


def number(value: object) -> float | None:
    """A number, also when it is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
