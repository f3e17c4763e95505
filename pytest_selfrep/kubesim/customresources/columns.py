"""The columns that a CustomResourceDefinition gives its objects in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.customresources.paths import find
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.tables import cells
from pytest_selfrep.kubesim.tables.columns import Column

_AGE: Object = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": "When the object was made.",
}
_NAME = Column("Name", lambda obj, clock: obj["metadata"]["name"])


def columns_of(declared: Sequence[Object]) -> tuple[Column, ...]:
    """Name, then those that the definition declares, or the age if it declares none."""
    return (_NAME, *map(_column, declared or (_AGE,)))


def _column(said: Object) -> Column:
    read, path = _CELLS[said["type"]], said["jsonPath"]
    return Column(
        said["name"],
        lambda obj, clock: read(find(obj, path), clock),
        said["type"],
        said.get("priority", 0),
        said.get("description", ""),
        said.get("format", ""),
    )


def _text(found: Sequence[Json], clock: Clock) -> Json:
    if not found or isinstance(found[0], str):
        return found[0] if found else None
    return orjson.dumps(found[0]).decode()


def _integer(found: Sequence[Json], clock: Clock) -> Json:
    return int(found[0]) if found and _is_number(found[0]) else None


def _number(found: Sequence[Json], clock: Clock) -> Json:
    return found[0] if found and _is_number(found[0]) else None


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _boolean(found: Sequence[Json], clock: Clock) -> Json:
    return found[0] if found and isinstance(found[0], bool) else None


def _date(found: Sequence[Json], clock: Clock) -> Json:
    if not found or not isinstance(found[0], str):
        return None
    try:
        return cells.since(found[0], clock)
    except ValueError:
        return "<invalid>"


_CELLS: Mapping[str, Callable[[Sequence[Json], Clock], Json]] = {
    "boolean": _boolean,
    "date": _date,
    "integer": _integer,
    "number": _number,
    "string": _text,
}
"""Type of a column to what it shows of the values that it finds; kubectl prints ``<none>`` for null."""
