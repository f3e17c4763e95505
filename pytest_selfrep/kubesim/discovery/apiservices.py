"""APIServices: who serves each group and version. They follow from the kinds there are, and are only read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final
from uuid import UUID

from pytest_selfrep.kubesim.apiserver.calls import Call, Virtual
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.discovery.priorities import of_group, of_version
from pytest_selfrep.kubesim.kinds import KINDS, NAMESPACE, Kind
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.selectors import predicate
from pytest_selfrep.kubesim.status import not_found

GROUP, VERSION = "apiregistration.k8s.io", "v1"
API_SERVICE: Final = Kind(
    GROUP,
    VERSION,
    "APIService",
    "apiservices",
    "apiservice",
    namespaced=False,
    categories=("api-extensions",),
)
_MANAGED: Final = "kube-aggregator.kubernetes.io/automanaged"
_METRICS: Final = "metrics.k8s.io"


def virtual(computed: Mapping[tuple[str, str, str], Virtual]) -> Mapping[tuple[str, str, str], Virtual]:
    """What this API adds to a server's that computes these resources."""
    known = {(kind.group, kind.version) for kind in (*KINDS, *(each.kind for each in computed.values()))}
    handlers = {"get": partial(_get, sorted(known)), "list": partial(_list, sorted(known))}
    return {(GROUP, VERSION, API_SERVICE.plural): Virtual(API_SERVICE, handlers)}


def _get(known: list[tuple[str, str]], call: Call) -> Response:
    for each in _all(known, call):
        if each["metadata"]["name"] == call.target.name:
            return Response(200, {"kind": "APIService", "apiVersion": API_SERVICE.api_version, **each})
    raise not_found(API_SERVICE, call.target.name)


def _list(known: list[tuple[str, str]], call: Call) -> Response:
    query = call.query
    wanted = predicate(API_SERVICE, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    items = [each for each in _all(known, call) if wanted is None or wanted(each)]
    body = {
        "kind": "APIServiceList",
        "apiVersion": API_SERVICE.api_version,
        "metadata": {"resourceVersion": str(call.backend.context.store.revision)},
        "items": sorted(items, key=lambda each: str(each["metadata"]["name"])),
    }
    return Response(200, body)


def _all(known: list[tuple[str, str]], call: Call) -> Iterator[Object]:
    store = call.backend.context.store
    system = store.get(NAMESPACE, Key("", "kube-system"))
    if system is None:
        return
    for group, version in known:
        yield _object(group, version, system)
    custom = {(kind.group, kind.version): kind for kind in call.backend.context.kinds.custom}
    for group, version in sorted(custom):
        yield _object(group, version, _definition(call, custom[group, version]) or system, custom=True)


def _definition(call: Call, kind: Kind) -> Object | None:
    context = call.backend.context
    definitions = context.kinds.of_resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    return context.store.get(definitions, Key("", kind.resource)) if definitions is not None else None


def _object(group: str, version: str, since: Object, *, custom: bool = False) -> Object:
    """One APIService, as old as the object that brought its group."""
    name, served_by = f"{version}.{group}", since["metadata"]
    meta: Object = {
        "name": name,
        "uid": _uid(f"{served_by['uid']} {name}"),
        "resourceVersion": served_by["resourceVersion"],
        "creationTimestamp": served_by["creationTimestamp"],
    }
    spec: Object = {"group": group} if group else {}
    spec |= {
        "version": version,
        "groupPriorityMinimum": of_group(group),
        "versionPriority": of_version(group, version),
    }
    reason, message = "Local", "Local APIServices are always available"
    if group == _METRICS:
        meta["labels"] = {"k8s-app": "metrics-server"}
        spec |= {
            "service": {"namespace": "kube-system", "name": "metrics-server", "port": 443},
            "insecureSkipTLSVerify": True,
        }
        reason, message = "Passed", "all checks passed"
    else:
        meta["labels"] = {_MANAGED: "true" if custom else "onstart"}
    available = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": served_by["creationTimestamp"],
        "reason": reason,
        "message": message,
    }
    return {"metadata": meta, "spec": spec, "status": {"conditions": [available]}}


def _uid(text: str) -> str:
    """A UUID that is always the same for a text."""
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
