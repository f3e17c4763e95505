"""The types of custom resources for server-side apply, made from their structural schemas."""

from __future__ import annotations

from pytest_selfrep.kubesim.customresources.values import EMBEDDED, PRESERVE
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type, struct

_SCALARS = {"string": "string", "boolean": "bool", "integer": "int64", "number": "double"}


def type_of(schema: Object) -> Struct:
    """The type of a custom resource: its schema's fields, and what every object has."""
    meta = Field("metadata", struct("meta.v1.ObjectMeta"))
    declared = tuple(
        field for field in _fields(schema) if field.name not in ("apiVersion", "kind", "metadata")
    )
    return Struct("", (meta, *declared), is_kind=True)


def _fields(schema: Object) -> list[Field]:
    return [_field(name, inner) for name, inner in (schema.get("properties") or {}).items()]


def _field(name: str, schema: Object) -> Field:
    list_type = schema.get("x-kubernetes-list-type", "atomic")
    is_list = schema.get("type") == "array"
    return Field(
        name,
        _type(schema),
        atomic=schema.get("x-kubernetes-map-type") == "atomic" or (is_list and list_type == "atomic"),
        set=is_list and list_type == "set",
        keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()) if list_type == "map" else (),
        description=schema.get("description", ""),
    )


def _type(schema: Object) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return Scalar("IntOrString")
    match schema.get("type"):
        case "array":
            return ListOf(_type(schema.get("items") or {}))
        case "object" if schema.get("properties") and not schema.get(PRESERVE) and not schema.get(EMBEDDED):
            return Struct("", tuple(_fields(schema)))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return MapOf(_type(schema["additionalProperties"]))
    return Scalar(_SCALARS.get(schema.get("type", ""), "any"))
