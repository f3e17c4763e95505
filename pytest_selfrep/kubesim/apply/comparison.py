"""What a write changed: the fields that it set, and those that it removed."""

from __future__ import annotations

from typing import NamedTuple

from pytest_selfrep.kubesim.apply.fieldsets import SELF, FieldSet
from pytest_selfrep.kubesim.apply.parts import UNDECLARED, Part
from pytest_selfrep.kubesim.objects import Json


class Comparison(NamedTuple):
    """The difference between two values of the same part."""

    changed: FieldSet
    """Fields that are new or have another value."""
    removed: FieldSet
    """Fields that are there no longer."""


def compare(part: Part, old: Json, new: Json) -> Comparison:
    """Both must be divided values of ``part``, as objects are."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    before = _parts(part, old)
    for element, (value, below) in _parts(part, new).items():
        if element not in before:
            if value is not None:
                changed[element] = everything(below, value)
            continue
        earlier = before.pop(element)[0]
        if earlier is value or earlier == value:
            continue
        # To what has parts, null is a value without any.
        if not any(below.divides(each) for each in (earlier, value)) or not all(
            each is None or below.divides(each) for each in (earlier, value)
        ):
            changed[element] = {}
            continue
        inside = compare(below, earlier, value)
        if inside.changed:
            changed[element] = inside.changed
        if inside.removed:
            removed[element] = inside.removed
    for element, (value, below) in before.items():
        removed[element] = everything(below, value)
    return Comparison(changed, removed)


def everything(part: Part, value: Json) -> FieldSet:
    """What is at an element that only one side has: itself and all that is below."""
    if not value or not part.divides(value):
        return {}
    fields: FieldSet = {SELF: {}}
    for element, (inner, below) in _parts(part, value).items():
        fields[element] = everything(below, inner)
    return fields


def _parts(part: Part, value: Json) -> dict[str, tuple[Json, Part]]:
    found: dict[str, tuple[Json, Part]] = {}
    for element, inner, below in part.children(value):
        if element in found:
            # Items with the same keys are one to their owners; their values stand together.
            found[element] = ([found[element][0], inner], UNDECLARED)
        else:
            found[element] = (inner, below)
    return found
