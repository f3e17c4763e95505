"""How much CPU and memory pods and nodes use, as kubelets measure it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Object, is_ready, is_terminating, labels_of
from pytest_selfrep.kubesim.selectors import parse_labels
from pytest_selfrep.kubesim.store import Store

WINDOW_SECONDS = 15.0
"""How long a container must have run to have been measured."""
IDLE_NANOCORES = (800_000, 3_000_000)
IDLE_BYTES = (9 * 1024**2, 31 * 1024**2)
SYSTEM_NANOCORES = (60_000_000, 140_000_000)
"""What a node uses for itself: kubelet, container runtime, operating system."""
SYSTEM_BYTES = (520 * 1024**2, 890 * 1024**2)
BYTES_PER_CORE = 48 * 1024**2
"""Memory that a container needs on top of its idle use per core of CPU that it uses."""
NANO = 10**9


@dataclass(frozen=True, slots=True)
class Used:
    """What a container or node uses."""

    nanocores: int
    memory_bytes: int


class Usage:
    """What pods use: load laid upon them by the embedder, and a little of their own when idle."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loads: dict[tuple[str, str], float] = {}

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        """Let the Ready pods that a label selector matches share ``cores`` from now on; 0 ends it.

        Loads with different selectors add up. A container never uses more than its CPU limit.
        Raises StatusError 400 for a malformed selector and ValueError for less than nothing.
        """
        if not 0 <= cores < float("inf"):
            raise ValueError(f"a load of {cores} cores: it must be a finite number, at least 0")
        parse_labels(selector)
        if cores:
            self._loads[namespace, selector] = cores
        else:
            self._loads.pop((namespace, selector), None)

    def shares(self) -> Mapping[str, float]:
        """By uid of the pods under load, the cores that fall to each."""
        shares: dict[str, float] = {}
        for (namespace, selector), cores in self._loads.items():
            wanted = parse_labels(selector)
            serving = [
                pod["metadata"]["uid"]
                for pod in self._store.list(POD, namespace)
                if wanted.matches(labels_of(pod)) and is_ready(pod) and not is_terminating(pod)
            ]
            for uid in serving:
                shares[uid] = shares.get(uid, 0.0) + cores / len(serving)
        return shares

    def of_pod(self, pod: Object, shares: Mapping[str, float]) -> dict[str, Used] | None:
        """By container what a pod uses; None if it has not run long enough to have been measured.

        The load on a pod (see :meth:`shares`) is carried by its first container.
        """
        uid = pod["metadata"]["uid"]
        load = shares.get(uid, 0.0)
        used: dict[str, Used] = {}
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        specs = {container["name"]: container for container in pod["spec"]["containers"]}
        for status in statuses:
            running = status["state"].get("running")
            if running is None:
                continue
            if self._clock.now - self._clock.seconds_at(running["startedAt"]) < WINDOW_SECONDS:
                return None
            used[status["name"]] = _container(uid, specs[status["name"]], load)
            load = 0.0
        return used or None

    def of_nodes(self, names: Iterable[str]) -> dict[str, Used]:
        """What nodes use, all of their pods included."""
        total = {
            name: Used(_between(name, "cpu", SYSTEM_NANOCORES), _between(name, "memory", SYSTEM_BYTES))
            for name in names
        }
        for pod, used in self.measured(self._store.list(POD)):
            node = pod["spec"]["nodeName"]
            for each in used.values() if node in total else ():
                before = total[node]
                total[node] = Used(before.nanocores + each.nanocores, before.memory_bytes + each.memory_bytes)
        return total

    def measured(self, pods: Iterable[Object]) -> Iterator[tuple[Object, dict[str, Used]]]:
        """The pods among ``pods`` that have been measured, with what their containers use."""
        shares = self.shares()
        for pod in pods:
            used = self.of_pod(pod, shares)
            if used is not None:
                yield pod, used


def _container(uid: str, container: Object, cores: float) -> Used:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    nanocores = _between(uid, container["name"] + " cpu", IDLE_NANOCORES) + round(cores * NANO)
    if "cpu" in limits:
        nanocores = min(nanocores, quantity.milli(limits["cpu"]) * 1_000_000)
    memory = _between(uid, container["name"] + " memory", IDLE_BYTES)
    if "memory" in requests:
        asked = quantity.whole(requests["memory"])
        memory = _between(uid, container["name"] + " memory", (asked * 3 // 10, asked * 45 // 100))
    memory += nanocores * BYTES_PER_CORE // NANO
    if "memory" in limits:
        memory = min(memory, quantity.whole(limits["memory"]) * 95 // 100)
    return Used(nanocores, memory)


def _between(who: str, what: str, bounds: tuple[int, int]) -> int:
    """A number within bounds that belongs to one thing for good."""
    low, high = bounds
    return low + zlib.crc32(f"{who} {what}".encode()) % max(1, high - low)
