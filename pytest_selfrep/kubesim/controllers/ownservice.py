"""The API server's own Service and its endpoints: having no pods, they are made by the API server itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.addresses import CONTROL_PLANE, CONTROL_PLANE_PORT
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import Backoff
from pytest_selfrep.kubesim.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, copy
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

USER = "system:apiserver"
AGAIN_SECONDS = 10.0
"""How often the API server looks whether they are still there."""
_PLACE = {"name": "kubernetes", "namespace": "default"}
_KEY = Key("default", "kubernetes")
_NAMED = {**_PLACE, "labels": {"kubernetes.io/service-name": "kubernetes"}}
_MIRRORED = {**_PLACE, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
_PORTS = [{"name": "https", "port": CONTROL_PLANE_PORT, "protocol": "TCP"}]
_SERVICE: Object = {
    "metadata": {**_PLACE, "labels": {"component": "apiserver", "provider": "kubernetes"}},
    "spec": {
        "clusterIP": "10.96.0.1",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": CONTROL_PLANE_PORT}],
    },
}
OBJECTS: Mapping[Kind, Object] = {
    SERVICE: _SERVICE,
    ENDPOINTS: {
        "metadata": _MIRRORED,
        "subsets": [{"addresses": [{"ip": CONTROL_PLANE}], "ports": _PORTS}],
    },
    ENDPOINT_SLICE: {
        "metadata": _NAMED,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [CONTROL_PLANE], "conditions": {"ready": True}}],
        "ports": _PORTS,
    },
}
"""What is there, all under one name in one namespace. For copies."""


class OwnServiceController:
    """Makes them anew some time after somebody has deleted them."""

    name = "kubernetes-service"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._writer = context.writer(USER)
        self._backoff = Backoff(context.queue)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return dict.fromkeys(OBJECTS, self._on_change)

    def _on_change(self, change: Change) -> Iterable[Key]:
        meta = change.object["metadata"]
        if change.type == "DELETED" and Key(meta["namespace"], meta["name"]) == _KEY:
            self._context.queue.add_after(self, _KEY, AGAIN_SECONDS)
        return ()

    def reconcile(self, key: Key) -> None:
        try:
            for kind, obj in OBJECTS.items():
                if self._context.store.get(kind, key) is None:
                    self._writer.create(kind, copy(obj))
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(self, key)
