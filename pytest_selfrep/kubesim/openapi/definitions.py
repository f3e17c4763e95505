"""Types of the API as schemas of OpenAPI v3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.openapi.names import META, group_of, type_name
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type

REF: Final = "#/components/schemas/"
_PLAIN: Final[Mapping[str, Object]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "StringList": {"type": "array", "items": {"type": "string", "default": ""}},
}
"""Scalars that are written out where they are used."""
_NAMED: Final[Mapping[str, tuple[str, Object]]] = {
    "Time": (
        f"{META}.Time",
        {
            "type": "string",
            "format": "date-time",
            "description": "A moment, to the second, in UTC (RFC 3339).",
        },
    ),
    "MicroTime": (
        f"{META}.MicroTime",
        {"type": "string", "format": "date-time", "description": "A moment, to the microsecond (RFC 3339)."},
    ),
    "Duration": (
        f"{META}.Duration",
        {"type": "string", "description": "A length of time as Go writes it, such as 1m30s."},
    ),
    "FieldsV1": (
        f"{META}.FieldsV1",
        {
            "type": "object",
            "description": "A set of fields as a tree: f:<name> for a field, k:<keys> or v:<value> for an "
            "item of a list, a dot for the thing itself.",
        },
    ),
    "RawExtension": (
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        {"type": "object", "description": "An object of any kind, kept as it is."},
    ),
    "any": (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        {"description": "Any JSON value: null, a truth value, number, text, list or object."},
    ),
    "JSONSchemaPropsOrArray": (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        {"description": "A schema, or a list of them."},
    ),
    "JSONSchemaPropsOrBool": (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        {"description": "A schema, or whether there may be anything."},
    ),
    "Quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {
            "oneOf": [{"type": "string"}, {"type": "number"}],
            "description": "An amount: a decimal number with an optional suffix (n, u, m, k, M, G, T, P, E, "
            "or Ki, Mi, Gi, Ti, Pi, Ei for powers of 1024) or exponent. 500m is a half, 1Gi is 1073741824.",
        },
    ),
    "IntOrString": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {
            "oneOf": [{"type": "integer"}, {"type": "string"}],
            "format": "int-or-string",
            "description": "A number, or a text such as a name or a percentage.",
        },
    ),
}
"""Scalars that have a schema of their own."""
_ZERO: Final[Mapping[str, object]] = {"string": "", "bool": False, "int32": 0, "int64": 0, "double": 0}
KIND_FIELDS: Final[Mapping[str, str]] = {
    "apiVersion": "The group and version of the API that this object is written in, such as apps/v1.",
    "kind": "What sort of object this is, in CamelCase. It cannot be changed.",
}


def schemas(structs: Iterable[Struct]) -> dict[str, Object]:
    """Name to schema, of types and all that they are made of."""
    found: dict[str, Object] = {}
    waiting: list[Type] = list(structs)
    while waiting:
        each = waiting.pop()
        if isinstance(each, ListOf):
            waiting.append(each.item)
        elif isinstance(each, MapOf):
            waiting.append(each.value)
        elif isinstance(each, Scalar):
            if each.name in _NAMED:
                name, schema = _NAMED[each.name]
                found[name] = schema
        elif type_name(each.name) not in found:
            found[type_name(each.name)] = _object(each)
            waiting.extend(field.type for field in each.fields.values())
    return found


def list_schema(name: str, items: str, group: str, version: str, kind: str) -> dict[str, Object]:
    """Name to schema, of a list of objects; ``items`` is the name of their type."""
    properties = {
        **{key: {"type": "string", "description": text} for key, text in KIND_FIELDS.items()},
        "items": {
            "type": "array",
            "description": "The objects of this list.",
            "items": {"allOf": [{"$ref": REF + items}], "default": {}},
        },
        "metadata": {
            "allOf": [{"$ref": f"{REF}{META}.ListMeta"}],
            "default": {},
            "description": "Of which revision the list is, and where it goes on.",
        },
    }
    schema = {
        "description": f"A list of objects of the kind {kind.removesuffix('List')}.",
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [{"group": group, "kind": kind, "version": version}],
    }
    return {name: schema}


def _object(struct: Struct) -> Object:
    schema: Object = {"description": struct.description} if struct.description else {}
    schema["type"] = "object"
    required = [field.name for field in struct.fields.values() if field.required]
    if required:
        schema["required"] = required
    properties = dict(_properties(struct))
    if properties:
        schema["properties"] = properties
    if struct.is_kind:
        _, version, kind = struct.name.split(".")
        known = {"group": group_of(struct.name), "kind": kind, "version": version}
        schema["x-kubernetes-group-version-kind"] = [known]
    if struct.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _properties(struct: Struct) -> Iterator[tuple[str, Object]]:
    for name, field in sorted(struct.fields.items()):
        description = field.description or (KIND_FIELDS.get(name, "") if struct.is_kind else "")
        yield name, _property(field, description)


def _property(field: Field, description: str) -> Object:
    written = _written(field.type)
    if "$ref" in written:
        # What stands beside a reference in one object is not read.
        written = {"allOf": [written]}
    schema: Object = {"description": description, **written} if description else dict(written)
    if field.enum:
        # Of a list it is the items that are one of these.
        chosen = dict(schema["items"]) if isinstance(field.type, ListOf) else schema
        chosen["enum"] = sorted(field.enum)
        if chosen is not schema:
            schema["items"] = chosen
    default = _default(field)
    if default is not None:
        schema["default"] = default
    return {**schema, **_merging(field)}


def _default(field: Field) -> object:
    if field.default is not None:
        number = isinstance(field.type, Scalar) and field.type.name.startswith("int")
        return int(field.default) if number else field.default
    if isinstance(field.type, Struct):
        return {} if field.value else None
    if isinstance(field.type, Scalar) and field.required:
        return _ZERO.get(field.type.name)
    return None


def _merging(field: Field) -> Object:
    """How lists and maps are merged, by server-side apply and by strategic merge patches."""
    found: Object = {}
    if isinstance(field.type, ListOf):
        if field.keys:
            found["x-kubernetes-list-map-keys"] = list(field.keys)
        how = "map" if field.keys else "set" if field.set else "atomic" if field.atomic else ""
        if how:
            found["x-kubernetes-list-type"] = how
    elif field.atomic:
        # Bytes are a list to Go.
        what = "list" if isinstance(field.type, Scalar) else "map"
        found[f"x-kubernetes-{what}-type"] = "atomic"
    if field.merge:
        found["x-kubernetes-patch-merge-key"] = field.merge
    strategies = ["merge"] if field.merge is not None else []
    strategies += ["retainKeys"] if field.retain_keys else []
    if strategies:
        found["x-kubernetes-patch-strategy"] = ",".join(strategies)
    return found


def _written(type_: Type) -> Object:
    if isinstance(type_, Struct):
        return {"$ref": REF + type_name(type_.name)}
    if isinstance(type_, ListOf):
        return {"type": "array", "items": _item(type_.item)}
    if isinstance(type_, MapOf):
        return {"type": "object", "additionalProperties": _item(type_.value)}
    if type_.name in _NAMED:
        return {"$ref": REF + _NAMED[type_.name][0]}
    return _PLAIN[type_.name]


def _item(type_: Type) -> Object:
    written = _written(type_)
    if isinstance(type_, Struct):
        return {"allOf": [written], "default": {}}
    if isinstance(type_, Scalar) and type_.name in _ZERO:
        return {**written, "default": _ZERO[type_.name]}
    return written
