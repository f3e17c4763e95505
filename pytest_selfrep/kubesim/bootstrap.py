"""What every cluster has from its first second on."""

from __future__ import annotations

from pytest_selfrep.kubesim.clusterroles import initial_objects
from pytest_selfrep.kubesim.kinds import NAMESPACE, SERVICE
from pytest_selfrep.kubesim.registry import Registry

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_USER = "system:apiserver"


def bootstrap(registry: Registry) -> None:
    """Create the namespaces, roles, bindings and the API server's own Service."""
    for name in _NAMESPACES:
        registry.install(NAMESPACE, {"metadata": {"name": name}})
    for kind, obj in initial_objects():
        registry.install(kind, obj)
    service = {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }
    registry.create(SERVICE, service, _USER)
