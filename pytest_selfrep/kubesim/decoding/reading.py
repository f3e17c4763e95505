"""Reads a JSON value by its type: a checked copy, pruned of what the type has not, as Go would keep it.

Left out is what Go leaves out: null, and what is zero or empty where a type does not say that it stays.
Added is what Go has by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache

from pytest_selfrep.kubesim.decoding.misfits import Malformed, Misfit
from pytest_selfrep.kubesim.decoding.scalars import READERS, Reader
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type
from pytest_selfrep.kubesim.schema import struct as named_struct

_Rule = type | Reader
"""How a value is read: ``str`` and ``bool`` stand for values taken as they are, if they are of that type."""

_Plan = tuple[Mapping[str, _Rule], Set[str], Sequence[tuple[str, Reader | None]]]
"""A rule for each field, the fields that are kept if empty, and those that are added with what makes them."""

_PLAIN: dict[str, type] = {"string": str, "bool": bool}
_GO_NAMES = {plain: Scalar(name) for name, plain in _PLAIN.items()}
_OMITTED = (ListOf, MapOf)
_OMITTED_SCALARS = frozenset({"string", "bool", "int32", "int64", "double", "bytes"})
"""Types that Go omits if they are empty. It never omits a struct, nor what has a form of its own."""


@cache
def reader(struct: Struct) -> Reader:
    """What reads values of a type of Kubernetes' own, worked out when the first is read."""
    return struct_reader(struct)


def struct_reader(struct: Struct) -> Reader:
    """Like :func:`reader`, for types that belong to one cluster: not remembered here."""
    plan: _Plan | None = None

    def read(value: Json, strange: list[str]) -> Json:
        nonlocal plan
        if type(value) is not dict:
            if value is not None:
                raise Misfit(value, struct)
            value = {}
        if plan is None:
            # All at once: threads share it, and half of it would prune what the type has.
            plan = _plan(struct)
        rules, kept, parts = plan
        found = {}
        name = ""
        try:
            for name, item in value.items():
                rule = rules.get(name)
                if type(item) is not rule:
                    if rule is None:
                        strange.append(name)
                        continue
                    if item is None:
                        continue
                    if isinstance(rule, type):
                        raise Misfit(item, _GO_NAMES[rule])
                    item = rule(item, strange)
                if item or name in kept:
                    found[name] = item
        except Misfit as misfit:
            misfit.within(struct, name)
            raise
        for name, make in parts:
            if name not in found:
                found[name] = make({}, strange) if make else []
        return found

    return read


def _plan(struct: Struct) -> _Plan:
    rules: dict[str, _Rule] = {}
    kept: set[str] = set()
    parts: list[tuple[str, Reader | None]] = []
    for name, field in struct.fields.items():
        rules[name] = rule = _rule(field.type)
        if _is_kept(field):
            kept.add(name)
        if field.value:
            parts.append((name, rule if isinstance(field.type, Struct) else None))
    return rules, kept, parts


def _is_kept(field: Field) -> bool:
    if field.zero or field.required:
        return True
    if isinstance(field.type, Scalar):
        return field.type.name not in _OMITTED_SCALARS
    return not isinstance(field.type, _OMITTED)


def _rule(type_: Type) -> _Rule:
    match type_:
        case Scalar():
            if type_.name.startswith("JSONSchemaPropsOr"):
                return _schema_reader(type_)
            return _PLAIN.get(type_.name) or READERS[type_.name]
        case ListOf():
            return _list_reader(type_)
        case MapOf():
            return _map_reader(type_)
    return reader(type_) if type_.name else struct_reader(type_)


def _schema_reader(type_: Scalar) -> Reader:
    """For a schema in a schema, which Go reads by itself: nothing is strange in it, errors begin there."""
    read_schema = reader(named_struct("apiextensions.v1.JSONSchemaProps"))

    def read(value: Json, strange: list[str]) -> Json:
        try:
            if type(value) is dict:
                return read_schema(value, [])
            if type_.name == "JSONSchemaPropsOrArray":
                return [read_schema(each, []) for each in value] if type(value) is list else None
        except Misfit as misfit:
            raise Malformed(misfit.in_json()) from None
        if type(value) is bool:
            return value
        raise Malformed("boolean or JSON schema expected")

    return read


def _plain(type_: Type) -> type | None:
    return _PLAIN.get(type_.name) if isinstance(type_, Scalar) else None


def _all(values: Iterable[Json], plain: type | None) -> bool:
    """Whether nothing has to be looked at more closely; most lists and maps are of texts."""
    if plain is None:
        return False
    return {plain}.issuperset(map(type, values))


def _item_reader(type_: Type) -> Reader:
    """For an item of a list or map, where null stands for what is empty."""
    rule = _rule(type_)
    if not isinstance(rule, type):
        return rule
    plain = rule

    def read(value: Json, strange: list[str]) -> Json:
        if type(value) is plain:
            return value
        if value is None:
            return plain()
        raise Misfit(value, type_)

    return read


def _list_reader(type_: ListOf) -> Reader:
    read_item, plain = _item_reader(type_.item), _plain(type_.item)

    def read(value: Json, strange: list[str]) -> Json:
        if type(value) is list:
            if _all(value, plain):
                return value[:]
            return [read_item(item, strange) for item in value]
        if value is None:
            return []
        raise Misfit(value, type_)

    return read


def _map_reader(type_: MapOf) -> Reader:
    read_item, plain = _item_reader(type_.value), _plain(type_.value)

    def read(value: Json, strange: list[str]) -> Json:
        if type(value) is dict:
            if _all(value.values(), plain):
                return value.copy()
            return {name: read_item(item, strange) for name, item in value.items()}
        if value is None:
            return {}
        raise Misfit(value, type_)

    return read
