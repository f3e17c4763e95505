"""Objects as the client wants to see them: in full, as a Table, or their metadata only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.tables.columns import COLUMNS, DEFAULT, Column

_META = "meta.k8s.io/v1"
_SERVED = frozenset({"application/json", "application/*", "*/*", "text/plain"})


def representation(accept: str) -> str:
    """``Table``, ``PartialObjectMetadata`` or, for objects in full, an empty text. Raises StatusError 406."""
    if not accept or accept == "application/json":
        return ""
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        said = dict(part.partition("=")[::2] for part in parameters)
        if media not in _SERVED:
            continue
        wanted = said.get("as", "")
        if not wanted or said.get("g") == "apidiscovery.k8s.io":
            return ""
        if said.get("v") == "v1" and said.get("g") == "meta.k8s.io":
            return wanted.removesuffix("List")
    raise StatusError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    )


def presenter(
    accept: str, query: Mapping[str, str], clock: Clock, columns: Sequence[Column] | None = None
) -> Callable[[Object], Json]:
    """How to show one object after another, as watch events carry them. Raises StatusError 406."""
    match representation(accept):
        case "Table":
            headed = False

            def show(obj: Object) -> Json:
                # A watch tells the columns once.
                nonlocal headed
                table = table_of(obj, [obj], {}, query, clock, columns)
                if headed:
                    table["columnDefinitions"] = None
                headed = True
                return table

            return show
        case "PartialObjectMetadata":
            return partial
        case _:
            return lambda obj: obj


def present(
    accept: str,
    query: Mapping[str, str],
    clock: Clock,
    body: Object,
    columns: Sequence[Column] | None = None,
) -> Json:
    """A response's body as the client wants to see it; anything but objects and lists stays as it is.

    ``columns`` are those of a custom resource.
    """
    wanted = representation(accept)
    if not wanted or body.get("kind") == "Status" or "metadata" not in body:
        return body
    items = body.get("items")
    if wanted == "Table":
        if items is None:
            meta = {"resourceVersion": body["metadata"].get("resourceVersion", "")}
            return table_of(body, [body], meta, query, clock, columns)
        head = {"kind": body["kind"].removesuffix("List"), "apiVersion": body["apiVersion"]}
        return table_of(head, items, body["metadata"], query, clock, columns)
    if items is None:
        return partial(body)
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": _META,
        "metadata": body["metadata"],
        "items": [partial(item) for item in items],
    }


def partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def table_of(
    head: Object,
    items: Sequence[Object],
    meta: Object,
    query: Mapping[str, str],
    clock: Clock,
    columns: Sequence[Column] | None = None,
) -> Object:
    """A meta/v1 Table of objects of the kind that ``head`` names."""
    if columns is None or head["kind"] == "Scale":
        columns = COLUMNS.get((head["apiVersion"], head["kind"]), DEFAULT)
    include = query.get("includeObject", "Metadata")
    rows = []
    for item in items:
        row: Object = {"cells": [column.value(item, clock) for column in columns]}
        if include == "Object":
            row["object"] = {"kind": head["kind"], "apiVersion": head["apiVersion"], **item}
        elif include != "None":
            row["object"] = partial(item)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": _META,
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
