"""What is checked of what containers ask for, and of what they are limited to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import invalid, required

_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def resource_causes(resources: Object, at: str) -> Iterable[Cause]:
    """ResourceRequirements in canonical form."""
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    for which, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            yield from _amount_causes(name, text, f"{at}.{which}")
    for name, text in requests.items():
        limit = limits.get(name)
        if name not in _COMPUTE and "/" in name:
            if limit is None:
                yield required(f"{at}.limits", "Limit must be set for non overcommitable resources")
            elif quantity.parse(text) != quantity.parse(limit):
                yield invalid(f"{at}.requests", text, f"must be equal to {name} limit of {limit}")
        elif limit is not None and quantity.exceeds(text, limit):
            yield invalid(f"{at}.requests", text, f"must be less than or equal to {name} limit of {limit}")


def _amount_causes(name: str, text: str, at: str) -> Iterable[Cause]:
    if name not in _COMPUTE and "/" not in name and not name.startswith("hugepages-"):
        yield invalid(f"{at}[{name}]", name, "must be a standard resource type or fully qualified")
        yield invalid(f"{at}[{name}]", name, "must be a standard resource for containers")
    amount = quantity.parse(text)
    if amount < 0:
        yield invalid(f"{at}[{name}]", text, "must be greater than or equal to 0")
    elif "/" in name and amount.denominator != 1:
        yield invalid(f"{at}[{name}]", text, "must be an integer")
