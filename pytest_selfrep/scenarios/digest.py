"""A short fingerprint of what decides a trial, by which a recording knows its scenario again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Scenario

_INDIFFERENT: Final = frozenset(
    {"title", "description", "source", "price", "trials", "threshold", "confidence", "alpha", "beta"}
)
"""Fields that no trial's course depends on: words for readers, and what is asked of the records."""


def digest(scenario: Scenario) -> str:
    """16 hexadecimal digits; the same for scenarios whose trials go the same way.

    Fields with their default do not show in it, so that it survives versions that add some.
    """
    decisive = scenario.model_dump(mode="json", exclude=set(_INDIFFERENT), exclude_defaults=True)
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
