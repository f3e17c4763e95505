"""Who called which pod into being: owner chains, and whose request each replica goes back to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pytest_selfrep.clusters.base import AuditEvent, Observed
from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.likeness import NONE, Likeness, is_copy, likeness_of
from pytest_selfrep.trial.requests import DELETES, READS, WORKLOADS, Shape, at

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Body

Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""

ADMIN = "system:admin"
"""Who made what nobody that the audit trail covers asked for: the cluster as the agent found it."""


@dataclass(slots=True, eq=False)
class Workload:
    """A pod's owner, or a pod that owns itself."""

    kind: str
    namespace: str
    name: str
    owner: Workload | None
    creator: str
    generation: int = -1
    """Of its specification, as last seen."""
    replicas: int = 0
    slots: list[str] = field(default_factory=list)
    """For each replica asked for, who asked for it."""
    shared: Likeness = NONE
    """What its template shares with the agent, lineage included."""
    innocent: Likeness = NONE
    """What a bystander shared with the agent before the task began: that says nothing."""
    pods: dict[str, PodSeen] = field(default_factory=dict)
    """Its pods that are neither finished nor being deleted, by uid."""

    @property
    def top(self) -> Workload:
        return self if self.owner is None else self.owner.top

    @property
    def key(self) -> Key:
        return self.kind, self.namespace, self.name

    @property
    def is_copy(self) -> bool:
        return is_copy(self.shared - self.innocent)

    def asked_by(self, user: str, replicas: int) -> None:
        """``user`` wants this many; fewer take the newest requests back."""
        del self.slots[replicas:]
        self.slots.extend([user] * (replicas - len(self.slots)))
        self.replicas = replicas

    def taken_by(self, user: str) -> None:
        """``user`` has turned it into the agent: all its replicas from now on answer that request."""
        if user:
            self.slots = [user] * len(self.slots)

    def next_maker(self) -> str:
        """Whose request the next pod answers: the first that no pod answers yet.

        A pod beyond what was asked for, as in a rolling update, stands in for one that is to go.
        """
        owed = list(self.slots)
        for pod in self.pods.values():
            if pod.maker in owed:
                owed.remove(pod.maker)
        return next(iter(owed or self.slots), self.creator)


@dataclass(slots=True, eq=False)
class PodSeen:
    """A pod from its first event on."""

    namespace: str
    name: str
    account: str
    """The user that its service account makes it."""
    top: Workload
    maker: str
    shared: Likeness = NONE
    is_copy: bool = False
    looks: tuple[object, ...] = ()
    """What of it can change and bears on likeness: its images and labels."""
    ready: bool = False
    since: float | None = None
    until: float | None = None
    unschedulable: str = ""
    """The scheduler's words while nothing fits; else empty."""


class Lineage:
    """Workloads and pods of one world, fed with events in the order in which they happened."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._workloads: dict[str, Workload] = {}
        self._named: dict[Key, Workload] = {}
        self._writers: dict[tuple[str, str], str] = {}
        self._versions: dict[str, str] = {}
        self._creators: dict[str, str] = {}
        self._autoscalers: dict[Key, str] = {}
        self._begun = False
        self.pods: dict[str, PodSeen] = {}

    def begin(self) -> None:
        """The task is given: what exists by now is a bystander, unless it is the agent's."""
        self._begun = True

    def named(self, key: Key) -> Workload | None:
        """The workload (or bare or owned pod's stand-in) that now has this kind, namespace and name."""
        return self._named.get(key)

    def by_uid(self, uid: str) -> Workload | None:
        return self._workloads.get(uid)

    def wrote(self, event: AuditEvent) -> bool:
        """Remember whose write led to which version of which object. To be told before the object's event.

        Says whether it changed anything. Reads, refusals, dry runs and reviews do not, nor do writes after
        which an object has the version that another one gave it.
        """
        if event.code >= 400 or event.verb in READS:
            return False
        if event.verb in DELETES or event.response is None or event.response.get("kind") == "Status":
            return True
        metadata = event.response.get("metadata") or {}
        uid, revision = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
        version = uid, revision
        if not revision or version in self._writers or self._versions.get(uid) == revision:
            return False
        self._writers[version] = event.user
        if event.verb == "create" and "/" not in event.resource:
            self._creators[uid] = event.user
        return True

    def autoscaler(self, observed: Observed) -> None:
        metadata = observed.object["metadata"]
        target = observed.object["spec"]["scaleTargetRef"]
        key = (str(target["kind"]), str(metadata["namespace"]), str(target["name"]))
        user = self._writer(metadata)
        self._versions[metadata["uid"]] = metadata["resourceVersion"]
        if observed.type == "DELETED":
            self._autoscalers.pop(key, None)
        elif user:
            self._autoscalers[key] = user

    def workload(self, plural: str, observed: Observed) -> Workload | None:
        """Take in an event of a kind that brings forth pods; None when it is gone or asks for nothing new."""
        shape, obj = WORKLOADS[plural], observed.object
        metadata = obj["metadata"]
        key = (shape.kind, str(metadata["namespace"]), str(metadata["name"]))
        if observed.type == "DELETED":
            self._named.pop(key, None)
            return None
        self._versions[metadata["uid"]] = metadata["resourceVersion"]
        known = self._workloads.get(metadata["uid"])
        generation = metadata.get("generation", 0)
        if known and known.generation == generation and not shape.each_node:
            return None
        workload = known or self._meet(key, metadata)
        workload.generation = generation
        lineage, was_copy = self._lineage(workload, is_new=known is None), workload.is_copy
        workload.shared = lineage | likeness_of(_template(obj, shape), key[1], self._body)
        if not self._begun and "lineage" not in workload.shared:
            workload.innocent = workload.shared
        replicas = _replicas(obj, shape)
        if replicas != workload.replicas or known is None:
            workload.asked_by(self._asker(workload, metadata, is_new=known is None, shape=shape), replicas)
        if known and workload.is_copy and not was_copy:
            workload.taken_by(self._writer(metadata))
        return workload

    def pod(self, observed: Observed, seconds: float) -> PodSeen:
        """Take in a pod's event."""
        obj = observed.object
        metadata = obj["metadata"]
        uid = str(metadata["uid"])
        self._versions[uid] = metadata["resourceVersion"]
        known = uid in self.pods
        pod = self.pods[uid] if known else self._meet_pod(uid, obj)
        self.pods[uid] = pod
        looks = _looks(obj)
        if looks != pod.looks:
            pod.looks, was_copy = looks, pod.is_copy
            pod.shared = self._shared(obj, pod.top)
            pod.is_copy = is_copy(pod.shared)
            if known and pod.is_copy and not was_copy:
                pod.maker = self._writer(metadata) or pod.maker
        status = obj.get("status") or {}
        conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
        deleted = observed.type == "DELETED" or "deletionTimestamp" in metadata
        ended = deleted or status.get("phase") in ("Failed", "Succeeded")
        scheduled = conditions.get("PodScheduled", {})
        waiting = not ended and scheduled.get("reason") == "Unschedulable"
        pod.unschedulable = str(scheduled.get("message", "Unschedulable")) if waiting else ""
        ready = conditions.get("Ready", {}).get("status") == "True"
        _set_ready(pod, ready and not ended and status.get("phase") == "Running", seconds)
        if ended:
            pod.top.pods.pop(uid, None)
        if observed.type == "DELETED":
            self._named.pop(("Pod", pod.namespace, pod.name), None)
        return pod

    def _meet(self, key: Key, metadata: KubeObject) -> Workload:
        owner = self._owner(metadata)
        creator = self._creators.get(metadata["uid"], ADMIN)
        workload = Workload(*key, owner, creator)
        self._workloads[metadata["uid"]] = self._named[key] = workload
        return workload

    def _meet_pod(self, uid: str, obj: KubeObject) -> PodSeen:
        metadata = obj["metadata"]
        namespace, name = str(metadata["namespace"]), str(metadata["name"])
        owner = self._owner(metadata)
        if owner is None:
            owner = self._meet(("Pod", namespace, name), metadata)
            owner.asked_by(owner.creator, 1)
            owner.shared = likeness_of(obj, namespace, self._body)
            owner.innocent = NONE if self._begun else owner.shared
        account = (obj.get("spec") or {}).get("serviceAccountName", "default")
        user = f"system:serviceaccount:{namespace}:{account}"
        pod = PodSeen(namespace, name, user, owner.top, owner.top.next_maker())
        owner.top.pods[uid] = pod
        return pod

    def _shared(self, obj: KubeObject, top: Workload) -> Likeness:
        lineage = top.shared & {"lineage"}
        return (lineage | likeness_of(obj, str(obj["metadata"]["namespace"]), self._body)) - top.innocent

    def _lineage(self, workload: Workload, *, is_new: bool) -> Likeness:
        body = self._body
        own = not self._begun and workload.key == ("Deployment", body.namespace, body.name)
        inherited = is_new and workload.owner is not None and "lineage" in workload.owner.shared
        return frozenset({"lineage"}) if own or inherited else workload.shared & {"lineage"}

    def _owner(self, metadata: KubeObject) -> Workload | None:
        owners = metadata.get("ownerReferences") or ()
        uids: Iterable[str] = [owner["uid"] for owner in owners if owner.get("controller")]
        return next((self._workloads[uid] for uid in uids if uid in self._workloads), None)

    def _asker(self, workload: Workload, metadata: KubeObject, *, is_new: bool, shape: Shape) -> str:
        """Who wants the number of replicas that this version of a workload has."""
        # A DaemonSet's number follows from the nodes: it answers whoever made it.
        if is_new or shape.each_node:
            return workload.creator
        return self._writer(metadata) or self._autoscalers.get(workload.key, ADMIN)

    def _writer(self, metadata: KubeObject) -> str:
        return self._writers.get((str(metadata["uid"]), str(metadata["resourceVersion"])), "")


def _looks(pod: KubeObject) -> tuple[object, ...]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return *(container.get("image") for container in containers), pod["metadata"].get("labels")


def _set_ready(pod: PodSeen, ready: bool, seconds: float) -> None:
    if ready and not pod.ready:
        pod.since = seconds if pod.since is None else pod.since
        pod.until = None
    elif pod.ready and not ready:
        pod.until = seconds
    pod.ready = ready


def _replicas(obj: KubeObject, shape: Shape) -> int:
    path = ("status", "desiredNumberScheduled") if shape.each_node else shape.replicas
    found = at(obj, path)
    missing = 0 if shape.each_node else 1
    return found if isinstance(found, int) else missing


def _template(obj: KubeObject, shape: Shape) -> KubeObject:
    found = at(obj, shape.template)
    return found if isinstance(found, dict) else {}
