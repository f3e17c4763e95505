"""Custom resources as OpenAPI v3 describes them: the schema of their definition, made whole."""

from __future__ import annotations

from pytest_selfrep.kubesim.discovery.resources import Resource
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.openapi.definitions import KIND_FIELDS, REF
from pytest_selfrep.kubesim.openapi.names import META, custom_name


def name(resource: Resource) -> str:
    """The schema's name."""
    return custom_name(resource.kind, resource.kind.kind)


def list_name(resource: Resource) -> str:
    """The name of the schema of lists."""
    return custom_name(resource.kind, resource.list_kind)


def object_schema(resource: Resource) -> Object:
    """The definition's schema, with what every object has and the definition need not say."""
    kind, said = resource.kind, resource.schema or {}
    known = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    schema: Object = {**said, "type": "object", "x-kubernetes-group-version-kind": [known]}
    if "properties" not in said and said.get("x-kubernetes-preserve-unknown-fields"):
        return schema
    properties = dict(said.get("properties") or {})
    for field, text in KIND_FIELDS.items():
        properties[field] = {"type": "string", "description": text}
    properties["metadata"] = {
        "allOf": [{"$ref": f"{REF}{META}.ObjectMeta"}],
        "description": "Name, labels and all else that every object has.",
    }
    schema["properties"] = properties
    return schema
