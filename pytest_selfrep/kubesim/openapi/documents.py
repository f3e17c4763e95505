"""The documents of OpenAPI v3: the index, and one for every group and version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from pytest_selfrep.kubesim.discovery.resources import Resource
from pytest_selfrep.kubesim.discovery.version import VERSION
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.openapi import custom
from pytest_selfrep.kubesim.openapi.definitions import list_schema, schemas
from pytest_selfrep.kubesim.openapi.names import META, type_name
from pytest_selfrep.kubesim.openapi.operations import paths
from pytest_selfrep.kubesim.schema import Struct, struct, struct_for, struct_of, structs

_EVERYWHERE = ("meta.v1.DeleteOptions", "meta.v1.Status", "meta.v1.ListMeta", "meta.v1.ObjectMeta")
_PATCH: Object = {"type": "object", "description": "A change to an object, in one of the forms of patches."}
_REMEMBERED = 64
"""Documents that are kept, over all clusters of the process."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document, and what tells it from all others."""

    content: Object
    hash: str


def group_versions(resources: Sequence[Resource]) -> list[tuple[str, str]]:
    """Every group and version that is served, in order."""
    return sorted({each.group_version for each in resources})


def key(group: str, version: str) -> str:
    """A document's name in the index: ``api/v1``, ``apis/apps/v1``."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(resources: Sequence[Resource]) -> Object:
    """What ``/openapi/v3`` answers: where every document is."""
    found: Object = {}
    for group, version in group_versions(resources):
        name = key(group, version)
        url = f"/openapi/v3/{name}?hash={document(resources, group, version).hash}"
        found[name] = {"serverRelativeURL": url}
    return {"paths": found}


def document(resources: Sequence[Resource], group: str, version: str) -> Document:
    """What is served of a group and version. Raises LookupError if nothing is."""
    chosen = tuple(each for each in resources if each.group_version == (group, version))
    if not chosen:
        raise LookupError(key(group, version))
    return _document(chosen)


@lru_cache(maxsize=_REMEMBERED)
def _document(resources: tuple[Resource, ...]) -> Document:
    types = {name: schema for each in resources for name, schema in _types(each)}
    types |= schemas(struct(name) for name in _EVERYWHERE)
    types[f"{META}.Patch"] = _PATCH
    found = {path: said for each in resources for path, said in paths(each, *type_names(each))}
    content: Object = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": dict(sorted(found.items())),
        "components": {
            "schemas": dict(sorted(types.items())),
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
        },
    }
    return sealed(content)


def sealed(content: Object) -> Document:
    """A document and its hash."""
    return Document(content, hashlib.sha512(orjson.dumps(content)).hexdigest().upper())


def type_names(resource: Resource) -> tuple[str, str]:
    """Names of the schemas of a resource's objects and of their list."""
    if resource.schema is not None:
        return custom.name(resource), custom.list_name(resource)
    name = type_name(struct_of(resource.kind).name)
    return name, f"{name}List"


def _types(resource: Resource) -> Iterator[tuple[str, Object]]:
    kind = resource.kind
    name, list_name = type_names(resource)
    below = [
        each
        for each in resource.subresources
        if (each.group, each.version, each.kind) != (kind.group, kind.version, kind.kind)
    ]
    needed: list[Struct] = [struct_for(each.group, each.version, each.kind) for each in below]
    if resource.schema is not None:
        yield name, custom.object_schema(resource)
    else:
        needed.append(struct_of(kind))
    if "list" in resource.verbs:
        written = None if resource.schema is not None else _list_struct(resource)
        if written is not None:
            needed.append(written)
        else:
            yield from list_schema(list_name, name, kind.group, kind.version, resource.list_kind).items()
    yield from schemas(needed).items()


def _list_struct(resource: Resource) -> Struct | None:
    name = struct_of(resource.kind).name
    return structs(name.rpartition(".")[0]).get(f"{name}List")
