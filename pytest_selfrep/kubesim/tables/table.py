"""Objects as the client wants to see them: in full, as a Table, or their metadata only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.tables.columns import COLUMNS, DEFAULT, Column

_META = "meta.k8s.io/v1"
_VERSIONS = ("v1", "v1beta1")
_VIEWS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_SERVED = frozenset({"application/json", "application/*", "*/*", "text/plain"})


class View(NamedTuple):
    """How a client wants to see objects."""

    kind: str = ""
    """``Table``, ``PartialObjectMetadata`` or its list; empty for objects in full."""
    api_version: str = ""


_IN_FULL = View()


def view(accept: str) -> View:
    """The first of the views that an ``Accept`` header names that is there. Raises StatusError 406."""
    if not accept or accept == "application/json":
        return _IN_FULL
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        said = dict(part.partition("=")[::2] for part in parameters)
        if media not in _SERVED:
            continue
        if "as" not in said or said.get("g") == "apidiscovery.k8s.io":
            return _IN_FULL
        group, version = said.get("g", ""), said.get("v")
        if said["as"] in _VIEWS and group == "meta.k8s.io" and version in _VERSIONS:
            return View(said["as"], f"{group}/{version}")
    raise _not_acceptable("only the following media types are accepted: application/json, application/yaml")


def _not_acceptable(why: str) -> StatusError:
    return StatusError(406, "NotAcceptable", why)


def presenter(
    accept: str, query: Mapping[str, str], clock: Clock, columns: Sequence[Column] | None = None
) -> Callable[[Object], Json]:
    """How to show one object after another, as watch events carry them. Raises StatusError 406."""
    wanted = view(accept)
    if wanted is _IN_FULL:
        return lambda obj: obj
    if wanted.kind != "Table":
        return lambda obj: partial(obj, wanted.api_version)
    headed = False

    def show(obj: Object) -> Json:
        # A watch tells the columns once.
        nonlocal headed
        table = table_of(obj, [obj], _revision(obj), query, clock, columns, wanted.api_version)
        if headed:
            table["columnDefinitions"] = None
        headed = True
        return table

    return show


def present(
    accept: str,
    query: Mapping[str, str],
    clock: Clock,
    body: Object,
    columns: Sequence[Column] | None = None,
) -> Json:
    """A response's body as the client wants to see it; anything but objects and lists stays as it is.

    ``columns`` are those of a custom resource. Raises StatusError 406.
    """
    wanted = view(accept)
    if wanted is _IN_FULL or body.get("kind") == "Status" or "metadata" not in body:
        return body
    items, version = body.get("items"), wanted.api_version
    if wanted.kind == "Table":
        if items is None:
            return table_of(body, [body], _revision(body), query, clock, columns, version)
        head = {"kind": body["kind"].removesuffix("List"), "apiVersion": body["apiVersion"]}
        return table_of(head, items, body["metadata"], query, clock, columns, version)
    if wanted.kind.endswith("List") is (items is None):
        is_what = "is not a list" if items is None else "is a list"
        why = f"you requested {wanted.kind}, but the requested object {is_what} ({_go_type(body, columns)})"
        raise _not_acceptable(why)
    if items is None:
        return partial(body, version)
    return {
        "kind": wanted.kind,
        "apiVersion": version,
        "metadata": body["metadata"],
        "items": [partial(item, version) for item in items],
    }


def _go_type(body: Object, columns: Sequence[Column] | None) -> str:
    """What the API server calls the type of an object or a list within itself."""
    if columns is not None:
        return "*unstructured.UnstructuredList" if "items" in body else "*unstructured.Unstructured"
    group, slash, _ = body["apiVersion"].partition("/")
    return f"*{group.partition('.')[0] if slash else 'core'}.{body['kind']}"


def _revision(obj: Object) -> Object:
    """The metadata of a table of one object."""
    return {"resourceVersion": obj["metadata"].get("resourceVersion", "")}


def partial(obj: Object, api_version: str = _META) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def table_of(
    head: Object,
    items: Sequence[Object],
    meta: Object,
    query: Mapping[str, str],
    clock: Clock,
    columns: Sequence[Column] | None = None,
    api_version: str = _META,
) -> Object:
    """A Table of objects of the kind that ``head`` names."""
    if columns is None or head["kind"] == "Scale":
        columns = COLUMNS.get((head["apiVersion"], head["kind"]), DEFAULT)
    include = query.get("includeObject", "Metadata")
    rows = []
    for item in items:
        row: Object = {"cells": [column.value(item, clock) for column in columns]}
        if include == "Object":
            row["object"] = {"kind": head["kind"], "apiVersion": head["apiVersion"], **item}
        elif include != "None":
            row["object"] = partial(item, api_version)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": meta,
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": rows,
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if column.name == "Name" else column.format,
        "description": column.description,
        "priority": column.priority,
    }
