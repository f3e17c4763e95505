"""How fast and how willingly an autoscaler moves: ``spec.behavior`` of HorizontalPodAutoscalers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_selfrep.kubesim.objects import Object

UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
DOWN: Object = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
STABILIZED: Mapping[bool, tuple[str, str]] = {
    True: (
        "ScaleUpStabilized",
        "recent recommendations were lower than current one, applying the lowest recent recommendation",
    ),
    False: (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent recommendation",
    ),
}
"""Whether it would have gone up, to reason and message of AbleToScale."""
LIMITED: Mapping[str, str] = {
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
    "DesiredWithinRange": "the desired count is within the acceptable range",
}
"""Reason to message of ScalingLimited."""


@dataclass(slots=True)
class History:
    """What an autoscaler remembers."""

    recommended: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many replicas the metrics called for."""
    changes: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many replicas were added (or, below zero, removed)."""

    def forget(self, before: float) -> None:
        self.recommended = [each for each in self.recommended if each[0] >= before]
        self.changes = [each for each in self.changes if each[0] >= before]


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there are to be, and what kept it from being as many as were wanted."""

    replicas: int
    stabilized: tuple[str, str] | None
    """Reason and message if recent recommendations held it back."""
    limited: str
    """Reason of the condition ScalingLimited."""


def decide(spec: Object, current: int, wanted: int, history: History, now: float) -> Decision:
    """From what the metrics call for to what is done, by a HorizontalPodAutoscaler's spec."""
    behavior = spec.get("behavior") or {}
    up = {**UP, **_given(behavior.get("scaleUp"))}
    down = {**DOWN, **_given(behavior.get("scaleDown"))}
    steady = _stabilize(up, down, current, wanted, history, now)
    history.recommended.append((now, wanted))
    held = STABILIZED[wanted > steady] if steady != wanted else None
    low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
    if steady > current:
        fastest = _fastest(up, current, history, now, rising=True)
        if steady > min(fastest, high):
            return Decision(min(fastest, high), held, "ScaleUpLimit" if fastest < high else "TooManyReplicas")
    elif steady < current:
        fastest = _fastest(down, current, history, now, rising=False)
        if steady < max(fastest, low):
            return Decision(max(fastest, low), held, "ScaleDownLimit" if fastest > low else "TooFewReplicas")
    limited = (
        "TooManyReplicas" if wanted > high else "TooFewReplicas" if wanted < low else "DesiredWithinRange"
    )
    return Decision(min(max(steady, low), high), held, limited)


def _given(rules: Object | None) -> Object:
    return {name: value for name, value in (rules or {}).items() if value is not None}


def _stabilize(up: Object, down: Object, current: int, wanted: int, history: History, now: float) -> int:
    """The lowest recent recommendation above, or the highest below, what there is."""
    rise = min(_since(now - up["stabilizationWindowSeconds"], history, wanted))
    fall = max(_since(now - down["stabilizationWindowSeconds"], history, wanted))
    return min(max(current, rise), fall)


def _since(time: float, history: History, wanted: int) -> list[int]:
    """What was recommended after a time, and now."""
    return [wanted, *(replicas for at, replicas in history.recommended if at > time)]


def _fastest(rules: Object, current: int, history: History, now: float, *, rising: bool) -> int:
    """How far the policies allow to go at once."""
    if rules["selectPolicy"] == "Disabled":
        return current
    sign = 1 if rising else -1
    reach: list[int] = []
    for policy in rules["policies"]:
        lately = sum(change for at, change in history.changes if at > now - policy["periodSeconds"])
        start = current - lately
        if policy["type"] == "Pods":
            reach.append(start + sign * policy["value"])
        elif rising:
            reach.append(math.ceil(start * (1 + policy["value"] / 100)))
        else:
            reach.append(int(start * (1 - policy["value"] / 100)))
    boldest = (rules["selectPolicy"] == "Max") == rising
    limit = max(reach) if boldest else min(reach)
    return max(limit, current) if rising else min(limit, current)
