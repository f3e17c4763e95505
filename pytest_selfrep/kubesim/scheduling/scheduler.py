"""The scheduler: finds a node for each pod, or says why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import (
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    STORAGE_CLASS,
    Kind,
)
from pytest_selfrep.kubesim.nodes.podstatus import Condition, with_conditions
from pytest_selfrep.kubesim.objects import Key, Object, condition, is_terminating, key_of
from pytest_selfrep.kubesim.scheduling.filters import (
    NO_COMPANY,
    Candidate,
    Refusal,
    explain,
    explain_nowhere,
    refusal,
)
from pytest_selfrep.kubesim.scheduling.nodeselection import preference
from pytest_selfrep.kubesim.scheduling.occupancy import (
    Occupancy,
    amounts,
    is_finished,
    requests_of,
    weight_of,
)
from pytest_selfrep.kubesim.storage import scheduling
from pytest_selfrep.kubesim.storage.claims import names_in
from pytest_selfrep.kubesim.store import Change

SCHEDULER = "default-scheduler"
USER = "system:kube-scheduler"


class Scheduler:
    """Takes the fitting node with the best preference, then the least allocated, then the first by name.

    Pods that fit nowhere are tried again when room is freed or nodes change. There is no preemption.
    """

    name = SCHEDULER

    def __init__(self, context: Context, occupancy: Occupancy) -> None:
        self._context = context
        self._occupancy = occupancy
        self._unschedulable: dict[Key, str] = {}
        self._awaiting: dict[Key, None] = {}
        """Pods whose claims are being bound for the node that was found."""

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        storage = (PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS)
        return {POD: self._on_pod, NODE: self._on_node, **dict.fromkeys(storage, self._on_storage)}

    def _on_storage(self, _: Change) -> Iterable[Key]:
        return (*self._unschedulable, *self._awaiting)

    def _on_pod(self, change: Change) -> Iterable[Key]:
        pod, old = change.object, change.old
        if not pod["spec"].get("nodeName"):
            news = old is None or change.type == "DELETED" or old["spec"] != pod["spec"]
            return (key_of(pod),) if news else ()
        if not self._unschedulable:
            return ()
        if old is not None and not old["spec"].get("nodeName"):
            return [key for key, why in self._unschedulable.items() if NO_COMPANY in why]
        gone = change.type == "DELETED" or (is_finished(pod) and old is not None and not is_finished(old))
        return tuple(self._unschedulable) if gone else ()

    def _on_node(self, change: Change) -> Iterable[Key]:
        return tuple(self._unschedulable) if self._unschedulable and _may_matter(change) else ()

    def reconcile(self, key: Key) -> None:
        pod = self._context.store.get(POD, key)
        if (
            pod is None
            or pod["spec"].get("nodeName")
            or is_terminating(pod)
            or pod["spec"].get("schedulerName", SCHEDULER) != SCHEDULER
        ):
            self._unschedulable.pop(key, None)
            if self._awaiting:
                self._await_no_more(key)
        elif pod["spec"].get("schedulingGates"):
            self._refuse(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
        else:
            self._schedule(key, pod)

    def _schedule(self, key: Key, pod: Object) -> None:
        asked = requests_of(pod["spec"])
        names = tuple(names_in(pod))
        claims = scheduling.objects_of(self._context.store, pod, names) if names else ()
        if names:
            self._await_no_more(key)
            why = scheduling.trouble(self._context.store, pod, names)
            if why:
                self._give_up(key, pod, explain_nowhere(why, self._context.store.count(NODE)))
                return
        best: tuple[tuple[int, float], Object] | None = None
        refusals: list[Refusal] = []
        for node in self._context.store.list(NODE):
            candidate = Candidate(
                pod=pod,
                asked=asked,
                node=node,
                allocatable=amounts((node.get("status") or {}).get("allocatable")),
                taken=self._occupancy.on(node["metadata"]["name"]),
                store=self._context.store,
                anti_affinity=self._occupancy.has_guarded,
                claims=claims,
            )
            no = refusal(candidate)
            if no is not None:
                refusals.append(no)
                continue
            score = (preference(pod["spec"], node), _room_left(candidate))
            if best is None or score > best[0]:
                best = score, node
        if best is not None:
            self._unschedulable.pop(key, None)
            if not claims or scheduling.reserve(self._context, USER, claims, best[1]):
                self._bind(pod, best[1]["metadata"]["name"])
            else:
                self._awaiting[key] = None
                self._occupancy.assume(pod, best[1]["metadata"]["name"])
            return
        self._give_up(key, pod, explain(refusals))

    def _await_no_more(self, key: Key) -> None:
        self._awaiting.pop(key, None)
        self._occupancy.forget(key)

    def _give_up(self, key: Key, pod: Object, message: str) -> None:
        if self._unschedulable.get(key) != message:
            self._unschedulable[key] = message
            self._refuse(pod, "Unschedulable", message)
            self._context.writer(USER).record(pod, "Warning", "FailedScheduling", message)

    def _bind(self, pod: Object, node: str) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        bind(self._context, pod, node)
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self._context.writer(USER).record(pod, "Normal", "Scheduled", message)

    def _refuse(self, pod: Object, reason: str, message: str) -> None:
        before = condition(pod, "PodScheduled")
        if before is not None and (before["reason"], before["message"]) == (reason, message):
            return
        refused = Condition("PodScheduled", "False", reason, message)
        status = with_conditions(pod["status"], (refused,), self._context.clock.timestamp())
        self._context.writer(USER).update_status(POD, {**pod, "status": status})


def bind(context: Context, pod: Object, node: str) -> Object:
    """Set the pod's node, as POST of ``pods/<name>/binding`` does: the one write that may set it."""
    status = with_conditions(pod["status"], (Condition("PodScheduled", "True"),), context.clock.timestamp())
    bound = {
        **pod,
        "metadata": dict(pod["metadata"]),
        "spec": {**pod["spec"], "nodeName": node},
        "status": status,
    }
    return context.store.put(POD, bound)


def _may_matter(change: Change) -> bool:
    """Whether a node's change can make room for a pod that found none."""
    new, old = change.object, change.old
    if old is None or change.type == "DELETED":
        return True
    return (
        new.get("spec") != old.get("spec")
        or new["metadata"].get("labels") != old["metadata"].get("labels")
        or (new.get("status") or {}).get("allocatable") != (old.get("status") or {}).get("allocatable")
    )


def _room_left(candidate: Candidate) -> float:
    """The share of CPU and memory that stays free with the pod there, in [0, 1] (LeastAllocated)."""
    weight = weight_of(candidate.asked)
    shares = 0.0
    for name, more in weight.items():
        room = candidate.allocatable.get(name, 0)
        if room:
            shares += max(0.0, (room - candidate.taken.weight[name] - more) / room)
    return shares / len(weight)
