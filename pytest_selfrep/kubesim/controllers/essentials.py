"""What every namespace has: the service account ``default``, and the cluster's CA bundle in a ConfigMap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import Backoff
from pytest_selfrep.kubesim.controllers.rootca import BUNDLE
from pytest_selfrep.kubesim.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

_CA_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such "
    "as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions "
    "of Kubernetes clusters."
)


# Controller to the kind and the rest of what it puts into each namespace.
ESSENTIALS: Mapping[str, tuple[Kind, Object]] = {
    "service-account-controller": (SERVICE_ACCOUNT, {"metadata": {"name": "default"}}),
    "root-ca-cert-publisher": (
        CONFIG_MAP,
        {
            "metadata": {
                "name": "kube-root-ca.crt",
                "annotations": {"kubernetes.io/description": _CA_DESCRIPTION},
            },
            "data": {"ca.crt": BUNDLE},
        },
    ),
}


class EssentialController:
    """Creates one object in each namespace, and puts it right when it is changed or deleted.

    Its keys are namespaces.
    """

    def __init__(self, context: Context, user: str, name: str) -> None:
        """``name`` is one of :data:`ESSENTIALS`."""
        self.name = name
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)
        self._kind, self._contents = ESSENTIALS[name]
        self._object_name: str = self._contents["metadata"]["name"]

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {NAMESPACE: self._on_namespace, self._kind: self._on_object}

    @staticmethod
    def _on_namespace(change: Change) -> Iterable[Key]:
        return (Key("", change.object["metadata"]["name"]),) if change.type == "ADDED" else ()

    def _on_object(self, change: Change) -> Iterable[Key]:
        meta = change.object["metadata"]
        if meta["name"] != self._object_name or change.type == "ADDED":
            return ()
        return (Key("", meta["namespace"]),)

    def reconcile(self, key: Key) -> None:
        namespace = self._context.store.get(NAMESPACE, key)
        if namespace is None or is_terminating(namespace):
            return
        found = self._context.store.get(self._kind, Key(key.name, self._object_name))
        try:
            if found is None:
                meta = {**self._contents["metadata"], "namespace": key.name}
                self._writer.create(self._kind, {**self._contents, "metadata": meta})
            elif found.get("data") != self._contents.get("data"):
                data = self._contents["data"]
                self._writer.update(self._kind, {**found, "metadata": {**found["metadata"]}, "data": data})
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(self, key)
