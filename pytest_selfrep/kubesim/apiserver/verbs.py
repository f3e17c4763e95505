"""The verbs on stored objects."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver import lists, patch
from pytest_selfrep.kubesim.apiserver.calls import Call, Handler, type_of
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.apiserver.podwarnings import creation_warnings, update_warnings
from pytest_selfrep.kubesim.apiserver.watch import Present
from pytest_selfrep.kubesim.apply import requests
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.apply.options import APPLY, author_of
from pytest_selfrep.kubesim.auth import escalation
from pytest_selfrep.kubesim.auth.rbac import Attributes
from pytest_selfrep.kubesim.customresources.version import as_version
from pytest_selfrep.kubesim.decoding import bodies
from pytest_selfrep.kubesim.decoding.bodies import check_depth
from pytest_selfrep.kubesim.decoding.objects import receive_options
from pytest_selfrep.kubesim.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    EVENT,
    JOB,
    LEASE,
    LIMIT_RANGE,
    POD,
    POD_DISRUPTION_BUDGET,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
)
from pytest_selfrep.kubesim.objects import Json, Key, Object
from pytest_selfrep.kubesim.registry import DeleteOptions, check_named
from pytest_selfrep.kubesim.selectors import Predicate, predicate
from pytest_selfrep.kubesim.status import (
    Cause,
    StatusError,
    bad_request,
    conflict,
    forbidden,
    invalid,
    method_not_allowed,
)
from pytest_selfrep.kubesim.tables.table import presenter

_ANSWERED_BY_OBJECT = frozenset({POD, SERVICE, SERVICE_ACCOUNT, RESOURCE_QUOTA})
"""Kinds whose last state is the answer to their deletion; for others it is a Status."""
_CREATED_BY_UPDATE = frozenset(
    {EVENT, LEASE, LIMIT_RANGE, SERVICE, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING}
)
_NO_BLIND_UPDATE = frozenset({LEASE, POD_DISRUPTION_BUDGET})
"""Kinds that are not replaced without the resourceVersion that the client saw."""
_NOT_STRATEGIC = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
)
_POLICIES = ("Foreground", "Background", "Orphan")
_PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
    "them or set propagationPolicy=Orphan to suppress this warning"
)


def sent_object(call: Call) -> Object:
    """The object that was sent, named as the path says. Raises StatusError 400 or 415."""
    obj = call.sent(call.kind.kind, call.kind.api_version)
    check_named(call.kind, obj, call.target.name, call.key.namespace)
    return obj


def create(call: Call) -> Response:
    obj = sent_object(call)
    escalation.check(call, obj)
    _check_taken(call)
    return Response(201, _created(call, obj, author_of(call)))


def _check_taken(call: Call) -> None:
    if call.kind.custom is not None and call.kind.custom.is_terminating:
        details = {"group": call.kind.group, "kind": call.kind.plural}
        raise method_not_allowed(
            "create not allowed while custom resource definition is terminating", details
        )


def _created(call: Call, obj: Object, author: Author) -> Object:
    registry, user = call.backend.registry, call.user.name
    stored = registry.create(call.kind, obj, user, dry_run=call.dry_run, author=author)
    call.warnings.extend(creation_warnings(call.kind, stored))
    return stored


def _replaced(call: Call, obj: Object, author: Author) -> Object:
    registry, user = call.backend.registry, call.user.name
    before = call.backend.context.store.get(call.kind.stored, call.key)
    stored = registry.update(call.kind, obj, user, dry_run=call.dry_run, author=author)
    if before is not None:
        call.warnings.extend(update_warnings(call.kind, stored, before["metadata"].get("generation")))
    return stored


def get(call: Call) -> Response:
    if "resourceVersion" in call.query:
        lists.check_not_future(call.backend.context.store, lists.revision_of(call.query))
    return Response(200, call.stored())


def _wanted(call: Call) -> Predicate | None:
    lists.check_numbers(call.query)
    labels, fields = call.query.get("labelSelector", ""), call.query.get("fieldSelector", "")
    return predicate(call.kind, labels, fields) if labels or fields else None


def list_(call: Call) -> Response:
    page = lists.page(
        call.backend.context.store, call.kind.stored, call.key.namespace, _wanted(call), call.query
    )
    return Response(200, list_object(call, page.items, page.metadata))


def list_object(call: Call, items: list[Object], meta: Object) -> Object:
    """A list as it is sent: its items, but custom ones, leave out what the list's own kind says."""
    if call.kind.custom is not None:
        return {
            "apiVersion": call.kind.api_version,
            "items": [as_version(call.kind, obj) for obj in items],
            "kind": call.kind.custom.list_kind,
            "metadata": meta,
        }
    bare = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in items]
    return {
        "kind": f"{call.kind.kind}List",
        "apiVersion": call.kind.api_version,
        "metadata": meta,
        "items": bare,
    }


def watch(call: Call) -> Response:
    query = call.query
    wanted, timeout = _wanted(call), lists.number(query, "timeoutSeconds")
    present = presenter(
        call.request.headers.get("accept", ""), query, call.backend.context.clock, call.columns
    )
    stream = call.backend.watches.open(
        call.kind.stored,
        call.key.namespace,
        wanted,
        _in_version(call, _with_managers(call, present) if call.request.managed_fields else present),
        revision=lists.revision_of(query),
        bookmarks=query.get("allowWatchBookmarks") in ("true", "1"),
        initial_events_end=query.get("sendInitialEvents") in ("true", "1"),
        timeout=float(timeout) if timeout > 0 else None,
    )
    return Response(200, stream=stream)


def _in_version(call: Call, present: Present) -> Present:
    """The same for objects as they are stored."""
    if call.kind.custom is None:
        return present
    return lambda obj: present(as_version(call.kind, obj))


def _with_managers(call: Call, present: Present) -> Present:
    managed = call.backend.context.store.managed
    return lambda obj: present(managed.shown(obj))


def update(call: Call) -> Response:
    obj = sent_object(call)
    escalation.check(call, obj)
    author, key = author_of(call), call.key
    if call.backend.context.store.get(call.kind, key) is None and call.kind in _CREATED_BY_UPDATE:
        return Response(201, _created(call, obj, author))
    if call.kind in _NO_BLIND_UPDATE and not obj["metadata"].get("resourceVersion"):
        cause = Cause(
            "FieldValueInvalid",
            "Invalid value: 0x0: must be specified for an update",
            "metadata.resourceVersion",
        )
        raise invalid(call.kind, key.name, [cause])
    return Response(200, _replaced(call, obj, author))


def patched(call: Call, target: Object, kind: str = "", api_version: str = "") -> Object:
    """``target`` with the patch that was sent, read by its type: the resource's unless another is named.

    Raises StatusError 400, 413, 415 or 422.
    """
    check_patch_type(call)
    kind, api_version = kind or call.kind.kind, api_version or call.kind.api_version
    if not call.request.body:
        why = "unexpected end of JSON input"
        raise bad_request(why if call.content_type == patch.STRATEGIC else f"error decoding patch: {why}")
    applied = patch.apply(call.content_type, target, call.body, type_of(kind, api_version))
    try:
        check_depth(applied)
    except ValueError as error:
        raise bad_request(str(error)) from None
    return call.patched(applied, kind, api_version)


def check_patch_type(call: Call) -> None:
    """Raises StatusError 415."""
    patch.check_accepted(call.content_type, _NOT_STRATEGIC if call.kind.custom is not None else "")


def patch_(call: Call) -> Response:
    if call.content_type == APPLY:
        return _apply(call)
    check_patch_type(call)
    author, stored = author_of(call), call.stored()
    obj = patched(call, _as_patched(call, stored))
    _check_patched(call, obj)
    _check_uid(call, obj, stored)
    return Response(200, _replaced(call, obj, author))


def _apply(call: Call) -> Response:
    """A PATCH with a configuration, which makes the object if there is none."""
    found = call.backend.context.store.get(call.kind.stored, call.key)
    stored = as_version(call.kind, found) if found is not None else None
    merged, author = requests.merged(call, stored)
    obj = call.patched(merged, call.kind.kind, call.kind.api_version)
    meta = obj["metadata"]
    if stored is None:
        _check_new(call, meta)
        _check_taken(call)
    else:
        _check_uid(call, obj, stored)
    _check_patched(call, obj)
    if stored is None:
        return Response(201, _created(call, obj, author))
    return Response(200, _replaced(call, obj, author))


def _check_new(call: Call, meta: Object) -> None:
    """Whether an apply may make the object. Raises StatusError 400, 403 or 409."""
    name = call.target.name
    if meta.get("uid"):
        why = (
            f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        )
        raise conflict(call.kind, name, why)
    if not meta.get("name"):
        raise bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    # There is no version of it yet that the client could have seen.
    meta.pop("resourceVersion", None)
    asked = Attributes.of("create", call.target)
    if not call.backend.authorizer.allows(call.user, asked):
        raise forbidden(call.kind, name, call.backend.authorizer.refusal(call.user, asked))


def _check_uid(call: Call, obj: Object, stored: Object) -> None:
    uid, known = obj["metadata"].get("uid"), stored["metadata"]["uid"]
    if uid not in (None, "", known):
        cause = Cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
        raise invalid(call.kind, call.target.name, [cause])


def _as_patched(call: Call, stored: Object) -> Object:
    """What a patch is for: the stored object, with its managers only if the patch may be about them."""
    if b"managedFields" not in call.request.body:
        return stored
    return call.backend.context.store.managed.shown(stored)


def _check_patched(call: Call, obj: Object) -> None:
    check_named(call.kind, obj, call.target.name, call.key.namespace)
    escalation.check(call, obj)


def delete(call: Call) -> Response:
    obj, gone = call.backend.registry.delete(call.kind, call.key, delete_options(call), call.user.name)
    if not gone or call.kind in _ANSWERED_BY_OBJECT:
        return Response(200, obj)
    details: Object = {"name": obj["metadata"]["name"]}
    if call.kind.group:
        details["group"] = call.kind.group
    details |= {"kind": call.kind.plural, "uid": obj["metadata"]["uid"]}
    return Response(200, success(details))


def success(details: Object | None = None) -> Object:
    """A meta/v1 Status of success."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {**status, "details": details} if details else status


def delete_collection(call: Call) -> Response:
    store, registry, wanted = call.backend.context.store, call.backend.registry, _wanted(call)
    options = delete_options(call)
    deleted = []
    for obj in store.list(call.kind.stored, call.key.namespace):
        if wanted is None or wanted(obj):
            meta = obj["metadata"]
            key = Key(meta.get("namespace", ""), meta["name"])
            deleted.append(registry.delete(call.kind, key, options, call.user.name)[0])
    return Response(200, list_object(call, deleted, {"resourceVersion": str(store.revision)}))


def delete_options(call: Call) -> DeleteOptions:
    """DeleteOptions from the body and the query; a warning of pods that stay.

    Raises StatusError 400, 422 or 500.
    """
    sent = call.request.body
    body = receive_options(bodies.decode(sent, call.content_type, "") if sent else None)
    policy = body.get("propagationPolicy") or call.query.get("propagationPolicy")
    orphan = body.get("orphanDependents", call.query.get("orphanDependents"))
    if policy is not None and (orphan is not None or policy not in _POLICIES):
        raise _invalid_policy(policy, orphan)
    if orphan is not None and policy is None:
        policy = "Orphan" if orphan in (True, "true") else "Background"
    if policy is None and call.kind is JOB:
        call.warnings.add(_PODS_STAY)
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=_grace(call, body),
        propagation=policy,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=call.dry_run or bool(body.get("dryRun")),
    )


def _grace(call: Call, body: Object) -> int | None:
    asked: int | None = body.get("gracePeriodSeconds")
    if asked is None and call.query.get("gracePeriodSeconds"):
        return lists.number(call.query, "gracePeriodSeconds")
    return asked


def _invalid_policy(policy: Json, orphan: Json) -> StatusError:
    if orphan is not None:
        why = (
            f'propagationPolicy: Invalid value: "{policy}": '
            "orphanDependents and deletionPropagation cannot be both set"
        )
    else:
        listed = ", ".join(f'"{each}"' for each in (*_POLICIES, "nil"))
        why = f'propagationPolicy: Unsupported value: "{policy}": supported values: {listed}'
    details = {"group": "meta.k8s.io", "kind": "DeleteOptions"}
    return StatusError(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: {why}', details)


VERBS: Mapping[str, Handler] = {
    "create": create,
    "get": get,
    "list": list_,
    "watch": watch,
    "update": update,
    "patch": patch_,
    "delete": delete,
    "deletecollection": delete_collection,
}
