"""Strategic merge patch: lists of objects are merged by a key that the API types declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import StatusError, bad_request

# By field name; where a name means different things, by its parent and itself. Other lists are replaced.
MERGE_KEYS: Mapping[str, str] = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "containers.ports": "containerPort",
    "env": "name",
    "ephemeralContainers": "name",
    "ephemeralContainers.ports": "containerPort",
    "hostAliases": "ip",
    "initContainers": "name",
    "initContainers.ports": "containerPort",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "spec.imagePullSecrets": "name",
    "spec.ports": "port",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
MERGED_PRIMITIVES = frozenset({"finalizers"})
_ORDER, _DELETE, _RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def strategic(target: Object, patch: Object) -> Json:
    """What ``target`` becomes; neither argument is changed. Raises StatusError 400 or 422."""
    return _merge_objects(target, patch, "")


def _merge_objects(target: Json, patch: Object, parent: str) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type found: {directive}")
    merged = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        merged = {key: value for key, value in merged.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [item for item in merged.get(name) or [] if item not in value]
        elif not key.startswith("$"):
            _merge_field(merged, key, value, parent, patch.get(_ORDER + key))
    return merged


def _merge_field(merged: Object, key: str, value: Json, parent: str, order: Json) -> None:
    present = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = _merge_objects(present, value, key)
        if value.get("$patch") == "delete":
            del merged[key]
    elif isinstance(value, list) and key in MERGED_PRIMITIVES:
        known = present or []
        merged[key] = [*known, *(item for item in value if item not in known)]
    elif isinstance(value, list):
        by = MERGE_KEYS.get(f"{parent}.{key}") or MERGE_KEYS.get(key)
        merged[key] = _merge_lists(present or [], value, key, by, order) if by else value
    else:
        merged[key] = value


def _merge_lists(target: Sequence[Object], patch: Sequence[Json], field: str, by: str, order: Json) -> Json:
    """Merge items with equal keys. New ones go first, unless the patch says otherwise."""
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    items = {item.get(by): item for item in target}
    server = {name: place for place, name in enumerate(items)}
    named = []
    for item in patch:
        if not isinstance(item, dict):
            raise StatusError(422, "Invalid", f"unable to merge a list of objects at {field}")
        if by not in item:
            shown = f"map: {item} does not contain declared merge key: {by}"
            raise bad_request(shown)
        name = item[by]
        if item.get("$patch") == "delete":
            items.pop(name, None)
            continue
        items[name] = _merge_objects(items.get(name, {}), item, field)
        named.append(name)
    if isinstance(order, list):
        wanted = [each.get(by) if isinstance(each, dict) else each for each in order]
        named = [name for name in wanted if name in items]
    return [items[name] for name in _interleave(named, items, server)]


def _interleave(named: list[Json], items: Mapping[Json, Object], server: Mapping[Json, int]) -> list[Json]:
    """The names of a patch in its order, with the other items between them in the server's."""
    others = [name for name in items if name not in named]
    result = []
    while named and others:
        place = server.get(named[0], -1)
        result.append(others.pop(0) if place > server[others[0]] else named.pop(0))
    return [*result, *named, *others]
