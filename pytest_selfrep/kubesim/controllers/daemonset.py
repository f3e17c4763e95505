"""DaemonSets: one pod on every node that suits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    FINISHED,
    Backoff,
    available_in,
    controlled_by,
    create_pod,
    is_active,
    itself_but_for_status,
    nonzero,
    phase_of,
    pod_from,
    resolve,
    with_status,
)
from pytest_selfrep.kubesim.controllers.revisions import HASH_LABEL, Revisions, hash_of
from pytest_selfrep.kubesim.controllers.templategeneration import template_generation
from pytest_selfrep.kubesim.kinds import DAEMON_SET, NODE, POD, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_ready, is_terminating, key_of, labels_of
from pytest_selfrep.kubesim.scheduling.nodeselection import selects, untolerated
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

# Troubles of a node that its daemons are there to live through.
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NODE_NAME = "metadata.name"

OnNode = Mapping[str, list[Object]]
"""A DaemonSet's pods by the node they are meant for."""


class DaemonSetController:
    """Pods are bound by the scheduler; an affinity to one node says where."""

    name = "daemon-set-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._revisions = Revisions(context, self._writer)
        self._backoff = Backoff(context.queue)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            DAEMON_SET: itself_but_for_status,
            POD: controlled_by(DAEMON_SET),
            NODE: self._on_node,
        }

    def _on_node(self, change: Change) -> Iterable[Key]:
        old, new = change.old, change.object
        if (
            old is not None
            and change.type == "MODIFIED"
            and old.get("spec") == new.get("spec")
            and labels_of(old) == labels_of(new)
        ):
            return ()
        return tuple(key_of(each) for each in self._context.store.list(DAEMON_SET))

    def reconcile(self, key: Key) -> None:
        daemon_set = self._context.store.get(DAEMON_SET, key)
        if daemon_set is None:
            self._backoff.forget(key)
            return
        if is_terminating(daemon_set):
            return
        try:
            revision = self._revisions.current(daemon_set)
            self._manage(daemon_set, hash_of(revision))
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(self, key)
        self._report(key)

    def _on_nodes(self, daemon_set: Object) -> dict[str, list[Object]]:
        owned = self._context.store.owned_by(daemon_set["metadata"]["uid"])
        found: dict[str, list[Object]] = {}
        for kind, pod in owned:
            if kind is POD:
                found.setdefault(_target(pod), []).append(pod)
        return found

    def _suited(self, daemon_set: Object) -> list[str]:
        """Names of the nodes where a pod should run."""
        template = daemon_set["spec"]["template"]["spec"]
        spec = {**template, "tolerations": _tolerations(template)}
        return [
            node["metadata"]["name"]
            for node in self._context.store.list(NODE)
            if selects(spec, node) and not any(untolerated(spec, node, ("NoSchedule", "NoExecute")))
        ]

    def _manage(self, daemon_set: Object, digest: str) -> None:
        suited, pods = self._suited(daemon_set), self._on_nodes(daemon_set)
        for node, found in pods.items():
            self._clear(daemon_set, node, found, wanted=node in suited)
        pods = self._on_nodes(daemon_set)
        for node in suited:
            if not pods.get(node):
                self._create(daemon_set, node, digest)
        if daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            self._roll(daemon_set, suited, digest)

    def _clear(self, daemon_set: Object, node: str, found: Sequence[Object], *, wanted: bool) -> None:
        """Delete failed pods, and all where none is wanted."""
        for pod in found:
            if is_terminating(pod):
                continue
            if phase_of(pod) in FINISHED:
                meta = pod["metadata"]
                which = f"daemon pod {meta['namespace']}/{meta['name']} on node {node}"
                if phase_of(pod) == "Failed":
                    message = f"Found failed {which}, will try to kill it"
                    self._writer.record(daemon_set, "Warning", "FailedDaemonPod", message)
                else:
                    message = f"Found succeeded {which}, will try to delete it"
                    self._writer.record(daemon_set, "Normal", "SucceededDaemonPod", message)
                self._delete(daemon_set, pod)
            elif not wanted:
                self._delete(daemon_set, pod)

    def _roll(self, daemon_set: Object, suited: Sequence[str], digest: str) -> None:
        """Replace outdated pods: ``maxUnavailable`` at a time, or after ``maxSurge`` new ones are up."""
        spec, pods = daemon_set["spec"], self._on_nodes(daemon_set)
        rolling = spec["updateStrategy"].get("rollingUpdate") or {}
        surge = resolve(rolling.get("maxSurge", 0), len(suited), round_up=True)
        away = resolve(rolling.get("maxUnavailable", 1), len(suited), round_up=True)
        least = spec.get("minReadySeconds", 0)
        for node in suited:
            found = [pod for pod in pods.get(node, ()) if not is_terminating(pod)]
            new = [pod for pod in found if labels_of(pod).get(HASH_LABEL) == digest]
            old = [pod for pod in found if pod not in new]
            up = any(available_in(pod, least, self._context.clock) == 0 for pod in new)
            if not found or (new and not old):
                away -= 0 if up else 1
                continue
            if new:
                surge -= 1
                if up:
                    self._delete(daemon_set, old[0])
            elif not is_ready(old[0]):
                away -= 1
                self._delete(daemon_set, old[0])
        for node in suited:
            found = pods.get(node, [])
            if len(found) != 1 or is_terminating(found[0]) or not is_ready(found[0]):
                continue
            if labels_of(found[0]).get(HASH_LABEL) == digest:
                continue
            if surge > 0:
                surge -= 1
                self._create(daemon_set, node, digest)
            elif away > 0 and not rolling.get("maxSurge"):
                away -= 1
                self._delete(daemon_set, found[0])

    def _create(self, daemon_set: Object, node: str, digest: str) -> None:
        pod = pod_from(daemon_set["spec"]["template"], daemon_set)
        meta, spec = pod["metadata"], pod["spec"]
        meta["generateName"] = f"{daemon_set['metadata']['name']}-"
        generation = str(template_generation(daemon_set) or 1)
        own = {HASH_LABEL: digest, "pod-template-generation": generation}
        meta["labels"] = {**(meta.get("labels") or {}), **own}
        spec["tolerations"] = _tolerations(spec)
        term = {"matchFields": [{"key": _NODE_NAME, "operator": "In", "values": [node]}]}
        affinity = spec.get("affinity") or {}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        # The set's own node affinity has been met by the choice of the node.
        spec["affinity"] = {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), **required}}
        create_pod(self._writer, daemon_set, pod)

    def _delete(self, daemon_set: Object, pod: Object) -> None:
        self._writer.delete(POD, key_of(pod))
        name = pod["metadata"]["name"]
        self._writer.record(daemon_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def _report(self, key: Key) -> None:
        daemon_set = self._context.store.get(DAEMON_SET, key)
        if daemon_set is None:
            return
        spec, clock = daemon_set["spec"], self._context.clock
        suited, pods = self._suited(daemon_set), self._on_nodes(daemon_set)
        revisions = self._revisions.of(daemon_set)
        digest = hash_of(revisions[-1]) if revisions else ""
        running = {node: [pod for pod in found if is_active(pod)] for node, found in pods.items()}
        there = [running[node] for node in suited if running.get(node)]
        due = [available_in(pod, spec.get("minReadySeconds", 0), clock) for found in there for pod in found]
        available = sum(
            1
            for found in there
            if any(available_in(pod, spec.get("minReadySeconds", 0), clock) == 0 for pod in found)
        )
        status = {
            "currentNumberScheduled": len(there),
            "numberMisscheduled": sum(1 for node, found in running.items() if found and node not in suited),
            "desiredNumberScheduled": len(suited),
            "numberReady": sum(1 for found in there if any(is_ready(pod) for pod in found)),
            **nonzero(
                observedGeneration=daemon_set["metadata"].get("generation", 1),
                updatedNumberScheduled=sum(
                    1 for found in there if any(labels_of(pod).get(HASH_LABEL) == digest for pod in found)
                ),
                numberAvailable=available,
                numberUnavailable=len(suited) - available,
            ),
        }
        if status != daemon_set.get("status"):
            self._writer.update_status(DAEMON_SET, with_status(daemon_set, status))
        self._revisions.trim(daemon_set, _hashes(pods, digest))
        waiting = [left for left in due if left]
        if waiting:
            self._context.queue.add_after(self, key, min(waiting))


def _hashes(pods: OnNode, newest: str) -> list[str]:
    """The revisions that are in use."""
    return [newest, *(labels_of(pod).get(HASH_LABEL, "") for found in pods.values() for pod in found)]


def _tolerations(spec: Object) -> list[Object]:
    present = list(spec.get("tolerations") or ())
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    return [*present, *(each for each in added if each not in present)]


def _target(pod: Object) -> str:
    """The node that a pod is on or meant for."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            if each["key"] == _NODE_NAME:
                return str(each["values"][0])
    return ""
