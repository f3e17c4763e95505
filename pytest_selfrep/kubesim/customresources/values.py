"""Values of custom resources by their structural schema: what is pruned, and what is filled in."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_selfrep.kubesim.objects import Json, Object, copy

_ALWAYS = frozenset({"apiVersion", "kind", "metadata"})
"""What an object has, whatever its schema says."""
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"


def pruned(schema: Object, value: Json, *, root: bool = True) -> Json:
    """A copy without the fields that the schema does not have, or that are null and may not be."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        if schema.get(PRESERVE) and not items:
            return copy(value)
        return [pruned(items, item, root=False) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        if name in _ALWAYS and (root or schema.get(EMBEDDED)):
            found[name] = copy(item)
            continue
        inner = _schema_of(schema, name)
        if inner is not None:
            if item is not None or inner.get("nullable") or inner.get(PRESERVE):
                found[name] = pruned(inner, item, root=False)
        elif schema.get(PRESERVE):
            found[name] = copy(item)
    return found


def unknown(schema: Object, value: Json, path: str = "", *, root: bool = True) -> Iterator[str]:
    """The paths of all fields that would be pruned, in order."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        if items or not schema.get(PRESERVE):
            for index, item in enumerate(value):
                yield from unknown(items, item, f"{path}[{index}]", root=False)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _ALWAYS and (root or schema.get(EMBEDDED)):
                continue
            inner, at = _schema_of(schema, name), f"{path}.{name}" if path else name
            if inner is not None:
                yield from unknown(inner, item, at, root=False)
            elif not schema.get(PRESERVE):
                yield at


def _schema_of(schema: Object, name: str) -> Object | None:
    """The schema of a field; None if there is none."""
    found: Object | None = (schema.get("properties") or {}).get(name)
    if found is not None:
        return found
    rest = schema.get("additionalProperties")
    if rest is True:
        return {PRESERVE: True}
    return rest if isinstance(rest, dict) else None


def fill_in(schema: Object, value: Json) -> None:
    """Set what is left out to its default, in place."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        for item in value:
            fill_in(items, item)
    elif isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if "default" in inner and name not in value:
                value[name] = copy(inner["default"])
        for name, item in value.items():
            inner = _schema_of(schema, name)
            if inner is not None and isinstance(item, dict | list):
                fill_in(inner, item)
