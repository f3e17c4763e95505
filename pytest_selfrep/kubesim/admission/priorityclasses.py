"""PriorityClasses: those that every cluster has, which one a pod gets, and what is checked of them."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.kinds import PRIORITY_CLASS
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.validation.fieldchecks import forbidden, invalid, unsupported

PREEMPTION = "PreemptLowerPriority"
_POLICIES = (PREEMPTION, "Never")
_HIGHEST = 1_000_000_000
"""Of a class that users make; above it are the system's own."""
_SYSTEM = "system-"
_BUILT_IN = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if "
        "necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)
_VALUES = {name: value for name, value, _ in _BUILT_IN}


def built_in() -> Iterable[Object]:
    """The classes that the API server makes when it starts."""
    for name, value, description in _BUILT_IN:
        yield {
            "metadata": {"name": name},
            "value": value,
            "description": description,
            "preemptionPolicy": PREEMPTION,
        }


def is_built_in(name: str) -> bool:
    return name in _VALUES


def resolve(store: Store, name: str) -> tuple[str, int, str] | None:
    """Name, value and preemption policy of a pod's class; None if there is none of that name.

    Without a name it is the global default, or none at all with the value 0.
    """
    if not name:
        found = default(store)
    elif (stored := store.get(PRIORITY_CLASS, Key("", name))) is None:
        return None
    else:
        found = stored
    if found is None:
        return "", 0, PREEMPTION
    return found["metadata"]["name"], found["value"], found["preemptionPolicy"]


def default(store: Store) -> Object | None:
    """The class of pods that name none, if there is one."""
    defaults = [each for each in store.list(PRIORITY_CLASS) if each.get("globalDefault")]
    return min(defaults, key=lambda each: int(each["value"]), default=None)


def priority_class_causes(priority_class: Object, old: Object | None) -> list[Cause]:
    name, value = priority_class["metadata"]["name"], priority_class["value"]
    policy = priority_class["preemptionPolicy"]
    causes: list[Cause] = []
    if name.startswith(_SYSTEM):
        if name not in _VALUES:
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            causes.append(forbidden("metadata.name", f"{why}{name} is not a known system priority class"))
        elif value != _VALUES[name]:
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            causes.append(
                forbidden("metadata.name", f"{why}value of {name} PriorityClass must be {_VALUES[name]}")
            )
    elif value > _HIGHEST:
        why = f"maximum allowed value of a user defined priority is {_HIGHEST}"
        causes.append(forbidden("value", why))
    if policy not in _POLICIES:
        causes.append(unsupported("preemptionPolicy", policy, _POLICIES))
    if old is not None and old["value"] != value:
        causes.append(forbidden("value", "may not be changed in an update."))
    if old is not None and old["preemptionPolicy"] != policy:
        causes.append(invalid("preemptionPolicy", policy, "field is immutable"))
    return causes
