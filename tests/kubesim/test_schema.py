"""The types of the API as data, held against the models of the official Python client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest
from kubernetes.client import models

from pytest_selfrep.kubesim.apiserver.extensions import VIRTUAL
from pytest_selfrep.kubesim.kinds import KINDS
from pytest_selfrep.kubesim.schema import (
    FLAGS,
    SCALARS,
    ListOf,
    MapOf,
    Scalar,
    Struct,
    Type,
    struct,
    struct_of,
    structs,
)

FOLDER = files("pytest_selfrep.kubesim") / "schemas"
HOMES = sorted(
    file.name.removesuffix(".schema") for file in FOLDER.iterdir() if file.name.endswith(".schema")
)
TYPES = {name: each for home in HOMES for name, each in structs(home).items()}
KNOWN_FLAGS = {"kind", *(flag.partition("(")[0] for flag in FLAGS)}
AMBIGUOUS: Mapping[str, str] = {
    "core.v1": "Core",
    "discovery.v1": "Discovery",
    "rbac.v1": "Rbac",
    "authentication.v1": "Authentication",
    "apiextensions.v1": "Apiextensions",
    "apiregistration.v1": "Apiregistration",
}
"""Whose types the client calls by their group too if others have the same name."""
WITHOUT_MODEL = {
    # Options in the query of a request are parameters there.
    *(f"core.v1.Pod{each}Options" for each in ("Attach", "Exec", "Log", "PortForward", "Proxy")),
    "core.v1.ServiceProxyOptions",
    *(f"meta.v1.{each}Options" for each in ("Create", "List", "Patch", "Update")),
    # Protobuf has them as structs, JSON only their fields.
    "core.v1.EphemeralContainerCommon",
    "core.v1.PersistentVolumeSource",
    "core.v1.ProbeHandler",
    "core.v1.VolumeSource",
    "networking.v1.IngressRuleValue",
    # It has no fields, so that it is any object there.
    "apiextensions.v1.CustomResourceSubresourceStatus",
    *(each for each in TYPES if each.startswith("metrics.")),
}
PLAIN: Mapping[str, tuple[str, ...]] = {
    "string": ("str",),
    "bool": ("bool",),
    "int32": ("int",),
    "int64": ("int",),
    "double": ("float",),
    "bytes": ("bytearray", "str", "bytes"),
    "Time": ("datetime",),
    "MicroTime": ("datetime",),
    "Quantity": ("str",),
    "IntOrString": ("object", "IntOrString", "IntOrStr"),
    "StringList": ("List[str]",),
    "FieldsV1": ("object",),
    "RawExtension": ("object",),
    "any": ("object",),
    "JSONSchemaPropsOrArray": ("object",),
    "JSONSchemaPropsOrBool": ("object",),
}


def model_of(name: str) -> Any:
    home, _, short = name.rpartition(".")
    version = home.rpartition(".")[2].title()
    named = getattr(models, f"{AMBIGUOUS.get(home, '')}{version}{short}", None)
    return named or getattr(models, f"{version}{short}", None)


def fits(type_: Type, written: str) -> bool:
    """Whether a type of the schema is what the client has for the field."""
    match type_:
        case Scalar():
            return written in PLAIN[type_.name]
        case ListOf():
            inner = re.fullmatch(r"List\[(.+)\]", written)
            return inner is not None and fits(type_.item, inner[1])
        case MapOf():
            inner = re.fullmatch(r"Dict\[str, (.+)\]", written)
            return inner is not None and fits(type_.value, inner[1])
    model = model_of(type_.name)
    return written == (model.__name__ if model else "object")


def test_every_type_has_a_model_in_the_client() -> None:
    assert {name for name in TYPES if model_of(name) is None} == WITHOUT_MODEL


@pytest.mark.parametrize("name", sorted(set(TYPES) - WITHOUT_MODEL))
def test_every_field_is_one_of_the_model_of_the_same_type(name: str) -> None:
    model = model_of(name)
    known = {json_name: model.openapi_types[own] for own, json_name in model.attribute_map.items()}
    fields = struct(name).fields
    assert {each for each in fields if each not in known} == set()
    wrong = {each: known[each] for each, field in fields.items() if not fits(field.type, known[each])}
    assert wrong == {}


@pytest.mark.parametrize("home", HOMES)
def test_every_flag_is_known(home: str) -> None:
    for line in (FOLDER / f"{home}.schema").read_text(encoding="utf-8").splitlines():
        facts = line.partition(" -- ")[0]
        words = facts.split()[3 if line.startswith(" ") else 1 :]
        names = {re.sub(r"\(.*\)$", "", word) for word in words}
        assert names <= KNOWN_FLAGS, line


@pytest.mark.parametrize("name", sorted(TYPES))
def test_numbers_are_unique_within_a_type_and_keys_are_fields(name: str) -> None:
    members = struct(name).members
    numbers = [field.number for field in members if field.number]
    assert len(numbers) == len(set(numbers))
    assert len({field.name for field in members}) == len(members)
    for field in members:
        if isinstance(field.type, ListOf) and isinstance(field.type.item, Struct):
            keys = {*field.keys, *([field.merge] if field.merge else [])}
            assert keys <= set(field.type.item.fields), field.name
        else:
            assert not field.keys, field.name
            assert not field.merge, field.name


def test_every_scalar_has_a_counterpart_in_the_client() -> None:
    assert set(PLAIN) == SCALARS - {"Duration"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.api_version} {kind.kind}")
def test_every_kind_has_a_type_whose_objects_have_metadata(kind: Any) -> None:
    type_ = struct_of(kind)
    assert type_.is_kind
    assert type_.fields["metadata"].type is struct("meta.v1.ObjectMeta")


def test_every_virtual_kind_that_clients_send_has_a_type() -> None:
    for virtual in VIRTUAL.values():
        if "create" in virtual.handlers:
            assert struct_of(virtual.kind).is_kind
