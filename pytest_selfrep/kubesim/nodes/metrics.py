"""The resource metrics API: metrics.k8s.io/v1beta1 for nodes and pods, as metrics-server answers it."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver.calls import Call, Virtual
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.kinds import NODE, POD, Kind
from pytest_selfrep.kubesim.nodes.usage import Used
from pytest_selfrep.kubesim.objects import Key, Object, labels_of
from pytest_selfrep.kubesim.selectors import predicate
from pytest_selfrep.kubesim.status import StatusError

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NODE_METRICS = Kind(GROUP, VERSION, "NodeMetrics", "nodes", "", namespaced=False)
POD_METRICS = Kind(GROUP, VERSION, "PodMetrics", "pods", "", namespaced=True)
WINDOW = "15.0s"


def get_node(call: Call) -> Response:
    name = call.target.name
    node = call.backend.context.store.get(NODE, Key("", name))
    if node is None:
        raise _not_found("nodemetrics", name)
    used = call.backend.usage.of_nodes([name])
    return Response(200, _typed("NodeMetrics", _node(call, node, used[name])))


def list_nodes(call: Call) -> Response:
    nodes = {node["metadata"]["name"]: node for node in _matching(call, NODE, "")}
    used = call.backend.usage.of_nodes(nodes)
    return _list("NodeMetrics", [_node(call, node, used[name]) for name, node in nodes.items()])


def get_pod(call: Call) -> Response:
    namespace, name = call.target.namespace, call.target.name
    pod = call.backend.context.store.get(POD, Key(namespace, name))
    used = call.backend.usage.of_pod(pod, call.backend.usage.shares()) if pod is not None else None
    if pod is None or used is None:
        raise _not_found("podmetrics", f"{namespace}/{name}")
    return Response(200, _typed("PodMetrics", _pod(call, pod, used)))


def list_pods(call: Call) -> Response:
    pods = _matching(call, POD, call.target.namespace)
    return _list("PodMetrics", [_pod(call, pod, used) for pod, used in call.backend.usage.measured(pods)])


VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {
    (GROUP, VERSION, "nodes"): Virtual(NODE_METRICS, {"get": get_node, "list": list_nodes}),
    (GROUP, VERSION, "pods"): Virtual(POD_METRICS, {"get": get_pod, "list": list_pods}),
}
"""What this API adds to the server's."""


def _matching(call: Call, kind: Kind, namespace: str) -> list[Object]:
    wanted = predicate(kind, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
    objects = call.backend.context.store.list(kind, namespace)
    return [obj for obj in objects if wanted is None or wanted(obj)]


def _node(call: Call, node: Object, used: Used) -> Object:
    return {**_measured(call, node), "usage": _quantities(used)}


def _pod(call: Call, pod: Object, used: Mapping[str, Used]) -> Object:
    containers = [{"name": name, "usage": _quantities(each)} for name, each in used.items()]
    return {**_measured(call, pod), "containers": containers}


def _measured(call: Call, obj: Object) -> Object:
    meta, now = obj["metadata"], call.backend.context.clock.timestamp()
    described: Object = {"name": meta["name"]}
    if "namespace" in meta:
        described["namespace"] = meta["namespace"]
    described["creationTimestamp"] = now
    if labels_of(obj):
        described["labels"] = labels_of(obj)
    return {"metadata": described, "timestamp": now, "window": WINDOW}


def _quantities(used: Used) -> Object:
    return {"cpu": f"{used.nanocores}n", "memory": f"{used.memory_bytes // 1024}Ki"}


def _typed(kind: str, obj: Object) -> Object:
    return {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", **obj}


def _list(kind: str, items: list[Object]) -> Response:
    return Response(200, {**_typed(f"{kind}List", {"metadata": {}}), "items": items})


def _not_found(resource: str, name: str) -> StatusError:
    details = {"name": name, "group": GROUP, "kind": resource}
    return StatusError(404, "NotFound", f'{resource}.{GROUP} "{name}" not found', details)
