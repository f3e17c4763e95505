"""A cluster as an administrator uses it, request by request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node, resized

Object: TypeAlias = dict[str, Any]
NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/default/pods"


class Kube:
    def __init__(self, cluster: Cluster, token: str) -> None:
        self.cluster = cluster
        self._headers = {"authorization": f"Bearer {token}"}

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Response:
        encoded = b"" if body is None else orjson.dumps(body)
        headers = {**self._headers, "content-type": content_type}
        return self.cluster.handle(Request(method, path, query or {}, headers, encoded))

    def ok(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        response = self.send(method, path, body, query)
        assert response.status < 400, response.body
        return response.body

    def refusal(
        self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> Any:
        response = self.send(method, path, body, query)
        assert response.status >= 400, response.body
        return response.body

    def get(self, path: str, **query: str) -> Any:
        return self.ok("GET", path, query=query)

    def create(self, path: str, obj: Object) -> Any:
        return self.ok("POST", path, obj)

    def replace(self, path: str, obj: Object) -> Any:
        return self.ok("PUT", path, obj)

    def merge(self, path: str, patch: Object) -> Any:
        response = self.send("PATCH", path, patch, content_type="application/merge-patch+json")
        assert response.status < 400, response.body
        return response.body

    def delete(self, path: str, body: Object | None = None) -> Any:
        return self.ok("DELETE", path, body)

    def exists(self, path: str) -> bool:
        return self.send("GET", path).status == 200

    def advance(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    def add_node(self, name: str, *, number: int = 1, **size: Any) -> Any:
        return self.create(NODES, node(name, now=self.cluster.clock.timestamp(), number=number, **size))

    def resize_node(self, name: str, **size: Any) -> None:
        self.replace(f"{NODES}/{name}/status", resized(self.get(f"{NODES}/{name}"), **size))

    def add_pod(self, name: str, **spec: Any) -> Any:
        return self.create(PODS, pod(name, **spec))

    def pod(self, name: str) -> Any:
        return self.get(f"{PODS}/{name}")

    def pods(self) -> list[Object]:
        return list(self.get(PODS)["items"])

    def node_of(self, name: str) -> str:
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def condition(self, pod: str, kind: str) -> Any:
        return next(each for each in self.pod(pod)["status"]["conditions"] if each["type"] == kind)

    def events(self, about: str, namespace: str = "default") -> list[tuple[str, str]]:
        """Reason and message of what was reported about an object, in order."""
        found = self.get(
            f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={about}"
        )
        items = sorted(found["items"], key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [(each["reason"], each["message"]) for each in items]


def pod(name: str, *, cpu: str = "", memory: str = "", labels: Object | None = None, **spec: Any) -> Object:
    """A pod with one container ``web``; what a container knows goes there, all else into the spec."""
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container: Object = {"name": "web", "image": "registry.acme.io/web:1.4"}
    for key in ("image", "command", "args", "env", "resources", "readinessProbe", "imagePullPolicy", "ports"):
        if key in spec:
            container[key] = spec.pop(key)
    if requests:
        container["resources"] = {"requests": requests}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": "web"}},
        "spec": {"containers": [container], **spec},
    }


def deployment(name: str, replicas: int, **kwargs: Any) -> Object:
    """A Deployment of such pods, labelled ``app: <name>``."""
    labels = {"app": name}
    template = pod(name, labels=labels, **kwargs)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def eventually(true: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it did not come about in a minute"
        time.sleep(0.01)
