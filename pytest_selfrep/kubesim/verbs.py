"""The verbs on stored objects: create, get, list, update, patch, delete."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim import patch
from pytest_selfrep.kubesim.calls import Call, Handler
from pytest_selfrep.kubesim.http import Response
from pytest_selfrep.kubesim.kinds import POD, RESOURCE_QUOTA, SERVICE, SERVICE_ACCOUNT
from pytest_selfrep.kubesim.objects import Object, copy
from pytest_selfrep.kubesim.registry import DeleteOptions, check_named
from pytest_selfrep.kubesim.selectors import predicate

_RETURNED = (POD, SERVICE, SERVICE_ACCOUNT, RESOURCE_QUOTA)
"""Kinds whose last state is the answer to their deletion; for others it is a Status."""


def body_of(call: Call) -> Object:
    """The object that was sent, named as the path says."""
    obj = call.sent(call.kind.kind, call.kind.api_version)
    obj.setdefault("metadata", {})
    check_named(call.kind, obj, call.target.name, call.target.namespace)
    return obj


def create(call: Call) -> Response:
    obj = call.backend.registry.create(call.kind, body_of(call), call.user.name, dry_run=call.dry_run)
    return Response(201, obj)


def get(call: Call) -> Response:
    return Response(200, call.stored())


def list_(call: Call) -> Response:
    store = call.backend.context.store
    found = store.list(call.kind, call.key.namespace)
    wanted = predicate(call.kind, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
    items = [obj for obj in found if wanted is None or wanted(obj)]
    return Response(200, list_object(call, items, {"resourceVersion": str(store.revision)}))


def list_object(call: Call, items: list[Object], meta: Object) -> Object:
    """A list as it is sent: its items leave out what the list's own kind says."""
    bare = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in items]
    return {
        "kind": f"{call.kind.kind}List",
        "apiVersion": call.kind.api_version,
        "metadata": meta,
        "items": bare,
    }


def update(call: Call) -> Response:
    obj = body_of(call)
    stored = call.backend.registry.update(call.kind, obj, call.user.name, dry_run=call.dry_run)
    return Response(200, stored)


def patch_(call: Call) -> Response:
    patched = copy(patch.merge(call.stored(), call.body))
    stored = call.backend.registry.update(call.kind, patched, call.user.name, dry_run=call.dry_run)
    return Response(200, stored)


def delete(call: Call) -> Response:
    obj, gone = call.backend.registry.delete(call.kind, call.key, delete_options(call), call.user.name)
    if not gone or call.kind in _RETURNED:
        return Response(200, obj)
    details = {"name": obj["metadata"]["name"], "kind": call.kind.plural, "uid": obj["metadata"]["uid"]}
    if call.kind.group:
        details = {"name": details["name"], "group": call.kind.group, **details}
    return Response(
        200,
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details},
    )


def delete_options(call: Call) -> DeleteOptions:
    """DeleteOptions from the body and the query."""
    body = call.body or {}
    grace = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=None if grace is None else int(grace),
        propagation=body.get("propagationPolicy") or call.query.get("propagationPolicy"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=call.dry_run or bool(body.get("dryRun")),
    )


VERBS: Mapping[str, Handler] = {
    "create": create,
    "get": get,
    "list": list_,
    "update": update,
    "patch": patch_,
    "delete": delete,
}
