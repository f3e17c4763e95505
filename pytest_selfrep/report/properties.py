"""Ours among the properties of a test, which travel with its reports. Cheap to import: every run does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

Property: TypeAlias = str | int | float

PREFIX: Final = "selfrep."


def attach(user_properties: list[tuple[str, object]], found: Mapping[str, Property]) -> None:
    """Put the properties among those of a test, in place of earlier ones of ours."""
    others = [(name, value) for name, value in user_properties if not name.startswith(PREFIX)]
    user_properties[:] = [*others, *((PREFIX + name, value) for name, value in found.items())]


def detached(user_properties: list[tuple[str, object]]) -> dict[str, object]:
    """The properties of ours among those of a report, by name without the prefix."""
    return {name.removeprefix(PREFIX): value for name, value in user_properties if name.startswith(PREFIX)}
