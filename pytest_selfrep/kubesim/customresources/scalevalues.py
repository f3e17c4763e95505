"""Whether a custom resource has what can be scaled where its definition says, in the API server's words."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from pytest_selfrep.kubesim.customresources.version import ScalePaths
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import invalid

_MOST = 2**31 - 1
_GO_TYPES = {
    bool: "bool",
    dict: "map[string]interface {}",
    float: "float64",
    int: "int64",
    list: "[]interface {}",
    str: "string",
}


def causes(scale: ScalePaths | None, obj: Object) -> Iterator[Cause]:
    """Everything wrong with an object as something that can be scaled; nothing if it cannot."""
    if scale is None:
        return
    for path in (scale.spec_replicas, scale.status_replicas):
        value, why = _found(obj, path, int)
        replicas = value if isinstance(value, int) and not why else 0
        if why:
            yield invalid(path, 0, why)
        elif replicas < 0:
            yield invalid(path, replicas, "should be a non-negative integer")
        elif replicas > _MOST:
            yield invalid(path, replicas, f"should be less than or equal to {_MOST}")
    if scale.label_selector:
        _, why = _found(obj, scale.label_selector, str)
        if why:
            yield invalid(scale.label_selector, "", why)


def _found(obj: Object, path: str, wanted: type[int] | type[str]) -> tuple[Json, str]:
    """What is at a path, None if there is nothing, and why it cannot be used."""
    value: Json = obj
    for name in path.removeprefix(".").split("."):
        if not isinstance(value, dict):
            return None, _not_a(dict, value, path)
        value = value.get(name)
        if value is None:
            return None, ""
    return value, "" if type(value) is wanted else _not_a(wanted, value, path)


def _not_a(wanted: type, value: Json, path: str) -> str:
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    expected = _GO_TYPES[wanted].replace(" ", "")
    return f"{path} accessor error: {shown} is of the type {_GO_TYPES[type(value)]}, expected {expected}"
