"""How values of a type are divided into parts with owners of their own (list topology, map relations)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

import orjson

from pytest_selfrep.kubesim.apply.fieldsets import value_text
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type

Relation = Literal["scalar", "atomic", "struct", "map", "keyed", "set", "any"]

_WHOLE = frozenset({"StringList", "FieldsV1", "RawExtension"})
"""Scalars of our schema that are lists or maps in JSON."""
_FREE = frozenset({"any", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool"})
"""Scalars of our schema that are typed by what is there."""


def _relation(type_: Type | None, field: Field | None) -> Relation:
    if field is not None and field.atomic:
        return "atomic"
    if isinstance(type_, Struct):
        return "atomic" if type_.atomic else "struct"
    if isinstance(type_, MapOf):
        return "map"
    if isinstance(type_, ListOf):
        if field is None:
            return "atomic"
        return "keyed" if field.keys else "set" if field.set else "atomic"
    if isinstance(type_, Scalar) and type_.name not in _FREE:
        return "atomic" if type_.name in _WHOLE else "scalar"
    return "any"


class Part:
    """A place in a type: what values there are made of.

    ``scalar`` and ``atomic`` have one owner as a whole; ``struct`` and ``map`` one for each field; ``keyed``
    and ``set`` are lists with one for each item; ``any`` is divided if its value is a map.
    """

    def __init__(self, type_: Type | None = None, field: Field | None = None) -> None:
        """``None`` is a type that nobody has declared."""
        self.type = type_
        self._field = field
        self.relation = _relation(type_, field)
        self._named: dict[str, Part | None] = {}

    @property
    def is_map(self) -> bool:
        return isinstance(self.type, MapOf)

    @property
    def _is_free(self) -> bool:
        """Whether it has one owner, and in it whatever that one likes."""
        return self.relation == "atomic" and isinstance(self.type, Scalar)

    def divides(self, value: Json) -> bool:
        """Whether parts of a value have owners of their own."""
        match self.relation:
            case "scalar" | "atomic":
                return False
            case "keyed" | "set":
                return isinstance(value, list)
        return isinstance(value, dict)

    def named(self, name: str) -> Part | None:
        """The part that a field of that name is; None if a struct does not declare it."""
        if self.is_map or self.relation == "any" or self._is_free:
            return self.item
        if name not in self._named:
            declared = self.type.fields.get(name) if isinstance(self.type, Struct) else None
            self._named[name] = Part(declared.type, declared) if declared else None
        return self._named[name]

    @cached_property
    def item(self) -> Part:
        """What every item of a list, or every value of a map, is."""
        if isinstance(self.type, ListOf):
            return Part(self.type.item)
        return Part(self.type.value) if isinstance(self.type, MapOf) else UNDECLARED

    @cached_property
    def _keys(self) -> Sequence[tuple[str, Json]]:
        """The keys of the list's items, each with what stands for it where it is left out."""
        names = self._field.keys if self._field else ()
        fields = self.item.type.fields if isinstance(self.item.type, Struct) else {}
        return [(name, fields[name].default if name in fields else None) for name in sorted(names)]

    def children(self, value: Json) -> Iterator[tuple[str, Json, Part]]:
        """Path element, value and part of each part of a value that is divided."""
        if isinstance(value, dict):
            for name, each in value.items():
                yield f"f:{name}", each, self.named(name) or UNDECLARED
        elif isinstance(value, list):
            for each in value:
                yield self.element(each), each, self.item

    def element(self, item: Json) -> str:
        """The path element of a list's item. Raises ValueError if it has none."""
        if self.relation == "set":
            if isinstance(item, dict | list | None):
                raise ValueError("associative list without keys has an element that's not a scalar")
            return f"v:{value_text(item)}"
        if not isinstance(item, dict):
            raise ValueError("associative list with keys may not have non-map elements")
        found = {name: item.get(name, default) for name, default in self._keys}
        known = {name: value for name, value in found.items() if value is not None}
        return "k:" + orjson.dumps(known).decode()

    def items(self, value: Sequence[Json]) -> Mapping[str, Json]:
        """A list's items by their path elements; of items with equal keys the first."""
        found: dict[str, Json] = {}
        for each in value:
            found.setdefault(self.element(each), each)
        return found

    @cached_property
    def always(self) -> Json:
        """What Go has in a new value of this type even before anything is filled in."""
        if self.relation != "struct" or not isinstance(self.type, Struct):
            return [] if isinstance(self.type, ListOf) else {} if isinstance(self.type, MapOf) else None
        present = {}
        for name, field in self.type.fields.items():
            part = self.named(name)
            if part is not None and (
                field.value or (field.required and part.relation in ("keyed", "set", "map"))
            ):
                present[name] = part.always
        return {name: value for name, value in present.items() if value is not None}


UNDECLARED = Part()
