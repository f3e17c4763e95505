"""Sets of fields of an object, in the form that ``managedFields`` writes them (FieldsV1).

A set is a tree of path elements: ``f:name`` for a field, ``k:{"name":"web"}`` for the item of a list with
these keys, ``v:"text"`` for an item known by its value. An element that leads to nothing belongs to the set
itself; one with others below belongs to it if ``.`` is among them. The sets here are never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import orjson

# A recursive dict[str, FieldSet], which mypy cannot express as an alias of a dict.
FieldSet: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

SELF: Final = "."
_ALONE: Final[FieldSet] = {SELF: {}}


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in at least one of two sets."""
    if not one or not other or one is other:
        return one or other
    result = dict(one)
    for element, below in other.items():
        if element == SELF or element not in one:
            result[element] = below
        else:
            result[element] = _collapsed(union(one[element] or _ALONE, below or _ALONE))
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in ``one`` only."""
    if not one or not other:
        return one
    result: FieldSet = {}
    for element, below in one.items():
        if element not in other:
            result[element] = below
        elif element != SELF:
            rest = difference(below or _ALONE, other[element] or _ALONE)
            if rest:
                result[element] = _collapsed(rest)
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both of two sets."""
    result: FieldSet = {}
    for element in one.keys() & other.keys() if one and other else ():
        if element == SELF:
            result[SELF] = {}
            continue
        both = intersection(one[element] or _ALONE, other[element] or _ALONE)
        if both:
            result[element] = _collapsed(both)
    return result


def contains(fields: FieldSet, path: Iterable[str]) -> bool:
    """Whether a path belongs to a set."""
    found = fields
    for element in path:
        if element not in found:
            return False
        found = found[element]
    return is_member(found)


def is_member(below: FieldSet) -> bool:
    """Whether an element belongs to its set itself, by what is below it."""
    return not below or SELF in below


def paths(fields: FieldSet) -> Iterator[Path]:
    """All paths in a set, those that end at a level before those that go on."""
    elements = sorted(element for element in fields if element != SELF)
    for element in elements:
        if is_member(fields[element]):
            yield (element,)
    for element in elements:
        for path in paths(fields[element]):
            yield (element, *path)


def of_paths(members: Iterable[Path]) -> FieldSet:
    """The set of these paths."""
    result: FieldSet = {}
    for path in members:
        one: FieldSet = {}
        for element in reversed(path):
            one = {element: one}
        result = union(result, one)
    return result


def in_order(fields: FieldSet) -> FieldSet:
    """The same set with its elements sorted, as a server writes them."""
    return {element: in_order(fields[element]) for element in sorted(fields)}


def path_text(path: Iterable[str]) -> str:
    """A path as messages name it: ``.spec.containers[name="web"].image``."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    prefix, _, rest = element.partition(":")
    match prefix:
        case "f":
            return f".{rest}"
        case "k":
            keys = orjson.loads(rest)
            return "[" + ",".join(f"{name}={value_text(value)}" for name, value in keys.items()) + "]"
        case "v":
            return f"[={value_text(orjson.loads(rest))}]"
    return f"[{rest}]"


def value_text(value: object) -> str:
    """A scalar as paths quote it."""
    return orjson.dumps(value).decode()


def parse(fields: object) -> FieldSet:
    """A set that a client sent. Raises ValueError if it is none."""
    if not isinstance(fields, dict):
        raise ValueError("fields are no object")
    result: FieldSet = {}
    for element, below in fields.items():
        result[_parsed_element(element)] = _collapsed(parse(below)) if below else {}
    return result


def _parsed_element(element: str) -> str:
    prefix, colon, rest = element.partition(":")
    if element == SELF or (colon and prefix == "f") or (prefix == "i" and rest.isdecimal()):
        return element
    if not colon or prefix not in ("k", "v"):
        raise ValueError(f"no element of a path: {element}")
    return f"{prefix}:" + orjson.dumps(orjson.loads(rest), option=orjson.OPT_SORT_KEYS).decode()


def _collapsed(below: FieldSet) -> FieldSet:
    return {} if len(below) == 1 and SELF in below else below
