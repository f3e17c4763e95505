"""Subresources that belong to no one part of the cluster: status, scale, finalize, binding."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver import scales
from pytest_selfrep.kubesim.apiserver.calls import Call, Handler
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.apiserver.tokenrequests import request_token
from pytest_selfrep.kubesim.apiserver.verbs import check_patch_type, patched, sent_object, success
from pytest_selfrep.kubesim.apply import requests
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.apply.options import APPLY, author_of
from pytest_selfrep.kubesim.kinds import NODE, POD, Kind
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.registry import check_named
from pytest_selfrep.kubesim.status import StatusError, bad_request, conflict, not_found


def get_part(call: Call) -> Response:
    return Response(200, call.stored())


def update_part(call: Call) -> Response:
    return _store_part(call, sent_object(call), author_of(call))


def patch_part(call: Call) -> Response:
    if call.content_type == APPLY:
        merged, author = requests.merged(call, call.stored())
        obj = call.patched(merged, call.kind.kind, call.kind.api_version)
    else:
        author = author_of(call)
        check_patch_type(call)
        obj = patched(call, call.stored())
    check_named(call.kind, obj, call.target.name, call.key.namespace)
    return _store_part(call, obj, author)


def _store_part(call: Call, obj: Object, author: Author) -> Response:
    stored = call.backend.registry.update(
        call.kind,
        obj,
        call.user.name,
        subresource=call.target.subresource,
        dry_run=call.dry_run,
        author=author,
    )
    return Response(200, stored)


def _scale_of(kind: Kind, obj: Object) -> Object:
    """An autoscaling/v1 Scale."""
    meta = obj["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = scales.wanted(kind, obj)
    status: Object = {"replicas": scales.present(kind, obj)}
    selector = scales.selector(kind, obj)
    if selector or kind.custom is None:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in shown if key in meta},
        # Zero is left out, as Go leaves it out.
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def get_scale(call: Call) -> Response:
    stored = call.stored()
    scales.check_said(call.kind, stored)
    return Response(200, _scale_of(call.kind, stored))


def update_scale(call: Call) -> Response:
    return _store_scale(call, call.sent("Scale", "autoscaling/v1"), author_of(call))


def patch_scale(call: Call) -> Response:
    if call.content_type == APPLY:
        return _store_scale(call, *requests.merged_scale(call, call.stored()))
    check_patch_type(call)
    author = author_of(call)
    return _store_scale(
        call, patched(call, _scale_of(call.kind, call.stored()), "Scale", "autoscaling/v1"), author
    )


def _store_scale(call: Call, scale: Object, author: Author) -> Response:
    name = scale.get("metadata", {}).get("name", call.target.name)
    if name != call.target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({call.target.name})"
        )
    replicas = scale.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        why = f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"
        details = {"name": name, "group": "autoscaling", "kind": "Scale"}
        raise StatusError(422, "Invalid", f'Scale.autoscaling "{name}" is invalid: {why}', details)
    old = call.stored()
    meta = dict(old["metadata"])
    meta["resourceVersion"] = scale.get("metadata", {}).get("resourceVersion") or meta["resourceVersion"]
    wanted = {**scales.resized(call.kind, old, replicas), "metadata": meta}
    stored = call.backend.registry.update(
        call.kind, wanted, call.user.name, dry_run=call.dry_run, author=author
    )
    return Response(200, _scale_of(call.kind, stored))


def bind(call: Call) -> Response:
    """Assign a pod to a node, as a scheduler does."""
    sent = call.sent("Binding", "v1")
    node, pod = sent["target"].get("name", ""), call.stored()
    assigned = pod["spec"].get("nodeName")
    if assigned:
        why = f'pod {call.target.name} is already assigned to node "{assigned}"'
        raise conflict(POD, call.target.name, why)
    context = call.backend.context
    if context.store.get(NODE, Key("", node)) is None:
        raise not_found(NODE, node)
    if not call.dry_run:
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": context.clock.timestamp(),
        }
        others = [each for each in pod["status"].get("conditions") or [] if each["type"] != "PodScheduled"]
        bound = {
            **pod,
            "metadata": {**pod["metadata"]},
            "spec": {**pod["spec"], "nodeName": node},
            "status": {**pod["status"], "conditions": [*others, scheduled]},
        }
        context.store.put(POD, bound)
    return Response(201, success())


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    ("*", "status", "get"): get_part,
    ("*", "status", "update"): update_part,
    ("*", "status", "patch"): patch_part,
    ("*", "scale", "get"): get_scale,
    ("*", "scale", "update"): update_scale,
    ("*", "scale", "patch"): patch_scale,
    ("namespaces", "finalize", "update"): update_part,
    ("pods", "ephemeralcontainers", "get"): get_part,
    ("pods", "ephemeralcontainers", "update"): update_part,
    ("pods", "ephemeralcontainers", "patch"): patch_part,
    ("pods", "binding", "create"): bind,
    ("serviceaccounts", "token", "create"): request_token,
}
