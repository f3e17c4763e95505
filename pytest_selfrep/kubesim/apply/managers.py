"""Who owns which fields of an object, and how an update or an apply passes them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from pytest_selfrep.kubesim.apply import fieldsets
from pytest_selfrep.kubesim.apply.comparison import Comparison, compare
from pytest_selfrep.kubesim.apply.fieldsets import FieldSet, Path
from pytest_selfrep.kubesim.apply.merging import merge, with_named_fields, without
from pytest_selfrep.kubesim.apply.parts import Part
from pytest_selfrep.kubesim.apply.typed import claimed
from pytest_selfrep.kubesim.objects import Json, Object

MOST_UPDATERS = 10
"""Managers of updates that an object remembers one by one; older ones are summed up."""
ANCIENT = "ancient-changes"

_NOT_OWNED = (
    *(("f:apiVersion",), ("f:kind",)),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)
"""What names an object or is the server's business."""
_STRIPPED = fieldsets.of_paths(_NOT_OWNED)
_WITHOUT_SELF = fieldsets.of_paths([*_NOT_OWNED, ("f:metadata",)])


class Manager(NamedTuple):
    """Who owns fields, through which kind of request."""

    name: str
    operation: Literal["Apply", "Update"]
    api_version: str
    """Of the fields; a manager that applies is the same in every version, so it is empty then."""
    subresource: str = ""


@dataclass(frozen=True)
class Claim:
    """The fields of one manager."""

    fields: FieldSet
    api_version: str
    time: str
    """RFC 3339; empty if nobody said when."""

    @cached_property
    def in_order(self) -> FieldSet:
        """The fields as they are written."""
        return fieldsets.in_order(self.fields)


Managed: TypeAlias = Mapping[Manager, Claim]


@dataclass(frozen=True)
class Write:
    """A request that changes an object."""

    manager: Manager
    api_version: str
    time: str
    ignored: FieldSet
    """Fields that requests of this kind do not change, whatever they send."""


class Conflicts(Exception):
    """What is applied differs from what others own."""

    def __init__(self, found: Mapping[Manager, FieldSet]) -> None:
        super().__init__("fields are owned by others")
        self.found = found

    def each(self) -> Iterator[tuple[Manager, Path]]:
        """Every field in conflict with its owner, owners in order."""
        for manager in sorted(self.found):
            for path in fieldsets.paths(self.found[manager]):
                yield manager, path


def updated(part: Part, managed: Managed, write: Write, old: Object | None, new: Object) -> Managed:
    """Who owns what after a request other than apply; ``old`` is None if it made the object."""
    changes = _changes(part, part.always if old is None else old, new, write)
    if not changes.changed and not changes.removed:
        return managed
    result = _released(managed, changes)
    if changes.changed:
        before = result.get(write.manager)
        fields = fieldsets.union(before.fields, changes.changed) if before else changes.changed
        result[write.manager] = Claim(fields, write.api_version, write.time)
    return _capped(result, write)


def applied(
    part: Part, managed: Managed, write: Write, live: Object, configuration: Object, *, force: bool
) -> tuple[Json, Managed]:
    """What a configuration makes of an object, and who owns what then. Raises Conflicts unless ``force``.

    Values that are taken back are null in the result.
    """
    merged = merge(part, live, configuration)
    last = managed.get(write.manager)
    fields = _owned(claimed(part, configuration), write)
    after = {**managed, write.manager: Claim(fields, write.api_version, write.time)}
    if last is not None:
        merged = _pruned(part, merged, last.fields, [claim.fields for claim in after.values()]) or {}
    changes = _changes(part, live, merged, write)
    others = {manager: claim for manager, claim in after.items() if manager != write.manager}
    conflicts = {
        manager: both
        for manager, claim in others.items()
        if (both := fieldsets.intersection(claim.fields, changes.changed))
    }
    if conflicts and not force:
        raise Conflicts(conflicts)
    result = _released(others, changes)
    if fields:
        result[write.manager] = after[write.manager]
    return merged, result


def same(one: Managed, other: Managed) -> bool:
    """Whether managers own the same, whenever they wrote it."""
    return one.keys() == other.keys() and all(
        (claim.fields, claim.api_version) == (other[manager].fields, other[manager].api_version)
        for manager, claim in one.items()
    )


def _owned(fields: FieldSet, write: Write) -> FieldSet:
    below = fields.get("f:metadata")
    kept = fieldsets.difference(fields, _STRIPPED if below else _WITHOUT_SELF)
    return {element: inside for element, inside in kept.items() if element not in write.ignored}


def _changes(part: Part, old: Object, new: Object, write: Write) -> Comparison:
    changes = compare(part, _compared(old, write), _compared(new, write))
    return Comparison(_owned(changes.changed, write), _owned(changes.removed, write))


def _compared(obj: Object, write: Write) -> Object:
    """An object without what is ignored anyway, which would take time to compare."""
    return {
        name: value
        for name, value in obj.items()
        if name not in ("kind", "apiVersion") and f"f:{name}" not in write.ignored
    }


def _released(managed: Managed, changes: Comparison) -> dict[Manager, Claim]:
    """What is left to each manager when others set or removed fields."""
    result: dict[Manager, Claim] = {}
    for manager, claim in managed.items():
        fields = fieldsets.difference(claim.fields, changes.changed)
        fields = fieldsets.difference(fields, changes.removed)
        if fields:
            result[manager] = claim if fields == claim.fields else replace(claim, fields=fields)
    return result


def _pruned(part: Part, merged: Json, last: FieldSet, owned: list[FieldSet]) -> Json:
    """Take out what the manager applied before, does not apply now, and nobody else owns."""
    last = with_named_fields(part, last)
    whole = with_named_fields(part, claimed(part, merged))
    kept: FieldSet = {}
    for fields in owned:
        kept = fieldsets.union(kept, with_named_fields(part, fields))
    pruned = without(part, merged, last)
    kept = fieldsets.union(kept, with_named_fields(part, claimed(part, pruned)) if pruned else {})
    pruned = without(part, merged, fieldsets.difference(whole, kept))
    # Only what the manager had is its to take back.
    present = with_named_fields(part, claimed(part, pruned)) if pruned else {}
    gone = fieldsets.intersection(fieldsets.difference(whole, present), last)
    return without(part, merged, gone)


def _capped(managed: dict[Manager, Claim], write: Write) -> Managed:
    """Sum up the oldest managers of updates if there are too many."""
    updaters = [manager for manager in managed if manager.operation == "Update"]
    if len(updaters) <= MOST_UPDATERS:
        return managed
    updaters.sort(key=lambda manager: (managed[manager].time, manager))
    for manager in updaters[: len(updaters) - MOST_UPDATERS + 1]:
        claim = managed.pop(manager)
        ancient = Manager(ANCIENT, "Update", manager.api_version)
        before = managed.get(ancient)
        fields = fieldsets.union(before.fields, claim.fields) if before else claim.fields
        managed[ancient] = Claim(fields, claim.api_version, claim.time)
    return managed
