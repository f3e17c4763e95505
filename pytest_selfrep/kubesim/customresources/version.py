"""One version of a custom resource, as its definition says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_selfrep.kubesim.customresources.values import fill_in, pruned
from pytest_selfrep.kubesim.discovery.priorities import sorted_versions
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.schema import Struct
    from pytest_selfrep.kubesim.tables.columns import Column


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers: dotted paths, each beginning with a dot."""

    spec_replicas: str
    status_replicas: str
    label_selector: str = ""


@dataclass(frozen=True, eq=False)
class CustomVersion:
    """What there is to know of a version of a custom resource besides its Kind."""

    list_kind: str
    schema: Object
    """``openAPIV3Schema``: a structural schema."""
    reading: Object | None = None
    """The storage version's schema if objects may be stored that were written by an older one."""
    storage: Kind | None = None
    """The kind as which objects of all versions are stored; None if it is this one."""
    scale: ScalePaths | None = None
    declared: Sequence[Object] = ()
    """``additionalPrinterColumns``."""
    selectable: tuple[str, ...] = ()
    """Fields that field selectors may ask for: ``spec.color``."""
    deprecation: str = ""
    """The warning that requests for this version get; empty if it is not deprecated."""
    is_terminating: bool = False
    """Whether the definition is being deleted, so that nothing new is taken."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Of tables."""
        from pytest_selfrep.kubesim.customresources.columns import columns_of

        return columns_of(self.declared)

    @cached_property
    def type(self) -> Struct:
        """As server-side apply sees it."""
        from pytest_selfrep.kubesim.customresources.types import type_of

        return type_of(self.schema)


def as_version(kind: Kind, obj: Object) -> Object:
    """A stored object as one of this version (conversion ``None``), by what the schemas say today."""
    if kind.custom is None:
        return obj
    if kind.custom.reading is not None:
        obj = _pruned(kind.custom.reading, obj)
        fill_in(kind.custom.reading, obj)
    if obj["apiVersion"] == kind.api_version:
        return obj
    return as_stored(kind, _pruned(kind.custom.schema, obj))


def as_stored(kind: Kind, obj: Object) -> Object:
    """An object under another version's name."""
    if obj["apiVersion"] == kind.api_version:
        return obj
    return {**obj, "kind": kind.kind, "apiVersion": kind.api_version}


def _pruned(schema: Object, obj: Object) -> Object:
    found = pruned(schema, obj)
    assert isinstance(found, dict)
    return found


def versions_of(definition: Object, home: Kind | None) -> tuple[Kind, tuple[Kind, ...]]:
    """The kind as which objects are stored, and one for every version that is served.

    ``home`` is the first of them if it is known from before: it stays the same as long as the definition.
    """
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    base = Kind(
        group=spec["group"],
        version="",
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular", ""),
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        has_generation=True,
    )
    stored = next(each for each in spec["versions"] if each["storage"])
    home = home or _version(base, definition, stored, None)
    return home, tuple(_version(base, definition, each, home) for each in spec["versions"] if each["served"])


def _version(base: Kind, definition: Object, said: Object, home: Kind | None) -> Kind:
    below: Object = said.get("subresources") or {}
    is_first = home is None or definition["metadata"].get("generation", 1) == 1
    stored = next(each for each in definition["spec"]["versions"] if each["storage"])
    scale = below.get("scale")
    custom = CustomVersion(
        list_kind=definition["status"]["acceptedNames"]["listKind"],
        schema=_schema(said),
        reading=None if is_first else _schema(stored),
        storage=home,
        scale=_scale(scale) if scale else None,
        declared=said.get("additionalPrinterColumns") or (),
        selectable=tuple(each["jsonPath"].removeprefix(".") for each in said.get("selectableFields") or ()),
        deprecation=_deprecation(definition, said) if said.get("deprecated") else "",
        is_terminating="deletionTimestamp" in definition["metadata"],
    )
    subresources = tuple(name for name in ("status", "scale") if name in below)
    return replace(base, version=said["name"], subresources=subresources, custom=custom)


def _schema(version: Object) -> Object:
    return (version.get("schema") or {}).get("openAPIV3Schema") or {}


def _deprecation(definition: Object, said: Object) -> str:
    """What requests for a deprecated version are told."""
    if said.get("deprecationWarning"):
        return str(said["deprecationWarning"])
    spec, name = definition["spec"], said["name"]
    group, kind = spec["group"], spec["names"]["kind"]
    current = [each["name"] for each in spec["versions"] if each["served"] and not each.get("deprecated")]
    best = sorted_versions(group, (*current, name))[0]
    better = f"; use {group}/{best} {kind}" if best != name else ""
    return f"{group}/{name} {kind} is deprecated{better}"


def _scale(said: Object) -> ScalePaths:
    return ScalePaths(said["specReplicasPath"], said["statusReplicasPath"], said.get("labelSelectorPath", ""))
