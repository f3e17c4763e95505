"""Strategic merge patch: lists are merged in the way that the types of the API declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.decoding.objects import go_map
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Struct, Type
from pytest_selfrep.kubesim.status import StatusError, bad_request

_ORDER, _DELETE, _RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def strategic(target: Object, patch: Object, type_: Type | None) -> Json:
    """What ``target`` becomes; neither argument is changed. Without a type every list is replaced.

    Raises StatusError 400 or 500.
    """
    return _merge_objects(target, patch, type_)


def _merge_objects(target: Json, patch: Object, type_: Type | None) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _failed(f"unknown patch type: {directive} in map: {go_map(patch)}")
    merged = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        retained = patch[_RETAIN]
        if not isinstance(retained, list) or any(
            _is_value(patch, key) and key not in retained for key in patch
        ):
            raise bad_request("invalid patch format of retainKeys")
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            # Where there is nothing to delete from, Kubernetes takes the list for the value.
            known = merged.get(name)
            if isinstance(known, list) and isinstance(value, list):
                merged[name] = [item for item in known if item not in value]
            else:
                merged[name] = value
        elif not key.startswith("$"):
            _merge_field(merged, key, value, _field(type_, key), patch.get(_ORDER + key))
    return merged


def _is_value(patch: Object, key: str) -> bool:
    return not key.startswith("$") and patch[key] is not None


def _failed(why: str) -> StatusError:
    """As the API server answers errors that it has no better code for."""
    return StatusError(500, "", why)


def _field(type_: Type | None, key: str) -> Field | None:
    """What is known of a field, or of what a map has under a key."""
    match type_:
        case Struct():
            return type_.fields.get(key)
        case MapOf():
            return Field(key, type_.value)
    return None


def _merge_field(merged: Object, key: str, value: Json, field: Field | None, order: Json) -> None:
    present = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        whole = field is not None and field.replace
        merged[key] = _merge_objects({} if whole else present, value, field.type if field else None)
        if value.get("$patch") == "delete":
            del merged[key]
    elif not isinstance(value, list) or field is None or field.merge is None:
        merged[key] = value
    elif field.merge:
        item = field.type.item if isinstance(field.type, ListOf) else None
        merged[key] = _merge_lists(present or [], value, field.merge, item, order)
    else:
        known = present or []
        merged[key] = [*known, *(item for item in value if item not in known)]


def _merge_lists(
    target: Sequence[Object], patch: Sequence[Json], by: str, type_: Type | None, order: Json
) -> Json:
    """Merge items with equal keys. New ones go first, unless the patch says otherwise."""
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    items = {item.get(by): item for item in target}
    server = {name: place for place, name in enumerate(items)}
    named = []
    for item in patch:
        if not isinstance(item, dict):
            raise _failed(f"list element types are not identical: [{go_map([*target, *patch])}]")
        if isinstance(item.get(by), dict | list | None):
            raise _failed(f"map: {go_map(item)} does not contain declared merge key: {by}")
        name = item[by]
        if item.get("$patch") == "delete":
            items.pop(name, None)
            continue
        items[name] = _merge_objects(items.get(name, {}), item, type_)
        named.append(name)
    if order is not None:
        wanted = _names(order, by)
        if any(name not in wanted for name in named):
            raise _failed(
                f"The order in patch list:\n{go_map(patch)}\n"
                f" doesn't match $setElementOrder list:\n{go_map(order)}\n"
            )
        named = [name for name in wanted if name in items]
    return [items[name] for name in _interleave(named, items, server)]


def _names(order: Json, by: str) -> list[Json]:
    """The keys of a ``$setElementOrder`` list. Raises StatusError 500."""
    if not isinstance(order, list):
        found = "string" if isinstance(order, str) else go_map(order)
        raise _failed(f"expected a []interface {{}}, but received a {found}")
    keys = (each.get(by) if isinstance(each, dict) else each for each in order)
    return [key for key in keys if not isinstance(key, dict | list)]


def _interleave(named: list[Json], items: Mapping[Json, Object], server: Mapping[Json, int]) -> list[Json]:
    """The names of a patch in its order, with the other items between them in the server's."""
    others = [name for name in items if name not in named]
    result = []
    while named and others:
        place = server.get(named[0], -1)
        result.append(others.pop(0) if place > server[others[0]] else named.pop(0))
    return [*result, *named, *others]
