"""The types of the API: every field's name, type and number, and how lists and maps are merged.

The files in ``schemas/`` hold the types of Kubernetes 1.32, one file a group and version, one block a type:

    Container
      1 name string required -- What the container is called, once in a pod.
      6 ports []ContainerPort map(containerPort,protocol) merge(containerPort)

The first line names the type, with ``kind`` if its objects have ``kind`` and ``apiVersion``, and ``atomic``
if server-side apply owns it as a whole. Every other line is a field: its number in protobuf (0 where a type
has no protobuf form), its name in JSON, its type, and flags (``FLAGS`` says which). After ``--`` follows what
it means.

A type is a scalar of ``SCALARS``, ``[]T``, ``map[T]`` with texts as keys, or the name of a struct: of the
same file, or with file, as ``meta.v1.ObjectMeta``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from pytest_selfrep.kubesim.kinds import Kind

SCALARS: Final = frozenset(
    {
        "string",
        "bool",
        "int32",
        "int64",
        "double",
        "bytes",  # base64 in JSON
        "Time",
        "MicroTime",
        "Duration",
        "Quantity",
        "IntOrString",
        "StringList",  # a list of texts that protobuf wraps in a message
        "FieldsV1",  # a set of fields, as managedFields has them
        "RawExtension",  # an object of any kind
        "JSONSchemaPropsOrArray",  # a schema, or a list of them
        "JSONSchemaPropsOrBool",  # a schema, or whether there is any
        "any",
    }
)

FLAGS: Final[Mapping[str, str]] = {
    "required": "must be there",
    "inline": "protobuf has a struct here whose fields JSON has one level up",
    "value": "there even if left out, then empty: Go has it by value",
    "zero": "kept if zero or empty: Go has a pointer here, or writes it always (as what is required)",
    "atomic": "server-side apply: owned as a whole",
    "set": "server-side apply: each item of the list has an owner of its own",
    "map(KEYS)": "server-side apply: items of the list are known by the fields KEYS",
    "merge(KEY)": "strategic merge patch: items of the list are known by the field KEY",
    "merge": "strategic merge patch: scalars of the list are added",
    "retainKeys": "strategic merge patch: a patch names all the fields that are to stay",
    "replace": "strategic merge patch: replaced as a whole",
    "enum(VALUES)": "one of these texts",
    "default(TEXT)": "what the server fills in; also what stands for a key of a list that is left out",
}
"""Every flag that a field can have, and what it says."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value that is not looked into."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    item: Type


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from texts."""

    value: Type


@dataclass(frozen=True, eq=False)
class Struct:
    """An object with named fields, which may contain others of its own type."""

    name: str
    """``core.v1.PodSpec``; empty for the structs within a custom resource."""
    declared: tuple[Field, ...] | str
    """Its fields, or the lines that say them, read when first asked for."""
    is_kind: bool = False
    atomic: bool = False
    description: str = ""

    @cached_property
    def members(self) -> tuple[Field, ...]:
        """The fields as protobuf has them."""
        if isinstance(self.declared, tuple):
            return self.declared
        home = self.name.rpartition(".")[0]
        return tuple(_field(line, home) for line in self.declared.splitlines())

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Name in JSON to field."""
        return {field.name: field for field in self._flattened()}

    def _flattened(self) -> Iterator[Field]:
        if self.is_kind:
            yield from _TYPE_META
        for field in self.members:
            if field.inline and isinstance(field.type, Struct):
                yield from field.type.fields.values()
            else:
                yield field


Type = Scalar | ListOf | MapOf | Struct


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    name: str
    type: Type
    number: int = 0
    required: bool = False
    inline: bool = False
    value: bool = False
    zero: bool = False
    atomic: bool = False
    set: bool = False
    keys: tuple[str, ...] = ()
    """Of the list's items in server-side apply; empty if they have none."""
    merge: str | None = None
    """Of the list's items in a strategic merge patch; empty for scalars, None if the list is replaced."""
    retain_keys: bool = False
    replace: bool = False
    """Whether a strategic merge patch replaces it as a whole, though it is no list."""
    enum: tuple[str, ...] = ()
    default: str | None = None
    description: str = ""


_TYPE_META = (Field("kind", Scalar("string")), Field("apiVersion", Scalar("string")))
_EVERYWHERE = frozenset({"CreateOptions", "DeleteOptions", "PatchOptions", "UpdateOptions"})
_FLAG = re.compile(r"(\w+)(?:\((.*?)\))?")


def struct_of(kind: Kind) -> Struct:
    """The type of a kind of Kubernetes' own. Raises LookupError for others."""
    return struct_for(kind.group, kind.version, kind.kind)


@cache
def struct_for(group: str, version: str, kind: str) -> Struct:
    """The type of a kind by its names in the API. Raises LookupError if there is none.

    DeleteOptions and the like belong to every group.
    """
    home = group.removesuffix(".k8s.io").replace("rbac.authorization", "rbac") or "core"
    try:
        return struct(f"{home}.{version}.{kind}")
    except LookupError:
        if kind in _EVERYWHERE:
            return struct(f"meta.v1.{kind}")
        raise


def struct(name: str) -> Struct:
    """A type by its full name, such as ``core.v1.PodSpec``. Raises LookupError if there is none."""
    home = name.rpartition(".")[0]
    return structs(home)[name]


@cache
def structs(home: str) -> Mapping[str, Struct]:
    """Full name to type, for all types of a file such as ``core.v1``. Raises LookupError if there is none."""
    if home not in _homes():
        raise LookupError(f"no types of {home}")
    file = files(__package__) / "schemas" / f"{home}.schema"
    found = (
        _struct(block, home) for block in file.read_text(encoding="utf-8").split("\n\n") if block.strip()
    )
    return {each.name: each for each in found}


@cache
def _homes() -> frozenset[str]:
    """What there are files for: clients name groups and versions, which must never become a path."""
    return frozenset(
        each.name.removesuffix(".schema") for each in files(__package__).joinpath("schemas").iterdir()
    )


def _struct(block: str, home: str) -> Struct:
    head, _, lines = block.strip().partition("\n")
    title, _, description = head.partition(" -- ")
    name, *flags = title.split()
    return Struct(f"{home}.{name}", lines, "kind" in flags, "atomic" in flags, description)


def _field(line: str, home: str) -> Field:
    facts, _, description = line.partition(" -- ")
    number, name, written, *words = facts.split()
    flags = {match[1]: match[2] for match in map(_FLAG.fullmatch, words) if match}
    return Field(
        name=name,
        type=_type(written, home),
        number=int(number),
        required="required" in flags,
        inline="inline" in flags,
        value="value" in flags,
        zero="zero" in flags,
        atomic="atomic" in flags,
        set="set" in flags,
        keys=tuple((flags.get("map") or "").split(",")) if "map" in flags else (),
        merge=flags["merge"] or "" if "merge" in flags else None,
        retain_keys="retainKeys" in flags,
        replace="replace" in flags,
        enum=tuple((flags.get("enum") or "").split(",")) if "enum" in flags else (),
        default=flags.get("default"),
        description=description,
    )


def _type(written: str, home: str) -> Type:
    if written.startswith("[]"):
        return ListOf(_type(written[2:], home))
    if written.startswith("map["):
        return MapOf(_type(written[4:-1], home))
    if written in SCALARS:
        return Scalar(written)
    return struct(written if "." in written else f"{home}.{written}")
