"""ComponentStatuses: how the scheduler, the controllers and etcd are. They are computed."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver.calls import Call, Virtual
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.selectors import predicate
from pytest_selfrep.kubesim.status import internal

COMPONENT_STATUS = Kind(
    "", "v1", "ComponentStatus", "componentstatuses", "componentstatus", namespaced=False, short=("cs",)
)
_COMPONENTS = ("controller-manager", "scheduler", "etcd-0")
_DEPRECATED = "v1 ComponentStatus is deprecated in v1.19+"


def _get(call: Call) -> Response:
    call.warnings.add(_DEPRECATED)
    if call.target.name not in _COMPONENTS:
        raise internal(f"Component not found: {call.target.name}")
    return Response(200, {"kind": "ComponentStatus", "apiVersion": "v1", **_healthy(call.target.name)})


def _list(call: Call) -> Response:
    call.warnings.add(_DEPRECATED)
    query = call.query
    wanted = predicate(COMPONENT_STATUS, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    items = [each for each in map(_healthy, _COMPONENTS) if wanted is None or wanted(each)]
    return Response(200, {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items})


def _healthy(name: str) -> Object:
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    return {"metadata": {"name": name, "creationTimestamp": None}, "conditions": [condition]}


VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {
    ("", "v1", COMPONENT_STATUS.plural): Virtual(COMPONENT_STATUS, {"get": _get, "list": _list})
}
"""What this API adds to the server's."""
