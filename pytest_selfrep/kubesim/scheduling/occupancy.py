"""What pods ask of nodes, and how much of each node is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Key, Object, key_of
from pytest_selfrep.kubesim.scheduling import podresources
from pytest_selfrep.kubesim.store import Change, Store

Amounts = dict[str, int]
"""By resource: CPU in millicores, everything else in units (bytes, devices, pods)."""

FINISHED = ("Succeeded", "Failed")
LEAST: Amounts = {"cpu": 100, "memory": 200 * 1024**2}
"""What a pod that asks for nothing counts for when nodes are compared (scheduler/util, non-zero requests)."""


def amounts(quantities: Mapping[str, str] | None) -> Amounts:
    """A map of quantities in whole numbers."""
    return {
        name: quantity.milli(text) if name == "cpu" else quantity.whole(text)
        for name, text in (quantities or {}).items()
    }


def requests_of(spec: Object) -> Amounts:
    """What a pod asks of its node."""
    return amounts(podresources.of_pod(spec, "requests"))


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def weight_of(asked: Amounts) -> Amounts:
    return {name: asked.get(name, 0) or least for name, least in LEAST.items()}


def is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in FINISHED


@dataclass(slots=True)
class Taken:
    """What pods have taken of one node."""

    amounts: Amounts = field(default_factory=dict)
    pods: dict[Key, Amounts] = field(default_factory=dict)
    """By pod, in the order in which they came."""
    weight: Amounts = field(default_factory=lambda: dict.fromkeys(LEAST, 0))
    """CPU and memory with :data:`LEAST` for pods that ask for none."""


class Occupancy:
    """Keeps count of the pods on each node: all that are bound to it and have not finished."""

    def __init__(self, store: Store) -> None:
        self._nodes: dict[str, Taken] = {}
        self._homes: dict[Key, str] = {}
        self._assumed: dict[Key, str] = {}
        self._guarded: set[Key] = set()
        store.listen(self._on_change, (POD,))

    @property
    def has_guarded(self) -> bool:
        """Whether any pod keeps others away by anti-affinity."""
        return bool(self._guarded)

    def on(self, node: str) -> Taken:
        """What is taken of a node; for reading."""
        found = self._nodes.get(node)
        if found is None:
            found = self._nodes[node] = Taken()
        return found

    def excess(self, node: str, allocatable: Amounts) -> Iterable[str]:
        """The resources of which more is taken than there is."""
        taken = self.on(node)
        if len(taken.pods) > allocatable.get("pods", 0):
            yield "pods"
        for name, amount in taken.amounts.items():
            if amount > allocatable.get(name, 0):
                yield name

    def assume(self, pod: Object, node: str) -> None:
        """Keep room for a pod that is to go to a node but is not bound to it yet."""
        key = key_of(pod)
        if key not in self._homes:
            self._take(key, node, requests_of(pod["spec"]))
            self._assumed[key] = node

    def forget(self, key: Key) -> None:
        """A pod for which room is kept goes elsewhere, or nowhere."""
        if self._assumed.pop(key, None) is not None:
            self._release(key)

    def _on_change(self, change: Change) -> None:
        pod = change.object
        node = pod["spec"].get("nodeName")
        if not node:
            return
        key = key_of(pod)
        if self._assumed:
            self.forget(key)
        held = key in self._homes
        if change.type == "DELETED" or is_finished(pod):
            if held:
                self._release(key)
        elif not held:
            self._take(key, node, requests_of(pod["spec"]))
            if (pod["spec"].get("affinity") or {}).get("podAntiAffinity"):
                self._guarded.add(key)

    def _take(self, key: Key, node: str, asked: Amounts) -> None:
        taken = self.on(node)
        self._homes[key] = node
        taken.pods[key] = asked
        _add(taken.amounts, asked)
        _add(taken.weight, weight_of(asked))

    def _release(self, key: Key) -> None:
        self._guarded.discard(key)
        taken = self._nodes[self._homes.pop(key)]
        asked = taken.pods.pop(key)
        for name, amount in asked.items():
            taken.amounts[name] -= amount
        for name, amount in weight_of(asked).items():
            taken.weight[name] -= amount
