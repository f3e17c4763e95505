"""What every cluster has from its first second on."""

from __future__ import annotations

from pytest_selfrep.kubesim.kinds import NAMESPACE
from pytest_selfrep.kubesim.registry import Registry

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_USER = "system:apiserver"


def bootstrap(registry: Registry) -> None:
    """Create the namespaces, roles and bindings that a cluster starts with."""
    for name in _NAMESPACES:
        registry.create(NAMESPACE, {"metadata": {"name": name}}, _USER)
