"""``kubectl get``: the server's tables, or objects in another format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_selfrep.clusters.kube import TABLE, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl import jsonpath
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import READ_FORMATS, output_format, show_objects
from pytest_selfrep.tools.kubectl.targets import (
    Target,
    list_objects,
    list_path,
    list_request,
    selectors,
    targets,
)
from pytest_selfrep.tools.kubectl.text import joined, table

T = TypeVar("T")

_NOTHING_ASKED = (
    'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of '
    "supported resources.\n\n"
    "error: Required resource not specified.\n"
    'Use "kubectl explain <resource>" for a detailed description of that resource '
    "(e.g. kubectl explain pods).\n"
    "See 'kubectl get -h' for help and examples"
)


@dataclass(slots=True)
class Listing:
    """The rows of one kind, as the server tabulated them."""

    kind: Kind
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    objects: list[KubeObject] = field(default_factory=list)
    """Beside each row its object (the whole of it where the command asks for that, else its metadata)."""


def get(command: Command) -> None:
    if not command.arguments:
        raise Complaint(_NOTHING_ASKED)
    format_name, _ = output_format(command, READ_FORMATS)
    found = targets(command)
    if command.switched("all-namespaces") and any(target.name for target in found):
        raise fault("a resource cannot be retrieved by name across all namespaces")
    if format_name in ("", "wide"):
        _tables(command, found)
    else:
        _objects(command, found)


def _objects(command: Command, found: Sequence[Target]) -> None:
    pairs: list[tuple[Kind, KubeObject]] = []
    for target in found:
        with command.carry_on():
            if target.name:
                obj = _read(command, target)
                pairs += [(target.kind, obj)] if obj else []
            else:
                items = list_objects(command, target.kind, selectors(command))
                pairs += [(target.kind, item) for item in items]
    if command.given("sort-by"):
        if pairs and not _sortable(command, [obj for _, obj in pairs]):
            path = f"{{{command.text('sort-by').strip('{}')}}}"
            raise fault(f'couldn\'t find any field with path "{path}" in the list of objects')
        pairs = _sorted(command, pairs, [obj for _, obj in pairs])
    single = len(found) == 1 and bool(found[0].name)
    if pairs or (not command.errors and not single):
        show_objects(command, pairs, single=single)


def _read(command: Command, target: Target, accept: str = "application/json") -> KubeObject | None:
    """One object by name; None if it is missing and ``--ignore-not-found`` says so."""
    try:
        return command.client.get(target.kind.path(command.namespace, target.name), accept=accept)
    except ApiError as error:
        if error.reason == "NotFound" and command.switched("ignore-not-found"):
            return None
        raise


def _tables(command: Command, found: Sequence[Target]) -> None:
    whole = command.given("sort-by")
    listings: list[Listing] = []
    for target in found:
        with command.carry_on():
            listing = _fetch(command, target, whole=whole)
            if listings and listings[-1].kind == target.kind and target.name:
                listings[-1].rows += listing.rows
                listings[-1].objects += listing.objects
            else:
                listings.append(listing)
    # kubectl shows nothing of a table that it cannot sort.
    shown = [each for each in listings if each.rows and (not whole or _sortable(command, each.objects))]
    if not shown and not command.errors:
        if not command.switched("ignore-not-found"):
            _say_nothing_found(command, found)
        return
    with_kind = command.switched("show-kind") or len({listing.kind for listing in listings}) > 1
    for index, listing in enumerate(shown):
        if index:
            command.write("\n")
        command.write(_lay_out(command, listing, with_kind=with_kind))


def _fetch(command: Command, target: Target, *, whole: bool) -> Listing:
    """Ask for a table; page after page."""
    include = {"includeObject": "Object"} if whole else {}
    if target.name:
        answer = _read(command, target, accept=TABLE)
        return _listing(target.kind, [answer] if answer else [])
    query = {**selectors(command), **include}
    path, pages = list_path(command, target.kind), []
    while True:
        pages.append(list_request(command, target.kind, query, path, accept=TABLE))
        proceed = pages[-1].get("metadata", {}).get("continue")
        if not proceed:
            return _listing(target.kind, pages)
        query["continue"] = proceed


def _listing(kind: Kind, pages: Sequence[KubeObject]) -> Listing:
    """Join pages. A server that does not tabulate gives names and nothing else."""
    if not pages or pages[0].get("kind") != "Table":
        items = [item for page in pages for item in page.get("items", [page])]
        return Listing(kind, ["Name"], [[item["metadata"]["name"]] for item in items], list(items))
    definitions = pages[0]["columnDefinitions"]
    rows = [row for page in pages for row in page.get("rows") or []]
    return Listing(
        kind,
        [definition["name"] + ("\0" if definition.get("priority") else "") for definition in definitions],
        [[_cell(cell) for cell in row["cells"]] for row in rows],
        [row.get("object") or {} for row in rows],
    )


def _cell(cell: object) -> str:
    if cell is None:
        return "<none>"
    return cell if isinstance(cell, str) else jsonpath.show(cell)


def _lay_out(command: Command, listing: Listing, *, with_kind: bool) -> str:
    """The printed table: columns of the server, then those that flags ask for."""
    if command.given("sort-by"):
        listing.rows = _sorted(command, listing.rows, listing.objects)
    wide = command.text("output") == "wide"
    shown = [index for index, name in enumerate(listing.columns) if wide or not name.endswith("\0")]
    header = [listing.columns[index].rstrip("\0").upper() for index in shown]
    rows = [[row[index] for index in shown] for row in listing.rows]
    if with_kind:
        for row in rows:
            row[0] = f"{listing.kind.singular_resource}/{row[0]}"
    labels = [(obj.get("metadata") or {}).get("labels") or {} for obj in listing.objects]
    for name in command.listed("label-columns"):
        header.append(name.rpartition("/")[2].upper())
        for row, own in zip(rows, labels, strict=True):
            row.append(own.get(name, ""))
    if command.switched("show-labels"):
        header.append("LABELS")
        for row, own in zip(rows, labels, strict=True):
            row.append(joined(own))
    if command.switched("all-namespaces") and listing.kind.namespaced:
        header.insert(0, "NAMESPACE")
        for row, obj in zip(rows, listing.objects, strict=True):
            row.insert(0, (obj.get("metadata") or {}).get("namespace", ""))
    return table(rows if command.switched("no-headers") else [header, *rows])


def _sortable(command: Command, objects: Sequence[Mapping[str, object]]) -> bool:
    """Whether any object has the field to sort by."""
    return any(jsonpath.find(command.text("sort-by"), obj) for obj in objects)


def _sorted(command: Command, things: Sequence[T], objects: Sequence[Mapping[str, object]]) -> list[T]:
    """Things in the order of a field of their objects; missing values first, as kubectl has them."""
    path = command.text("sort-by")

    def key(pair: tuple[T, Mapping[str, object]]) -> tuple[int, float, str]:
        values = jsonpath.find(path, pair[1])
        value = values[0] if values else None
        if isinstance(value, int | float):
            return (1, float(value), "")
        return (0, 0.0, "") if value is None else (2, 0.0, jsonpath.show(value))

    return [thing for thing, _ in sorted(zip(things, objects, strict=True), key=key)]


def _say_nothing_found(command: Command, found: Sequence[Target]) -> None:
    if command.switched("all-namespaces") or not any(target.kind.namespaced for target in found):
        command.remark("No resources found")
    else:
        command.remark(f"No resources found in {command.namespace} namespace.")


VERBS = (
    Verb(
        "get",
        get,
        (
            f.OUTPUT,
            f.SELECTOR,
            f.FIELD_SELECTOR,
            f.ALL_NAMESPACES,
            f.NO_HEADERS,
            f.MANAGED,
            f.Flag("show-labels", f.BOOL),
            f.Flag("show-kind", f.BOOL),
            f.Flag("label-columns", f.LIST, "L"),
            f.Flag("sort-by", f.TEXT),
            f.Flag("ignore-not-found", f.BOOL),
        ),
        "get [(-o|--output=)json|yaml|name|jsonpath|custom-columns|wide] (TYPE[.VERSION][.GROUP] [NAME | -l "
        "label] "
        "| TYPE[.VERSION][.GROUP]/NAME ...) [flags] [options]",
        "Display one or many resources",
    ),
)
