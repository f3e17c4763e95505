"""The kubelets: take in the pods bound to their nodes, and evict those that no longer fit."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from pytest_selfrep.kubesim.containers.runtime import Runtime
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import CONFIG_MAP, NODE, PERSISTENT_VOLUME_CLAIM, POD, SECRET, Kind
from pytest_selfrep.kubesim.nodes.podhost import Host
from pytest_selfrep.kubesim.nodes.podstatus import Condition, gates
from pytest_selfrep.kubesim.nodes.podworker import PodWorker
from pytest_selfrep.kubesim.objects import Key, Object, condition, is_terminating, key_of
from pytest_selfrep.kubesim.scheduling.occupancy import Amounts, Occupancy, amounts, is_finished
from pytest_selfrep.kubesim.store import Change

POD_CIDR = "10.244.{}.0/24"
"""For nodes that name none, or none that can be read."""
SYSTEM_CRITICAL = 2_000_000_000
"""Pods of this priority or above are never evicted."""


class Addresses:
    """Pod addresses of one node, handed out in turn as the host-local plugin does."""

    def __init__(self, cidr: str) -> None:
        network = ipaddress.ip_network(cidr)
        self._first = network.network_address + 2
        self._count = network.num_addresses - 3
        self._taken: set[str] = set()
        self._next = 0

    def take(self) -> str:
        """Nothing if there is none left."""
        for _ in range(self._count):
            address = str(self._first + self._next)
            self._next = (self._next + 1) % self._count
            if address not in self._taken:
                self._taken.add(address)
                return address
        return ""

    def give_back(self, address: str) -> None:
        self._taken.discard(address)


class Kubelet:
    """The kubelets of all nodes."""

    name = "kubelet"

    def __init__(self, context: Context, occupancy: Occupancy, runtime: Runtime, work_seconds: float) -> None:
        self._context = context
        self._occupancy = occupancy
        self._runtime = runtime
        self._work_seconds = work_seconds
        self._hosts: dict[str, Host] = {}
        self._workers: dict[Key, tuple[str, PodWorker]] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            POD: _pods,
            NODE: _nodes,
            CONFIG_MAP: self._needed,
            SECRET: self._needed,
            PERSISTENT_VOLUME_CLAIM: self._needed,
        }

    def _needed(self, change: Change) -> Iterator[Key]:
        """Pods of the namespace that wait for a ConfigMap, a Secret or a claim."""
        if change.type == "DELETED":
            return
        namespace = change.object["metadata"]["namespace"]
        for key, (_, worker) in self._workers.items():
            if key.namespace == namespace and worker.is_blocked:
                yield key

    def reconcile(self, key: Key) -> None:
        if key.namespace:
            self._reconcile_pod(key)
        else:
            self._reconcile_node(key.name)

    def _reconcile_pod(self, key: Key) -> None:
        pod = self._context.store.get(POD, key)
        uid, worker = self._workers.get(key, ("", None))
        if worker is not None and (pod is None or pod["metadata"]["uid"] != uid or is_finished(pod)):
            worker.discard()
            del self._workers[key]
            worker = None
        if pod is None or not pod["spec"].get("nodeName"):
            return
        if is_terminating(pod):
            self._terminate(key, pod, worker)
        elif worker is not None:
            worker.sync(pod)
            worker.retry()
        elif not is_finished(pod):
            self._admit(key, pod)

    def _terminate(self, key: Key, pod: Object, worker: PodWorker | None) -> None:
        if worker is not None:
            worker.terminate(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        elif pod["metadata"].get("deletionGracePeriodSeconds"):
            # Nothing of it runs here (any more), so there is nothing to wait for.
            node = pod["spec"]["nodeName"]
            self._context.writer(f"system:node:{node}").delete(POD, key, grace_seconds=0)

    def _admit(self, key: Key, pod: Object) -> None:
        host = self._host(pod["spec"]["nodeName"])
        if host is None:
            return
        worker = PodWorker(host, pod)
        self._workers[key] = pod["metadata"]["uid"], worker
        refusal = self._refusal(key, pod)
        if refusal is None:
            worker.start()
            return
        resource, detail = refusal
        reason = "OutOf" + resource
        host.writer.record(pod, "Warning", reason, detail)
        worker.fail(reason, f"Pod was rejected: {detail}")

    def _refusal(self, key: Key, pod: Object) -> tuple[str, str] | None:
        """The first resource that a pod asks for in vain: it was bound without the scheduler."""
        if condition(pod, "PodScheduled") is not None:
            return None
        node = pod["spec"]["nodeName"]
        allocatable, taken = self._allocatable(node), self._occupancy.on(node)
        over = set(self._occupancy.excess(node, allocatable))
        for name, asked in {"pods": 1, **taken.pods.get(key, {})}.items():
            if name in over and asked:
                used = (len(taken.pods) if name == "pods" else taken.amounts[name]) - asked
                return name, (
                    f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, "
                    f"capacity: {allocatable.get(name, 0)}"
                )
        return None

    def _host(self, name: str) -> Host | None:
        node = self._context.store.get(NODE, Key("", name))
        if node is None or name in self._hosts:
            return self._hosts.get(name)
        addresses = Addresses(_pod_cidr(node) or POD_CIDR.format(len(self._hosts) % 256))
        host = Host(
            name=name,
            address=_internal_address(node),
            context=self._context,
            writer=self._context.writer(f"system:node:{name}"),
            images=set(),
            take_address=addresses.take,
            give_back=addresses.give_back,
            runtime=self._runtime,
            work_seconds=self._work_seconds,
        )
        self._hosts[name] = host
        return host

    def _allocatable(self, node: str) -> Amounts:
        found = self._context.store.get(NODE, Key("", node)) or {}
        return amounts((found.get("status") or {}).get("allocatable"))

    def _reconcile_node(self, name: str) -> None:
        if self._context.store.get(NODE, Key("", name)) is None:
            self._hosts.pop(name, None)
            for key in self._occupancy.on(name).pods:
                _, worker = self._workers.pop(key, ("", None))
                if worker is not None:
                    worker.discard()
            return
        for key in list(self._occupancy.on(name).pods):
            if key not in self._workers:
                self._reconcile_pod(key)
        self._relieve(name)

    def _relieve(self, name: str) -> None:
        """Evict pods, of low priority first and the youngest first, until the rest fit."""
        allocatable = self._allocatable(name)
        short = sorted(self._occupancy.excess(name, allocatable))
        for key in self._victims(name) if short else ():
            asked = self._occupancy.on(name).pods[key]
            resource = next((each for each in short if each == "pods" or asked.get(each)), None)
            if resource is None:
                continue
            self._evict(key, resource)
            short = sorted(self._occupancy.excess(name, allocatable))
            if not short:
                return

    def _victims(self, name: str) -> list[Key]:
        ranked: list[tuple[int, int, Key]] = []
        for place, key in enumerate(self._occupancy.on(name).pods):
            pod = self._context.store.get(POD, key)
            priority = 0 if pod is None else pod["spec"].get("priority") or 0
            if pod is not None and key in self._workers and priority < SYSTEM_CRITICAL:
                ranked.append((priority, -place, key))
        return [key for _, _, key in sorted(ranked)]

    def _evict(self, key: Key, resource: str) -> None:
        pod = self._context.store.get(POD, key)
        worker = self._workers[key][1]
        if pod is None:
            return
        message = f"The node was low on resource: {resource}. "
        writer = self._context.writer(f"system:node:{pod['spec']['nodeName']}")
        writer.record(pod, "Warning", "Evicted", message)
        worker.fail(
            "Evicted", message, Condition("DisruptionTarget", "True", "TerminationByKubelet", message)
        )


def _pods(change: Change) -> Iterable[Key]:
    pod, old = change.object, change.old
    if not pod["spec"].get("nodeName"):
        return ()
    if change.type == "MODIFIED" and old is not None and old["spec"].get("nodeName"):
        meta, before = pod["metadata"], old["metadata"]
        same = meta.get("deletionTimestamp") == before.get("deletionTimestamp")
        same = same and is_finished(pod) == is_finished(old) and gates(pod) == gates(old)
        if same and pod["spec"] == old["spec"]:
            return ()
    return (key_of(pod),)


def _nodes(change: Change) -> Iterable[Key]:
    if change.type == "MODIFIED" and change.old is not None:
        new, old = change.object.get("status") or {}, change.old.get("status") or {}
        if new.get("allocatable") == old.get("allocatable"):
            return ()
    return (key_of(change.object),)


def _pod_cidr(node: Object) -> str:
    cidr = str((node.get("spec") or {}).get("podCIDR") or "")
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        return ""
    return cidr


def _internal_address(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
