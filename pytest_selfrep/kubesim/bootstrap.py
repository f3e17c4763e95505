"""What every cluster has from its first second on."""

from __future__ import annotations

from pytest_selfrep.kubesim.admission.priorityclasses import built_in
from pytest_selfrep.kubesim.auth.clusterroles import initial_roles
from pytest_selfrep.kubesim.controllers import ownservice
from pytest_selfrep.kubesim.kinds import NAMESPACE, PRIORITY_CLASS, STORAGE_CLASS
from pytest_selfrep.kubesim.objects import copy
from pytest_selfrep.kubesim.registry import SERVER, Registry
from pytest_selfrep.kubesim.storage.provisioner import CLASS as STANDARD
from pytest_selfrep.kubesim.store import Store

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def bootstrap(registry: Registry, store: Store, created: str) -> None:
    """Create the namespaces, roles, bindings and the API server's own Service.

    ``created`` is the time that it is.
    """
    for name in _NAMESPACES:
        registry.install(NAMESPACE, {"metadata": {"name": name}})
    store.take(initial_roles(created, store.revision, SERVER))
    for priority_class in built_in():
        registry.install(PRIORITY_CLASS, priority_class)
    for kind, obj in ownservice.OBJECTS.items():
        registry.create(kind, copy(obj), ownservice.USER, author=SERVER)
    registry.install(STORAGE_CLASS, STANDARD)
