"""PATCH with an applied configuration: makes the object or merges into it, unless others own what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from pytest_selfrep.kubesim.apiserver.calls import Call
from pytest_selfrep.kubesim.apply import fieldsets
from pytest_selfrep.kubesim.apply.fieldsets import FieldSet
from pytest_selfrep.kubesim.apply.history import Author, part_of
from pytest_selfrep.kubesim.apply.managers import Conflicts, Managed, Manager, Write, applied, updated
from pytest_selfrep.kubesim.apply.options import author_of, forced
from pytest_selfrep.kubesim.apply.parts import Part
from pytest_selfrep.kubesim.apply.typed import claimed, mistakes
from pytest_selfrep.kubesim.objects import Json, Object, cleaned
from pytest_selfrep.kubesim.schema import struct
from pytest_selfrep.kubesim.status import StatusError, bad_request

BEFORE_FIRST_APPLY: Final = "before-first-apply"
"""The manager of what was there before anybody was counted."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL: Final = "kubectl"
"""The manager that inherits what kubectl applied on the client's side."""


class Merged(NamedTuple):
    """What an apply leads to."""

    obj: Object
    author: Author
    """Carries who owns what from now on."""


def merged(call: Call, live: Object | None) -> Merged:
    """What a request makes of an object, or of none. Raises StatusError 400, 409, 415, 422 or 500."""
    author = author_of(call)
    configuration = _configuration(call)
    kind, part = call.kind, part_of(call.kind)
    check(part, configuration, kind.api_version, kind.kind)
    if call.target.subresource == "status":
        configuration = _status_only(configuration)
    return merge_into(call, live, configuration, author)


def merged_scale(call: Call, live: Object) -> Merged:
    """The Scale that a request makes of an object's. Its managers are those of the object's replicas."""
    author = author_of(call)
    configuration = _configuration(call)
    check(Part(struct("autoscaling.v1.Scale")), configuration, "autoscaling/v1", "Scale")
    meta, spec = configuration.get("metadata") or {}, configuration.get("spec") or {}
    replicas = {"replicas": spec["replicas"]} if "replicas" in spec else {}
    obj, author = merge_into(call, live, {"spec": replicas} if replicas else {}, author)
    scaled = {"replicas": obj["spec"].get("replicas", 1)}
    return Merged({"metadata": meta, "spec": scaled}, author)


def merge_into(call: Call, live: Object | None, configuration: Object, author: Author) -> Merged:
    """The same with a configuration that has been read and checked."""
    history, kind, part = call.backend.context.store.managed, call.kind, part_of(call.kind)
    write = history.write(kind, Manager(author.manager, "Apply", "", author.subresource))
    managed: Managed = {}
    if live is not None:
        before = history.write(kind, Manager(BEFORE_FIRST_APPLY, "Update", kind.api_version))
        managed = history.of(live) or updated(part, {}, before, None, live)
    obj, after = _applied(part, managed, write, live, configuration, force=forced(call))
    if live is not None:
        # Nobody owns a name, so that none is lost with what an applier owned beside it.
        obj = {**obj, "metadata": {"name": live["metadata"]["name"], **(obj.get("metadata") or {})}}
    if kind.custom is None:  # null may mean something in a custom resource
        obj = cleaned(obj)
    if author.manager == KUBECTL:
        _note_last_applied(obj, configuration)
    return Merged(obj, author._replace(managed=after))


def check(part: Part, configuration: Object, api_version: str, kind: str) -> None:
    """Raises StatusError 400 for another kind, 500 for what does not fit its type."""
    said = (str(configuration.get("apiVersion") or ""), str(configuration.get("kind") or ""))
    if said != (api_version, kind):
        expected = _kind_text(api_version, kind)
        raise bad_request(f"invalid object type: {_kind_text(*said)}, expected: {expected}")
    meta = configuration.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    if meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    found = mistakes(part, configuration)
    if found:
        listed = found[0] if len(found) == 1 else "errors:" + "".join(f"\n  {each}" for each in found)
        name = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}; {_kind_text(api_version, kind)}"
        raise StatusError(500, "", f"failed to create typed patch object ({name}): {listed}")


def _configuration(call: Call) -> Object:
    try:
        body = call.body
    except StatusError as error:
        if error.code != 400:
            raise
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error.message}") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        names: Mapping[type, str] = {list: "array", str: "string", bool: "bool"}
        raise bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{names.get(type(body), 'number')} into Go value of type map[string]interface {{}}"
        )
    return body


def _status_only(configuration: Object) -> Object:
    """Of a configuration what its status subresource takes."""
    meta = {
        name: value
        for name, value in (configuration.get("metadata") or {}).items()
        if name in ("name", "namespace", "uid", "resourceVersion")
    }
    kept: Object = {
        name: value for name, value in configuration.items() if name in ("kind", "apiVersion", "status")
    }
    return {**kept, "metadata": meta}


def _applied(
    part: Part, managed: Managed, write: Write, live: Object | None, configuration: Object, *, force: bool
) -> tuple[Object, Managed]:
    present = live if live is not None else {}
    try:
        return applied(part, managed, write, present, configuration, force=force)
    except Conflicts as conflicts:
        rest = conflicts.found
        if write.manager.name == KUBECTL:
            allowed = _applied_by_client(part, present)
            rest = {
                manager: fields
                for manager, both in rest.items()
                if (fields := fieldsets.difference(both, allowed))
            }
        if rest:
            raise _refusal(Conflicts(rest)) from None
    return applied(part, managed, write, present, configuration, force=True)


def _applied_by_client(part: Part, live: Object) -> FieldSet:
    """What kubectl applied before on the client's side, by the annotation that it left."""
    try:
        before: Json = orjson.loads(_annotations(live).get(LAST_APPLIED, ""))
    except ValueError:
        return {}
    return claimed(part, before) if isinstance(before, dict) else {}


def _note_last_applied(obj: Object, configuration: Object) -> None:
    """Keep the annotation up to date, so that clients that go by it still can."""
    if LAST_APPLIED not in _annotations(obj):
        return
    meta = dict(configuration.get("metadata") or {})
    if isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {
            name: value for name, value in meta["annotations"].items() if name != LAST_APPLIED
        }
    text = orjson.dumps({**configuration, "metadata": meta}, option=orjson.OPT_SORT_KEYS).decode()
    obj["metadata"]["annotations"][LAST_APPLIED] = f"{text}\n"


def _annotations(obj: Object) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


def _refusal(conflicts: Conflicts) -> StatusError:
    found = [(_manager_text(manager), fieldsets.path_text(path)) for manager, path in conflicts.each()]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in found
    ]
    if len(found) == 1:
        manager, path = found[0]
        message = f"Apply failed with 1 conflict: conflict with {manager}: {path}"
    else:
        lines = []
        for manager in dict.fromkeys(manager for manager, _ in found):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for owner, path in found if owner == manager]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _manager_text(manager: Manager) -> str:
    text = orjson.dumps(manager.name).decode()
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return f"{text} using {manager.api_version}" if manager.operation == "Update" else text


def _kind_text(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"
