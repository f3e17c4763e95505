"""Paths of the API, and what can be done at each, as OpenAPI v3 describes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_selfrep.kubesim.discovery.resources import Resource, Subresource
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.openapi import parameters
from pytest_selfrep.kubesim.openapi.definitions import REF
from pytest_selfrep.kubesim.openapi.names import META, camel, tag, type_name
from pytest_selfrep.kubesim.schema import struct_for

_FORMS: Final = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_WATCHED: Final = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_PATCHES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_CONNECTED: Final = frozenset({"attach", "exec", "portforward", "proxy"})


@dataclass(frozen=True, slots=True)
class _Verb:
    """One verb at a path: its HTTP method, how it is called, and what it takes."""

    method: str
    action: str
    begins: str
    says: str
    query: Sequence[str] = ()
    codes: tuple[str, ...] = ("200",)


_VERBS: Final[Mapping[str, _Verb]] = {
    "list": _Verb("get", "list", "list", "list or watch objects of kind", parameters.LIST),
    "create": _Verb("post", "post", "create", "create", parameters.WRITE, ("200", "201", "202")),
    "deletecollection": _Verb(
        "delete", "deletecollection", "delete", "delete collection of", parameters.DELETE_MANY
    ),
    "get": _Verb("get", "get", "read", "read the specified"),
    "update": _Verb("put", "put", "replace", "replace the specified", parameters.WRITE, ("200", "201")),
    "patch": _Verb(
        "patch", "patch", "patch", "partially update the specified", parameters.PATCH, ("200", "201")
    ),
    "delete": _Verb("delete", "delete", "delete", "delete", parameters.DELETE, ("200", "202")),
}
_AT_COLLECTION: Final = ("list", "create", "deletecollection")
_AT_OBJECT: Final = ("get", "update", "patch", "delete")
_SHOWN: Final = frozenset({"Pod", "Service", "ServiceAccount", "ResourceQuota", "PersistentVolumeClaim"})
"""Kinds whose deletion is answered with the object."""
_NAMESPACE: Final = parameters.in_path("namespace", "the namespace that the object is in")
_CODES: Final = {"200": "OK", "201": "Created", "202": "Accepted"}


@dataclass(frozen=True, slots=True)
class _Place:
    """What the operations of one path have in common."""

    resource: Resource
    type: str
    """Name of the schema that is sent and answered."""
    subject: str
    """Ends the ids of operations: ``NamespacedPod``, ``NodeStatus``."""
    known: Object
    """Group, version and kind that the path speaks."""


def paths(resource: Resource, type_: str, list_type: str) -> Iterator[tuple[str, Object]]:
    """Path to its operations, of a resource whose objects and lists have these schemas."""
    kind = resource.kind
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = f"{base}/namespaces/{{namespace}}" if kind.namespaced else base
    known = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    subject = f"Namespaced{kind.kind}" if kind.namespaced else kind.kind
    within = [_NAMESPACE] if kind.namespaced else []
    place = _Place(resource, type_, subject, known)
    whole = _operations(place, _AT_COLLECTION, list_type)
    if whole:
        yield f"{scope}/{kind.plural}", {**whole, "parameters": [*within, *parameters.query("pretty")]}
    if kind.namespaced and "list" in resource.verbs:
        everywhere = _Place(resource, type_, f"{kind.kind}ForAllNamespaces", known)
        yield f"{base}/{kind.plural}", _everywhere(everywhere, list_type)
    name = parameters.in_path("name", f"name of the {kind.kind}")
    shared = {"parameters": [name, *within, *parameters.query("pretty")]}
    single = _operations(place, _AT_OBJECT, list_type)
    if single:
        yield f"{scope}/{kind.plural}/{{name}}", {**single, **shared}
    for below in resource.subresources:
        asked = parameters.query(*parameters.CONNECT.get(below.name, ()))
        all_ = {"parameters": [*asked, *shared["parameters"]]}
        yield f"{scope}/{kind.plural}/{{name}}/{below.name}", {**_below(place, below), **all_}


def _operations(place: _Place, verbs: Sequence[str], list_type: str) -> Object:
    found: Object = {}
    for name in verbs:
        if name not in place.resource.verbs:
            continue
        verb = _VERBS[name]
        answered = list_type if name == "list" else place.type
        if name == "deletecollection" or (name == "delete" and place.resource.kind.kind not in _SHOWN):
            answered = f"{META}.Status"
        subject = f"Collection{place.subject}" if name == "deletecollection" else place.subject
        found[verb.method] = _operation(place, verb, subject, answered)
    return found


def _everywhere(place: _Place, list_type: str) -> Object:
    operation = _operation(place, _VERBS["list"], place.subject, list_type)
    shared = operation.pop("parameters")
    return {"get": operation, "parameters": [*shared, *parameters.query("pretty")]}


def _below(place: _Place, below: Subresource) -> Object:
    known = {"group": below.group, "kind": below.kind, "version": below.version}
    own = known == place.known
    type_ = place.type if own else type_name(struct_for(below.group, below.version, below.kind).name)
    word = below.name[:1].upper() + below.name[1:]
    inner = _Place(place.resource, type_, f"{place.subject}{word}", known)
    if below.name in _CONNECTED:
        return dict(_connection(inner, below, verb) for verb in below.verbs)
    found: Object = {}
    for name in below.verbs:
        verb = _VERBS[name]
        operation = _operation(inner, verb, inner.subject, type_, f"{below.name} of the specified")
        if below.name == "log":
            operation["responses"]["200"] = _answer("OK", {"type": "string"}, ("text/plain", *_FORMS))
        found[verb.method] = operation
    return found


def _connection(place: _Place, below: Subresource, name: str) -> tuple[str, Object]:
    method = _VERBS[name].method
    operation = {
        "tags": [tag(place.resource.kind)],
        "description": f"connect {method.upper()} requests to {below.name} of {place.resource.kind.kind}",
        "operationId": f"connect{camel(place.resource.kind)}{method.capitalize()}{place.subject}",
        "responses": {
            "200": _answer("OK", {"type": "string"}, ("*/*",)),
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": "connect",
        "x-kubernetes-group-version-kind": place.known,
    }
    return method, operation


def _operation(place: _Place, verb: _Verb, subject: str, answered: str, says: str = "") -> Object:
    kind = place.resource.kind
    operation: Object = {
        "tags": [tag(kind)],
        "description": f"{f'{verb.begins} {says}' if says else verb.says} {kind.kind}",
        "operationId": f"{verb.begins}{camel(kind)}{subject}",
    }
    if verb.query:
        operation["parameters"] = parameters.query(*verb.query)
    body = _body(place, verb)
    if body:
        operation["requestBody"] = body
    forms = (*_FORMS, *_WATCHED) if verb.action == "list" else _FORMS
    schema = {"$ref": REF + answered}
    operation["responses"] = {
        **{code: _answer(_CODES[code], schema, forms) for code in verb.codes},
        "401": {"description": "Unauthorized"},
    }
    operation["x-kubernetes-action"] = verb.action
    operation["x-kubernetes-group-version-kind"] = place.known
    return operation


def _answer(description: str, schema: Object, forms: Sequence[str]) -> Object:
    return {"description": description, "content": {form: {"schema": schema} for form in forms}}


def _body(place: _Place, verb: _Verb) -> Object:
    if verb.method in ("post", "put"):
        return {"content": {"*/*": {"schema": {"$ref": REF + place.type}}}, "required": True}
    if verb.method == "patch":
        custom = place.resource.schema is not None
        # Custom resources have no merge keys.
        forms = _PATCHES[:3] if custom else _PATCHES
        schema = {"$ref": f"{REF}{META}.Patch"}
        return {"content": {form: {"schema": schema} for form in forms}, "required": True}
    if verb.method == "delete":
        return {"content": {"*/*": {"schema": {"$ref": f"{REF}{META}.DeleteOptions"}}}}
    return {}
