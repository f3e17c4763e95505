"""Watches over nodes: taints that follow their conditions, pods of nodes that are gone, leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import NODE, POD, Kind
from pytest_selfrep.kubesim.objects import Key, Object, conditions_of, key_of
from pytest_selfrep.kubesim.scheduling.nodeselection import taints_of
from pytest_selfrep.kubesim.scheduling.occupancy import Occupancy
from pytest_selfrep.kubesim.store import Change

USER = "system:serviceaccount:kube-system:node-controller"
CONDITION_TAINTS: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("Ready", "False"): ("node.kubernetes.io/not-ready", ("NoSchedule", "NoExecute")),
    ("Ready", "Unknown"): ("node.kubernetes.io/unreachable", ("NoSchedule", "NoExecute")),
    ("MemoryPressure", "True"): ("node.kubernetes.io/memory-pressure", ("NoSchedule",)),
    ("DiskPressure", "True"): ("node.kubernetes.io/disk-pressure", ("NoSchedule",)),
    ("PIDPressure", "True"): ("node.kubernetes.io/pid-pressure", ("NoSchedule",)),
    ("NetworkUnavailable", "True"): ("node.kubernetes.io/network-unavailable", ("NoSchedule",)),
}
"""Condition and status of a node, to the key and effects of the taint that stands for it."""
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OWN_TAINTS = {key for key, _ in CONDITION_TAINTS.values()} | {UNSCHEDULABLE}
ORPHAN_SECONDS = 40.0
"""How long a pod may be bound to a node that does not exist."""


class NodeLifecycle:
    """The node lifecycle controller, and the garbage collector of orphaned pods."""

    name = "node-controller"

    def __init__(self, context: Context, occupancy: Occupancy) -> None:
        self._context = context
        self._occupancy = occupancy

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {NODE: _nodes, POD: self._orphans}

    def _orphans(self, change: Change) -> Iterable[Key]:
        """Pods that are bound to a node that does not exist."""
        node = change.object["spec"].get("nodeName")
        if not node or change.type == "DELETED":
            return ()
        bound_already = change.old is not None and change.old["spec"].get("nodeName")
        if bound_already or self._context.store.get(NODE, Key("", node)) is not None:
            return ()
        key = key_of(change.object)
        self._context.queue.add_after(self, key, ORPHAN_SECONDS)
        return ()

    def reconcile(self, key: Key) -> None:
        if key.namespace:
            self._remove_if_orphaned(key)
            return
        node = self._context.store.get(NODE, key)
        if node is not None:
            self._taint(node)
            return
        for pod in list(self._occupancy.on(key.name).pods):
            self._remove_if_orphaned(pod)

    def _remove_if_orphaned(self, key: Key) -> None:
        pod = self._context.store.get(POD, key)
        if pod is not None and self._context.store.get(NODE, Key("", pod["spec"]["nodeName"])) is None:
            self._context.writer(USER).delete(POD, key, grace_seconds=0)

    def _taint(self, node: Object) -> None:
        wanted = list(_wanted_taints(node))
        taints = taints_of(node)
        have = [(each["key"], each["effect"]) for each in taints if each["key"] in OWN_TAINTS]
        if sorted(have) == sorted(wanted):
            return
        kept = [each for each in taints if each["key"] not in OWN_TAINTS or _name(each) in wanted]
        now = self._context.clock.timestamp()
        added = [
            {"key": key, "effect": effect, "timeAdded": now}
            for key, effect in wanted
            if (key, effect) not in have
        ]
        spec = {key: value for key, value in (node.get("spec") or {}).items() if key != "taints"}
        if kept or added:
            spec["taints"] = [*kept, *added]
        meta = {**node["metadata"]}
        self._context.writer(USER).update(NODE, {**node, "metadata": meta, "spec": spec})


def _nodes(change: Change) -> Iterable[Key]:
    if change.type == "MODIFIED" and change.old is not None:
        before = list(_wanted_taints(change.old)), taints_of(change.old)
        if before == (list(_wanted_taints(change.object)), taints_of(change.object)):
            return ()
    return (key_of(change.object),)


def _name(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _wanted_taints(node: Object) -> Iterable[tuple[str, str]]:
    if (node.get("spec") or {}).get("unschedulable"):
        yield UNSCHEDULABLE, "NoSchedule"
    for condition in conditions_of(node):
        key, effects = CONDITION_TAINTS.get((condition["type"], condition["status"]), ("", ()))
        for effect in effects:
            yield key, effect
