"""Taint eviction: pods leave nodes with a NoExecute taint that they do not tolerate, or not for long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.clock import Timer
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import NODE, POD, Kind
from pytest_selfrep.kubesim.nodes.podstatus import Condition, with_conditions
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, key_of
from pytest_selfrep.kubesim.scheduling.nodeselection import taints_of, tolerates
from pytest_selfrep.kubesim.scheduling.occupancy import Occupancy
from pytest_selfrep.kubesim.store import Change

USER = "system:serviceaccount:kube-system:taint-eviction-controller"
MESSAGE = "Taint manager: deleting due to NoExecute taint"


class TaintEviction:
    """The taint eviction controller."""

    name = "taint-eviction-controller"

    def __init__(self, context: Context, occupancy: Occupancy) -> None:
        self._context = context
        self._occupancy = occupancy
        self._tainted: dict[str, list[Object]] = {}
        self._leaving: dict[Key, Timer] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {NODE: _nodes, POD: self._on_pod}

    def _on_pod(self, change: Change) -> Iterable[Key]:
        if change.object["spec"].get("nodeName") not in self._tainted:
            return ()
        old = change.old
        if old is not None and old["spec"] == change.object["spec"] and change.type == "MODIFIED":
            return ()
        return (key_of(change.object),)

    def reconcile(self, key: Key) -> None:
        if key.namespace:
            self._consider(key)
            return
        node = self._context.store.get(NODE, key)
        taints = [each for each in taints_of(node) if each["effect"] == "NoExecute"] if node else []
        if taints:
            self._tainted[key.name] = taints
        else:
            self._tainted.pop(key.name, None)
        for pod in list(self._occupancy.on(key.name).pods):
            self._consider(pod)

    def _consider(self, key: Key) -> None:
        pod = self._context.store.get(POD, key)
        timer = self._leaving.pop(key, None)
        if timer is not None:
            timer.cancel()
        if pod is None or is_terminating(pod):
            return
        delay = _time_left(pod, self._tainted.get(pod["spec"]["nodeName"], ()))
        if delay is None:
            return
        uid = pod["metadata"]["uid"]
        if delay > 0:
            self._leaving[key] = self._context.clock.after(delay, lambda: self._evict(key, uid))
        else:
            self._evict(key, uid)

    def _evict(self, key: Key, uid: str) -> None:
        self._leaving.pop(key, None)
        pod = self._context.store.get(POD, key)
        if pod is None or pod["metadata"]["uid"] != uid:
            return
        writer = self._context.writer(USER)
        writer.record(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        target = Condition("DisruptionTarget", "True", "DeletionByTaintManager", MESSAGE)
        status = with_conditions(pod["status"], (target,), self._context.clock.timestamp())
        writer.update_status(POD, {**pod, "status": status})
        writer.delete(POD, key)


def _time_left(pod: Object, taints: Iterable[Object]) -> float | None:
    """Seconds for which a pod may stay under given taints; None for ever."""
    shortest: float | None = None
    for taint in taints:
        tolerations = [each for each in pod["spec"].get("tolerations") or () if tolerates(each, taint)]
        if not tolerations:
            return 0.0
        for each in tolerations:
            seconds = each.get("tolerationSeconds")
            if seconds is not None:
                shortest = max(0.0, float(seconds)) if shortest is None else min(shortest, max(0.0, seconds))
    return shortest


def _nodes(change: Change) -> Iterable[Key]:
    if change.type == "ADDED" and not taints_of(change.object):
        return ()
    if change.old is not None and taints_of(change.old) == taints_of(change.object):
        return ()
    return (key_of(change.object),)
