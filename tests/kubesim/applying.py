"""Applies configurations, and asks who owns what, as clients over HTTPS are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request, Response

Object: TypeAlias = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{DEPLOYMENTS}/web"


def ask(
    kube: Kube,
    method: str,
    path: str,
    body: Any = None,
    content_type: str = "application/json",
    agent: str = "client/1.0 (linux)",
    accept: str = "",
    **query: str,
) -> Response:
    """One request whose answer names the managers of fields."""
    headers = {
        "authorization": f"Bearer {kube.cluster.token_for()}",
        "content-type": content_type,
        "user-agent": agent,
        "accept": accept,
    }
    sent = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    return kube.cluster.handle(Request(method, path, query, headers, sent, managed_fields=True))


def try_apply(kube: Kube, path: str, obj: Any, manager: str = "one", **query: str) -> Response:
    return ask(kube, "PATCH", path, obj, APPLY, fieldManager=manager, **query)


def apply(kube: Kube, path: str, obj: Any, manager: str = "one", **query: str) -> Any:
    answer = try_apply(kube, path, obj, manager, **query)
    assert answer.status in (200, 201), answer.body
    return answer.body


def refusal(kube: Kube, path: str, obj: Any, manager: str = "one", **query: str) -> tuple[int, str]:
    answer = try_apply(kube, path, obj, manager, **query)
    return answer.status, answer.body["message"]


def owned(kube: Kube, path: str) -> Mapping[tuple[str, str], Any]:
    """Manager and operation to fields."""
    return {key: entry["fieldsV1"] for key, entry in entries(kube, path).items()}


def entries(kube: Kube, path: str) -> Mapping[tuple[str, str], Any]:
    found = ask(kube, "GET", path).body["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"]): entry for entry in found}


def config_map(name: str, data: Any, **meta: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data}


def workload(**spec: Any) -> Object:
    """A configuration of the Deployment ``web`` that says this much of its spec."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def containers(*items: Object) -> Object:
    return workload(template={"spec": {"containers": list(items)}})
