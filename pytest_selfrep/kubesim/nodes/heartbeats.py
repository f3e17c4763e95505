"""Signs of life of nodes: their leases and the heartbeats of their conditions.

Kubelets renew them every few seconds. Here that happens at the end of each stretch of time that passes,
however long: whoever looks finds them fresh, and nothing has to happen while nobody does.
"""

from __future__ import annotations

from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import LEASE, NAMESPACE, NODE
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Key, Object, conditions_of
from pytest_selfrep.kubesim.store import Change, Store

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
_KUBELET = Author("kubelet")
_KUBELET_STATUS = Author("kubelet", "status")
STATUS_SECONDS = 300.0
"""How often a node's status is written although nothing in it has changed."""


class Heartbeats:
    """Keeps a Lease for each node."""

    def __init__(self, store: Store, clock: Clock, names: Names) -> None:
        self._store = store
        self._clock = clock
        self._names = names
        self._nodes: dict[str, tuple[float, float]] = {}
        """By node: when its lease and when its status were last written."""
        store.listen(self._on_change, (NODE,))

    def beat(self) -> None:
        """Write what is due by now."""
        now = self._clock.now
        for name, (renewed, reported) in self._nodes.items():
            if now - renewed >= RENEW_SECONDS:
                self._renew(name)
                renewed = now
            if now - reported >= STATUS_SECONDS:
                self._report(name)
                reported = now
            self._nodes[name] = renewed, reported

    def _on_change(self, change: Change) -> None:
        name = change.object["metadata"]["name"]
        if change.type == "DELETED":
            del self._nodes[name]
        elif name not in self._nodes:
            # Long ago, so that the lease is made at the next beat.
            self._nodes[name] = -RENEW_SECONDS, self._clock.now

    def _renew(self, name: str) -> None:
        lease = self._store.get(LEASE, Key(LEASE_NAMESPACE, name)) or self._lease(name)
        if lease is None:
            return
        spec = {**lease["spec"], "renewTime": self._clock.micro_timestamp()}
        self._store.put(LEASE, {**lease, "metadata": {**lease["metadata"]}, "spec": spec}, _KUBELET)

    def _lease(self, name: str) -> Object | None:
        """A new Lease; None if there is no namespace for it."""
        node = self._store.get(NODE, Key("", name))
        if node is None or self._store.get(NAMESPACE, Key("", LEASE_NAMESPACE)) is None:
            return None
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        return {
            "kind": "Lease",
            "apiVersion": LEASE.api_version,
            "metadata": {
                "name": name,
                "namespace": LEASE_NAMESPACE,
                "uid": self._names.uid(),
                "creationTimestamp": node["metadata"]["creationTimestamp"],
                "ownerReferences": [owner],
            },
            "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS},
        }

    def _report(self, name: str) -> None:
        node = self._store.get(NODE, Key("", name))
        if node is None:
            return
        now = self._clock.timestamp()
        conditions = [
            # Unknown is what others say of a node that has fallen silent.
            each if each["status"] == "Unknown" else {**each, "lastHeartbeatTime": now}
            for each in conditions_of(node)
        ]
        status = {**(node.get("status") or {}), "conditions": conditions}
        self._store.put(NODE, {**node, "metadata": {**node["metadata"]}, "status": status}, _KUBELET_STATUS)
