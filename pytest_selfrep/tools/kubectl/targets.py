"""Which objects a command line names: ``pods``, ``deploy/web``, ``po,svc -l app=web``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl.command import Command
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind

NOTHING_NAMED = (
    "You must provide one or more resources by argument or filename.\n"
    "Example resource specifications include:\n"
    "   '-f rsrc.yaml'\n"
    "   '--filename=rsrc.json'\n"
    "   '<resource> <name>'\n"
    "   '<resource>'"
)
_MIXED = (
    "there is no need to specify a resource type as a separate argument when passing arguments in "
    "resource/name "
    "form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource "
    "resource/<resource_name>'"
)
LIST_LIMIT = "500"


@dataclass(frozen=True, slots=True)
class Target:
    """One object, or all objects of a kind that the selectors let through (without a name)."""

    kind: Kind
    name: str = ""


def targets(command: Command, words: list[str] | None = None) -> list[Target]:
    """What the arguments name, in their order; empty without arguments.

    Raises:
        Complaint: an unknown type, or forms of naming that exclude each other.
    """
    words = command.arguments if words is None else words
    if any("/" in word for word in words):
        return [_slashed(command, word, words) for word in words]
    if not words:
        return []
    kinds = _kinds(command, words[0])
    names = words[1:]
    if "" in names:
        raise fault("resource name may not be empty")
    if names and (command.text("selector") or command.text("field-selector") or command.switched("all")):
        raise fault("name cannot be provided when a selector is specified")
    if not names:
        return [Target(kind) for kind in kinds]
    return [Target(kind, name) for kind in kinds for name in names]


def _slashed(command: Command, word: str, words: list[str]) -> Target:
    kind, slash, name = word.partition("/")
    if not slash:
        raise fault(_MIXED)
    if not kind or not name:
        raise fault("arguments in resource/name form must have a single resource and name")
    if "/" in name:
        raise fault("arguments in resource/name form may not have more than one slash")
    if command.text("selector") or command.text("field-selector"):
        raise fault("name cannot be provided when a selector is specified")
    return Target(command.discovery.by_word(kind), name)


def _kinds(command: Command, word: str) -> list[Kind]:
    kinds: list[Kind] = []
    for part in word.split(","):
        if part == "all":
            kinds += command.discovery.in_category("all")
        elif part:
            kinds.append(command.discovery.by_word(part))
    if not kinds:
        raise fault("arguments must consist of a resource and a name")
    return kinds


def named(command: Command, words: list[str] | None = None) -> list[Target]:
    """Like :func:`targets`, but something must be named, by names or by a selector or ``--all``.

    Raises:
        Complaint: nothing is named, or a type without a name or selector.
    """
    found = targets(command, words)
    if not found:
        raise fault(NOTHING_NAMED)
    if not found[0].name and not _selects(command):
        raise fault("resource(s) were provided, but no name was specified")
    return found


def _selects(command: Command) -> bool:
    return bool(command.text("selector") or command.text("field-selector") or command.switched("all"))


def selectors(command: Command) -> Mapping[str, str]:
    """Query parameters of a list."""
    query = {"limit": LIST_LIMIT}
    if command.text("selector"):
        query["labelSelector"] = command.text("selector")
    if command.text("field-selector"):
        query["fieldSelector"] = command.text("field-selector")
    return query


def list_path(command: Command, kind: Kind) -> str:
    """Where to list a kind: the command's namespace, or all with ``-A``."""
    return kind.path("" if command.switched("all-namespaces") else command.namespace)


def list_objects(command: Command, kind: Kind, query: Mapping[str, str], path: str = "") -> list[KubeObject]:
    """All objects of a kind, page after page, with kind and apiVersion filled in. Raises ApiError."""
    items: list[KubeObject] = []
    cursor = dict(query)
    while True:
        answer = list_request(command, kind, cursor, path or list_path(command, kind))
        items += answer.get("items") or []
        proceed = answer.get("metadata", {}).get("continue")
        if not proceed:
            break
        cursor["continue"] = proceed
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in items]


def list_request(
    command: Command, kind: Kind, query: Mapping[str, str], path: str, accept: str = "application/json"
) -> KubeObject:
    """One list request, with kubectl's words about selectors that the server cannot take."""
    try:
        return command.client.get(path, query=query, accept=accept)
    except ApiError as error:
        if error.reason != "BadRequest" or not ({"labelSelector", "fieldSelector"} & query.keys()):
            raise
        resource = f"{kind.group}/{kind.version}, Resource={kind.plural}"
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        message = (
            f'Unable to find "{resource}" that match label selector "{labels}", field selector "{fields}": '
            f"{error.message}"
        )
        raise ApiError({**error.status, "message": message}) from None


def objects(command: Command, found: list[Target]) -> list[tuple[Kind, KubeObject]]:
    """The objects themselves; those that cannot be read become errors of the command."""
    result: list[tuple[Kind, KubeObject]] = []
    for target in found:
        with command.carry_on():
            if target.name:
                path = target.kind.path(command.namespace, target.name)
                result.append((target.kind, command.client.get(path)))
            else:
                items = list_objects(command, target.kind, selectors(command))
                result += [(target.kind, item) for item in items]
    return result


def one_object(command: Command, usage: Complaint) -> tuple[Kind, KubeObject]:
    """The single object that the arguments name. Raises Complaint or ApiError."""
    found = targets(command)
    if len(found) != 1 or not found[0].name:
        raise usage
    return found[0].kind, command.client.get(found[0].kind.path(command.namespace, found[0].name))


def reference(kind: Kind, obj: KubeObject) -> str:
    """``deployment.apps/web``, as kubectl prints objects."""
    return f"{kind.singular_resource}/{obj['metadata']['name']}"


def object_path(command: Command, kind: Kind, obj: KubeObject, subresource: str = "") -> str:
    """The API path of an object that was read."""
    meta = obj["metadata"]
    return kind.path(meta.get("namespace", command.namespace), meta["name"], subresource)
