"""Fields that a type has not, and fields that are there twice (``fieldValidation``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import orjson

from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.schema import ListOf, MapOf, Struct, Type

MOST = 100
"""Problems that one body is told of."""


class _Pairs(list[tuple[str, Json]]):
    """An object with all its fields, also those that are there twice."""


def has_duplicates(body: bytes, value: Json) -> bool:
    """Whether a JSON text that was read as ``value`` may name a field twice; it costs next to nothing.

    A field that was dropped takes the quotes of its name with it.
    """
    return orjson.dumps(value).count(b'"') != body.count(b'"')


def with_duplicates(body: bytes) -> Json:
    """A JSON text read so that :func:`problems` sees what is there twice."""
    return json.loads(body, object_pairs_hook=_Pairs)


def problems(value: Json, type_: Type | None) -> list[str]:
    """What is wrong, in Kubernetes' words and the order of the text; without a type only duplicates."""
    return list(islice(dict.fromkeys(_problems(value, type_, "")), MOST))


def _problems(value: Json, type_: Type | None, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        yield from _of_fields(value, type_, path)
    elif isinstance(value, dict):
        yield from _of_fields(value.items(), type_, path)
    elif isinstance(value, list):
        item_type = type_.item if isinstance(type_, ListOf) else None
        if type_ is None or item_type is not None:
            for place, item in enumerate(value):
                yield from _problems(item, item_type, f"{path}[{place}]")


def _of_fields(pairs: Iterator[tuple[str, Json]] | Json, type_: Type | None, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for name, item in pairs:
        inner = f"{path}.{name}" if path else name
        known, item_type = _typed(type_, name)
        if not known:
            yield f'unknown field "{inner}"'
            continue
        if name in seen:
            yield f'duplicate field "{inner}"'
        seen.add(name)
        if type_ is None or item_type is not None:
            yield from _problems(item, item_type, inner)


def _typed(type_: Type | None, name: str) -> tuple[bool, Type | None]:
    """Whether there is such a field, and its type if it is looked into."""
    match type_:
        case None:
            return True, None
        case Struct():
            field = type_.fields.get(name)
            if field is None:
                return False, None
            return True, field.type if isinstance(field.type, Struct | ListOf | MapOf) else None
        case MapOf():
            return True, type_.value if isinstance(type_.value, Struct | ListOf | MapOf) else None
    return True, None
