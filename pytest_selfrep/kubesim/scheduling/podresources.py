"""What a pod asks for: requests and limits of its containers together, and its quality of service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object

Which = Literal["requests", "limits"]

_QOS_RESOURCES = ("cpu", "memory")


def of_container(container: Object, which: Which) -> Mapping[str, str]:
    return (container.get("resources") or {}).get(which) or {}


def of_pod(spec: Object, which: Which) -> dict[str, str]:
    """Containers and sidecars run together; other init containers run before, alone with earlier sidecars."""
    running: dict[str, str] = {}
    peak: dict[str, str] = {}
    for container in spec.get("initContainers") or ():
        mine = of_container(container, which)
        if container.get("restartPolicy") == "Always":
            running = added(running, mine)
            peak = largest(peak, running)
        else:
            peak = largest(peak, added(running, mine))
    for container in spec.get("containers") or ():
        running = added(running, of_container(container, which))
    result = largest(running, peak) if peak else running
    overhead = spec.get("overhead")
    if not overhead:
        return result
    if which == "limits":
        overhead = {name: text for name, text in overhead.items() if name in result}
    return added(result, overhead)


def added(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Resource by resource."""
    result = dict(one)
    for name, text in other.items():
        result[name] = quantity.total(result[name], text) if name in result else text
    return result


def largest(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Resource by resource."""
    result = dict(one)
    for name, text in other.items():
        if name not in result or quantity.exceeds(text, result[name]):
            result[name] = text
    return result


def quality_of_service(spec: Object) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort`` (core/v1 PodQOSClass)."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    anything, guaranteed = False, True
    for container in containers:
        requests, limits = of_container(container, "requests"), of_container(container, "limits")
        for name in _QOS_RESOURCES:
            asked, limit = requests.get(name), limits.get(name)
            anything = anything or _positive(asked) or _positive(limit)
            guaranteed = guaranteed and _positive(limit) and asked in (None, limit)
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(text: str | None) -> bool:
    return text is not None and quantity.exceeds(text, "0")
