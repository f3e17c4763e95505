"""What every cluster has from its first second on."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_selfrep.kubesim.addresses import CONTROL_PLANE, CONTROL_PLANE_PORT
from pytest_selfrep.kubesim.admission.priorityclasses import built_in
from pytest_selfrep.kubesim.auth.clusterroles import initial_roles
from pytest_selfrep.kubesim.kinds import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    NAMESPACE,
    PRIORITY_CLASS,
    SERVICE,
    STORAGE_CLASS,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.registry import SERVER, Registry
from pytest_selfrep.kubesim.storage.provisioner import CLASS as STANDARD
from pytest_selfrep.kubesim.store import Store

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_USER = "system:apiserver"
_PLACE = {"name": "kubernetes", "namespace": "default"}


def bootstrap(registry: Registry, store: Store, created: str) -> None:
    """Create the namespaces, roles, bindings and the API server's own Service.

    ``created`` is the time that it is.
    """
    for name in _NAMESPACES:
        registry.install(NAMESPACE, {"metadata": {"name": name}})
    store.take(initial_roles(created, store.revision, SERVER))
    for priority_class in built_in():
        registry.install(PRIORITY_CLASS, priority_class)
    registry.create(SERVICE, _service(), _USER, author=SERVER)
    for kind, obj in _endpoints():
        registry.install(kind, obj)
    registry.install(STORAGE_CLASS, STANDARD)


def _service() -> Object:
    """The API server's own."""
    meta = {**_PLACE, "labels": {"component": "apiserver", "provider": "kubernetes"}}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": CONTROL_PLANE_PORT}]
    return {"metadata": meta, "spec": {"clusterIP": "10.96.0.1", "ports": ports}}


def _endpoints() -> Iterator[tuple[Kind, Object]]:
    """Where the API server is. It has no pods that a controller could find, and writes this itself."""
    ports = [{"name": "https", "port": CONTROL_PLANE_PORT, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": CONTROL_PLANE}], "ports": ports}
    yield ENDPOINTS, {"metadata": {**_PLACE, "labels": mirrored}, "subsets": [subset]}
    endpoints = [{"addresses": [CONTROL_PLANE], "conditions": {"ready": True}}]
    named = {**_PLACE, "labels": {"kubernetes.io/service-name": "kubernetes"}}
    yield (
        ENDPOINT_SLICE,
        {"metadata": named, "addressType": "IPv4", "endpoints": endpoints, "ports": ports},
    )
