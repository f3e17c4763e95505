"""``kubectl patch``."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from pytest_selfrep.clusters.kube import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault, go_quote
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.manifests import parse_one
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import named

_TYPES: Mapping[str, str] = {
    "json": JSON_PATCH,
    "merge": MERGE_PATCH,
    "strategic": STRATEGIC_MERGE_PATCH,
}
_BAD_REQUEST = "Error from server (BadRequest)"


def patch(command: Command) -> None:
    kind_of_patch = command.text("type", "strategic").lower()
    if not command.text("patch"):
        raise fault("must specify --patch or --patch-file containing the contents of the patch")
    if kind_of_patch not in _TYPES:
        raise fault(f'--type must be one of [json merge strategic], not "{command.text("type")}"')
    if command.dry_run() == "client":
        raise fault(
            "--dry-run=client cannot tell what the server would make of a patch; use --dry-run=server"
        )
    body = _body(command.text("patch"), kind_of_patch)
    for target in named(command):
        if not target.name:
            raise fault("resource(s) were provided, but no name was specified")
        with command.carry_on():
            path = target.kind.path(command.namespace, target.name)
            before = command.client.get(path)
            path = target.kind.path(command.namespace, target.name, command.text("subresource"))
            after = _send(command, path, body, _TYPES[kind_of_patch])
            _report(command, target.kind, before, after)


def _body(text: str, kind_of_patch: str) -> KubeObject | list[KubeObject]:
    """The patch as JSON; YAML is taken too. Raises Complaint with the server's words for what is neither."""
    patch = _value(text)
    if isinstance(patch, dict) or (kind_of_patch == "json" and isinstance(patch, list)):
        return patch
    names = {str: "string", list: "array", bool: "bool", int: "number", float: "number"}
    words = f"json: cannot unmarshal {names.get(type(patch), 'null')} into Go value of type"
    if kind_of_patch == "json":
        raise Complaint(f"{_BAD_REQUEST}: error decoding patch: {words} []handlers.jsonPatchOp")
    raise Complaint(f"{_BAD_REQUEST}: {words} map[string]interface {{}}")


def _value(text: str) -> object:
    """JSON, or YAML as kubectl turns it into JSON; what looks like JSON is not tried as YAML."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.lstrip().startswith("{"):
            at = text[error.pos : error.pos + 1].strip()
            words = (
                f"invalid character '{at}' looking for beginning of value"
                if at
                else "unexpected end of JSON input"
            )
            raise Complaint(f"{_BAD_REQUEST}: {words}") from None
    return parse_one(text, f"unable to parse {go_quote(text)}: yaml")


def _send(command: Command, path: str, body: KubeObject | list[KubeObject], content_type: str) -> KubeObject:
    try:
        return command.client.request(
            "PATCH", path, query=command.write_query(), body=body, content_type=content_type
        )
    except ApiError as error:
        if error.code != 415 or content_type != STRATEGIC_MERGE_PATCH:
            raise
        # Custom resources know no strategic merge patch.
        raise fault(
            f"application/strategic-merge-patch+json is not supported by {path}; use --type=merge"
        ) from None


def _report(command: Command, kind: Kind, before: KubeObject, after: KubeObject) -> None:
    if after.get("kind", kind.kind) != kind.kind:
        command.say(
            f"{after['kind'].lower()}.{after['apiVersion'].partition('/')[0]}/{after['metadata']['name']} "
            f"patched"
        )
        return
    same = _content(before) == _content(after)
    show_written(command, kind, after, "patched (no change)" if same else "patched")


def _content(obj: KubeObject) -> KubeObject:
    """What tells two states of an object apart."""
    volatile = ("resourceVersion", "managedFields")
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in volatile}}


VERBS = (
    Verb(
        "patch",
        patch,
        (
            *f.WRITE,
            f.Flag("patch", f.TEXT, "p"),
            f.Flag("type", f.TEXT),
            f.Flag("subresource", f.TEXT),
        ),
        "patch (TYPE NAME | TYPE/NAME) -p PATCH [--type=strategic|merge|json] [options]",
        "Update fields of a resource",
    ),
)
