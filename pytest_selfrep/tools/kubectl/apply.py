"""``kubectl apply``, ``kubectl create -f`` and ``kubectl replace``: manifests on stdin."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from pytest_selfrep.clusters.kube import MERGE_PATCH, STRATEGIC_MERGE_PATCH, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault, prefixed
from pytest_selfrep.tools.kubectl.kinds import EVERYWHERE, Kind
from pytest_selfrep.tools.kubectl.manifests import namespace_of, read_manifests
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.threeway import three_way
from pytest_selfrep.tools.kubectl.waiting import until_gone

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def create_from_manifest(command: Command) -> None:
    """``kubectl create -f -``."""
    if command.arguments:
        raise command.usage(f"Unexpected args: [{' '.join(command.arguments)}]")
    command.dry_run()
    for kind, obj in read_manifests(command):
        with command.carry_on():
            body = _placed(command, kind, obj)
            if command.switched("save-config"):
                body = _annotated(body)
            show_written(command, kind, _post(command, kind, body), "created")


def _post(command: Command, kind: Kind, obj: KubeObject) -> KubeObject:
    if command.dry_run() == "client":
        return _placed(command, kind, obj)
    path = kind.path(namespace_of(command, obj))
    try:
        return command.client.request("POST", path, query=_query(command), body=_placed(command, kind, obj))
    except ApiError as error:
        raise prefixed(error, f'error when creating "{command.source}"') from None


def _placed(command: Command, kind: Kind, obj: KubeObject) -> KubeObject:
    """The object with its namespace filled in."""
    if not kind.namespaced or obj["metadata"].get("namespace"):
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": command.namespace}}


def _query(command: Command) -> Mapping[str, str]:
    validate = command.text("validate", "true").lower()
    names = {"false": "Ignore", "ignore": "Ignore", "warn": "Warn"}
    return {**command.write_query(), "fieldValidation": names.get(validate, "Strict")}


def _annotated(obj: KubeObject) -> KubeObject:
    """The object with a copy of itself in the annotation by which the next apply knows what it set."""
    meta = obj["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    bare = {**obj, "metadata": {**meta, "annotations": annotations}}
    text = orjson.dumps(bare, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return {**obj, "metadata": {**meta, "annotations": {**annotations, LAST_APPLIED: text}}}


def apply(command: Command) -> None:
    if command.arguments:
        raise command.usage(f"Unexpected args: [{' '.join(command.arguments)}]")
    command.dry_run()
    for kind, obj in read_manifests(command):
        with command.carry_on():
            _apply_one(command, kind, obj)


def _apply_one(command: Command, kind: Kind, obj: KubeObject) -> None:
    meta = obj["metadata"]
    if meta.get("generateName") and not meta.get("name"):
        raise fault(f"from {meta['generateName']}: cannot use generate name with apply")
    modified = _annotated(_placed(command, kind, obj))
    path = kind.path(namespace_of(command, obj), str(meta.get("name") or ""))
    live = _live(command, kind, obj, path)
    if live is None:
        show_written(command, kind, _post(command, kind, modified), "created")
        return
    last = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if last is None:
        command.say(
            f"Warning: resource {kind.plural}/{meta['name']} is missing the {LAST_APPLIED} annotation which "
            f"is "
            "required by kubectl apply. kubectl apply should only be used on resources created declaratively "
            "by "
            "either kubectl create --save-config or kubectl apply. The missing annotation will be patched "
            "automatically."
        )
    patch = three_way(_parsed(last), modified, live)
    if command.dry_run() == "client":
        show_written(command, kind, live, "configured")
    elif not patch:
        show_written(command, kind, live, "unchanged")
    else:
        show_written(command, kind, _send(command, kind, path, obj, patch), "configured")


def _live(command: Command, kind: Kind, obj: KubeObject, path: str) -> KubeObject | None:
    name, namespace = str(obj["metadata"].get("name") or ""), namespace_of(command, obj)
    place = _place(kind, name, namespace)
    words = f'error when retrieving current configuration of:\n{place}\nfrom server for: "{command.source}"'
    if not name:
        raise fault(f"{words}: resource name may not be empty")
    try:
        return command.client.get(path)
    except ApiError as error:
        if error.reason == "NotFound":
            return None
        raise prefixed(error, words) from None


def _parsed(annotation: str | None) -> KubeObject:
    try:
        last = orjson.loads(annotation or "{}")
    except orjson.JSONDecodeError:
        return {}
    return last if isinstance(last, dict) else {}


def _place(kind: Kind, name: str, namespace: str) -> str:
    """An object's place as apply's errors spell it out."""
    version = f"{kind.group}/{kind.version}"
    return (
        f'Resource: "{version}, Resource={kind.plural}", GroupVersionKind: "{version}, Kind={kind.kind}"\n'
        f'Name: "{name}", Namespace: "{namespace if kind.namespaced else ""}"'
    )


def _send(command: Command, kind: Kind, path: str, obj: KubeObject, patch: KubeObject) -> KubeObject:
    strategic = any((known.group, known.plural) == (kind.group, kind.plural) for known in EVERYWHERE)
    builtin = strategic or kind.group in ("batch", "autoscaling", "policy")
    try:
        return command.client.request(
            "PATCH",
            path,
            query=_query(command),
            body=patch,
            content_type=STRATEGIC_MERGE_PATCH if builtin else MERGE_PATCH,
        )
    except ApiError as error:
        text = orjson.dumps(patch, option=orjson.OPT_SORT_KEYS).decode()
        place = _place(kind, obj["metadata"]["name"], namespace_of(command, obj))
        source = f'"{command.source}"'
        doing = f"error when applying patch:\n{text}\nto:\n{place}\nfor: {source}"
        words = f"{doing}: error when patching {source}"
        raise prefixed(error, words) from None


def replace(command: Command) -> None:
    if command.arguments:
        raise command.usage(f"Unexpected args: [{' '.join(command.arguments)}]")
    command.dry_run()
    for kind, obj in read_manifests(command):
        with command.carry_on():
            if command.switched("force"):
                _replace_by_force(command, kind, obj)
            else:
                show_written(command, kind, _put(command, kind, obj), "replaced")


def _put(command: Command, kind: Kind, obj: KubeObject) -> KubeObject:
    body = _placed(command, kind, obj)
    if command.dry_run() == "client":
        return body
    path = kind.path(namespace_of(command, obj), str(obj["metadata"].get("name") or ""))
    try:
        if not body["metadata"].get("resourceVersion"):
            version = command.client.get(path)["metadata"]["resourceVersion"]
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return command.client.request("PUT", path, query=_query(command), body=body)
    except ApiError as error:
        raise prefixed(error, f'error when replacing "{command.source}"') from None


def _replace_by_force(command: Command, kind: Kind, obj: KubeObject) -> None:
    path = kind.path(namespace_of(command, obj), str(obj["metadata"].get("name") or ""))
    try:
        command.client.delete(path)
        command.say(f'{kind.singular_resource} "{obj["metadata"]["name"]}" deleted')
    except ApiError as error:
        if error.reason != "NotFound":
            raise
    until_gone(command, kind, path)
    show_written(command, kind, _post(command, kind, obj), "replaced")


_MANIFEST = (*f.WRITE, f.FILENAME, f.VALIDATE)

CREATE_FROM_MANIFEST = Verb(
    "create",
    create_from_manifest,
    (*_MANIFEST, f.SAVE_CONFIG),
    "create -f - [options]",
    "Create a resource from a file or from stdin",
)
VERBS = (
    Verb(
        "apply",
        apply,
        _MANIFEST,
        "apply -f - [options]",
        "Apply a configuration to a resource by file name or stdin",
    ),
    Verb(
        "replace",
        replace,
        (*_MANIFEST, f.Flag("force", f.BOOL)),
        "replace -f - [options]",
        "Replace a resource by file name or stdin",
    ),
)
