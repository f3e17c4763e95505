"""Kubernetes objects as plain JSON values: copying, names, owners, conditions.

Objects in the store are shared and never changed in place: whoever writes makes a copy first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

# The shape of an object is its kind's business; see kinds.py, defaults.py and validation/
Object: TypeAlias = dict[str, Any]
Json: TypeAlias = Any


class Key(NamedTuple):
    """Names an object within its kind; ``namespace`` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


_CONTAINERS = (dict, list)


def copy(value: Json) -> Json:
    """A deep copy of a JSON value (several times faster than copy.deepcopy)."""
    if isinstance(value, dict):
        return {key: copy(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if isinstance(value, list):
        return [copy(item) if type(item) in _CONTAINERS else item for item in value]
    return value


def cleaned(value: Json) -> Json:
    """A deep copy without null fields, which are to Kubernetes as if they were not there."""
    if isinstance(value, dict):
        return {
            key: cleaned(item) if type(item) in _CONTAINERS else item
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [cleaned(item) if type(item) in _CONTAINERS else item for item in value]
    return value


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return Key(meta.get("namespace", ""), meta["name"])


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def owners_of(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Object) -> Object | None:
    """The owner reference with ``controller: true``, if any."""
    for owner in owners_of(obj):
        if owner.get("controller"):
            return owner
    return None


def owner_reference(owner: Object) -> Object:
    """A controlling owner reference to ``owner`` (meta/v1 OwnerReference)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Object) -> Object:
    """Which object in which state is meant (core/v1 ObjectReference)."""
    meta = obj["metadata"]
    namespace = {"namespace": meta["namespace"]} if "namespace" in meta else {}
    return {
        "kind": obj["kind"],
        **namespace,
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": obj["apiVersion"],
        "resourceVersion": meta["resourceVersion"],
    }


def is_terminating(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def conditions_of(obj: Object) -> Iterator[Object]:
    yield from obj.get("status", {}).get("conditions") or []


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of that type, if the object has it."""
    conditions: list[Object] = obj.get("status", {}).get("conditions") or []
    for item in conditions:
        if item["type"] == kind:
            return item
    return None


def is_ready(obj: Object) -> bool:
    """Whether the Ready condition of a pod or node is True."""
    found = condition(obj, "Ready")
    return found is not None and found["status"] == "True"
