"""Merges an applied configuration into an object, and takes fields out of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.apply.fieldsets import SELF, FieldSet, is_member
from pytest_selfrep.kubesim.apply.parts import UNDECLARED, Part
from pytest_selfrep.kubesim.objects import Json


def merge(part: Part, live: Json, applied: Json) -> Json:
    """What ``live`` becomes; neither argument is changed. Nulls of the configuration stay: they unset."""
    if isinstance(live, dict) and part.divides(live) and (applied is None or part.divides(applied)):
        merged = dict(live)
        for name, value in (applied or {}).items():
            below = part.named(name) or UNDECLARED
            merged[name] = merge(below, live[name], value) if name in live else value
        return merged
    if isinstance(live, list) and part.divides(live) and (applied is None or part.divides(applied)):
        return _merged_list(part, live, applied or [])
    return applied


def _merged_list(part: Part, live: Sequence[Json], applied: Sequence[Json]) -> list[Json]:
    """Items with equal keys are merged. The configuration's order rules; others keep their neighbours."""
    present, wanted = part.items(live), part.items(applied)
    shared = [element for element in wanted if element in present]
    result: list[Json] = []
    waiting = list(wanted)
    for item in live:
        element = part.element(item)
        if element not in wanted:
            result.append(item)
        elif shared and element == shared[0]:
            # Up to here goes what the configuration has before this item.
            place = waiting.index(element) + 1
            result += [_joined(part, each, present, wanted) for each in waiting[:place]]
            waiting = waiting[place:]
            shared.pop(0)
    return [*result, *(_joined(part, each, present, wanted) for each in waiting)]


def _joined(part: Part, element: str, present: Mapping[str, Json], wanted: Mapping[str, Json]) -> Json:
    if element not in present:
        return wanted[element]
    return merge(part.item, present[element], wanted[element])


def without(part: Part, value: Json, fields: FieldSet) -> Json:
    """A value without the fields of a set; what is left empty becomes null."""
    if not fields or not value or not part.divides(value):
        return value
    if isinstance(value, dict):
        kept = {}
        for name, inner in value.items():
            below = fields.get(f"f:{name}")
            if below is None:
                kept[name] = inner
            elif not is_member(below):
                kept[name] = without(part.named(name) or UNDECLARED, inner, below)
        return kept or None
    items = []
    for inner in value:
        below = fields.get(part.element(inner))
        if below is None:
            items.append(inner)
        elif not is_member(below):
            items.append(without(part.item, inner, below))
    return items or None


def with_named_fields(part: Part, fields: FieldSet) -> FieldSet:
    """A set with the declared fields that its members lie in, which as a rule belong to nobody."""
    result: FieldSet = {}
    for element, below in fields.items():
        if element == SELF or not below:
            result[element] = below
            continue
        name = element.removeprefix("f:")
        declared = part.named(name) if part.relation == "struct" and name != element else None
        inner = part.item if name == element else declared or part.named(name) or UNDECLARED
        inside = with_named_fields(inner, below)
        result[element] = {SELF: {}, **inside} if declared is not None else inside
    return result
