"""What an applied configuration claims, and whether it fits its type."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_selfrep.kubesim.apply.fieldsets import SELF, FieldSet, path_text
from pytest_selfrep.kubesim.apply.parts import UNDECLARED, Part
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.schema import Scalar, Struct

_NUMBERS = frozenset({"int32", "int64", "double"})
_LEFT_OPEN = frozenset({"Quantity", "IntOrString"})


def claimed(part: Part, value: Json) -> FieldSet:
    """The fields that a configuration names: those without parts, and what items lists and maps have."""
    fields: FieldSet = {}
    for element, inner, below in part.children(value):
        inside = claimed(below, inner) if below.divides(inner) else {}
        declared = element.startswith("f:") and part.relation == "struct" and below is not UNDECLARED
        if not below.divides(inner) or inner == {}:
            fields[element] = {}
        elif not declared:
            fields[element] = {SELF: {}, **inside} if inside else {}
        elif inside:
            fields[element] = inside
    return fields


def _is_divided_list(part: Part) -> bool:
    return part.relation in ("keyed", "set")


def mistakes(part: Part, value: Json, where: str = "") -> list[str]:
    """Why a configuration does not fit its type, in the words of the API server; empty if it does."""
    if value is None:
        return []
    expected = _expected(part, value)
    if expected:
        return [f"{where}: {expected}"]
    return list(_inside(part, value, where))


def _inside(part: Part, value: Json, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            below = part.named(name)
            here = f"{where}.{name}"
            if below is None:
                yield f"{here}: field not declared in schema"
                return
            yield from mistakes(below, inner, here)
    elif isinstance(value, list):
        yield from _items(part, value, where)


def _items(part: Part, value: list[Json], where: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, inner in enumerate(value):
        element = f"i:{index}"
        if _is_divided_list(part):
            try:
                element = part.element(inner)
            except ValueError as error:
                yield f"{where}: element {index}: {error}"
                return
            if element in seen:
                yield f"{where}: duplicate entries for key {path_text([element])}"
            seen.add(element)
        yield from mistakes(part.item, inner, where + path_text([element]))


def _expected(part: Part, value: Json) -> str:
    type_ = part.type
    if type_ is None:
        return ""
    if isinstance(type_, Scalar):
        return _expected_scalar(type_.name, value)
    if isinstance(type_, Struct) or part.is_map:
        return "" if isinstance(value, dict) else f"expected map, got &{{{_go(value)}}}"
    return "" if isinstance(value, list) else f"expected list, got &{{{_go(value)}}}"


def _expected_scalar(name: str, value: Json) -> str:
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "expected numeric (int or float), got *value.valueUnstructured"
    elif name == "bool":
        if not isinstance(value, bool):
            return f"expected boolean, got &{{{_go(value)}}}"
    elif name in _LEFT_OPEN:
        if isinstance(value, dict | list):
            return f"expected any scalar, got &{{{_go(value)}}}"
    elif name in ("string", "Time", "MicroTime", "bytes") and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{_go(value, typed=True)}}}"
    return ""


def _go(value: Json, *, typed: bool = False) -> str:
    """A value as Go prints it with ``%v``, or with ``%#v`` if ``typed``."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"' if typed else value
        case dict():
            pairs = sorted(value.items())
            if typed:
                inside = ", ".join(f'"{name}":{_go(inner, typed=True)}' for name, inner in pairs)
                return f"map[string]interface {{}}{{{inside}}}"
            return "map[" + " ".join(f"{name}:{_go(inner)}" for name, inner in pairs) + "]"
        case list():
            if typed:
                return "[]interface {}{" + ", ".join(_go(inner, typed=True) for inner in value) + "}"
            return "[" + " ".join(_go(inner) for inner in value) + "]"
    return str(value)
