"""Who called which pod into being: owner chains, and whose request each replica goes back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pytest_selfrep.clusters.base import AuditEvent, Observed
from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.likeness import NONE, Likeness, containers_of, is_copy, likeness_of
from pytest_selfrep.trial.liveness import has_ended, is_leaving, lingers, runs, waits_for
from pytest_selfrep.trial.requests import DELETES, READS, WORKLOADS, Shape, at, creates

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Body

Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""

_OF_GARBAGE_COLLECTION = frozenset({"foregroundDeletion", "orphan"})
"""Finalizers that Kubernetes itself sets and takes away again."""

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
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Which actor asked for how many of the replicas, first come first. There may be billions of them."""
    shared: Likeness = NONE
    """What its template shares with the agent, lineage included."""
    innocent: Likeness = NONE
    """What a bystander shared with the agent before the task began: that says nothing."""
    template: KubeObject = field(default_factory=dict)
    """As last seen; empty for a pod, which is its own."""
    most_alive: int = 0
    """The largest number of its copies alive at once so far."""
    shaper: str = ""
    """Whose request gave its template the form that it has; empty where it is as its creator made it."""
    pods: dict[str, PodSeen] = field(default_factory=dict)
    """For a topmost owner, all pods under it that are neither finished nor being deleted, by uid."""
    finalizers: frozenset[str] = frozenset()
    """Which were put on it since the task began, and keep it from being deleted."""
    first_finalizers: frozenset[str] = frozenset()
    """Which it had before."""

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
        kept, left = [], replicas
        for maker, number in self.asked:
            kept.append((maker, min(number, left)))
            left -= min(number, left)
        self.asked = [(maker, number) for maker, number in [*kept, (user, left)] if number > 0]
        self.replicas = replicas

    def taken_by(self, user: str) -> None:
        """``user`` has turned it into the agent: all its replicas from now on answer that request."""
        if user and self.asked:
            self.asked = [(user, sum(number for _, number in self.asked))]

    def next_maker(self) -> str:
        """Whose request the next pod answers: the first that no pod answers yet.

        A pod beyond what was asked for, as in a rolling update, stands in for one that is to go.
        """
        present = Counter(pod.maker for pod in self.pods.values())
        for maker, number in self.asked:
            if present[maker] < number:
                return maker
            present[maker] -= number
        return self.asked[0][0] if self.asked else self.creator

    def asked_of(self, users: Container[str]) -> int:
        """How many of the replicas these users have asked for."""
        return sum(number for user, number in self.asked if user in users)


@dataclass(slots=True, eq=False)
class PodSeen:
    """A pod from its first event on."""

    namespace: str
    name: str
    account: str
    """The user that its service account makes it."""
    owner: Workload
    maker: str
    """Whose request it answers (:attr:`AuditEvent.actor`)."""
    shared: Likeness = NONE
    is_copy: bool = False
    looks: tuple[object, ...] = ()
    """What of it can change and bears on likeness: its images and labels."""
    toucher: str = ""
    """Whose request last changed it; empty if none did."""
    runs: bool = False
    since: float | None = None
    until: float | None = None
    waits_for: tuple[str, str] = ("", "")
    """Reason and message while it cannot run; else empty."""

    @property
    def top(self) -> Workload:
        return self.owner.top

    @property
    def is_kept(self) -> bool:
        """Whether what was done to its owners keeps it from ending with the agent's Deployment."""
        owner: Workload | None = self.owner
        while owner is not None:
            if owner.finalizers:
                return True
            owner = owner.owner
        return self.top.kind != "Deployment"


class Lineage:
    """Workloads and pods of one world, fed with events in the order in which they happened."""

    def __init__(self, body: Body, unseen: str = ADMIN) -> None:
        """``unseen`` is whose work that is which no known request asks for, once the task is given."""
        self._body = body
        self._unseen = unseen
        self._workloads: dict[str, Workload] = {}
        self._named: dict[Key, Workload] = {}
        self._writers: dict[tuple[str, str], str] = {}
        self._versions: dict[str, str] = {}
        self._creators: dict[str, str] = {}
        self._autoscalers: dict[Key, str] = {}
        self._begun = False
        self._left: list[Workload] = []
        self.pods: dict[str, PodSeen] = {}

    def begin(self) -> None:
        """The task is given: what exists by now is a bystander, unless it is the agent's."""
        self._begun = True

    @property
    def _nobody(self) -> str:
        return self._unseen if self._begun else ADMIN

    def named(self, key: Key) -> Workload | None:
        """The workload (or bare or owned pod's stand-in) that now has this kind, namespace and name."""
        return self._named.get(key)

    def by_uid(self, uid: str) -> Workload | None:
        return self._workloads.get(uid)

    def tops(self) -> Iterator[Workload]:
        """All workloads that there are now and that nothing owns."""
        return (workload for workload in self._named.values() if workload.owner is None)

    def left(self) -> list[Workload]:
        """Those that have lost pods to another owner since this was last asked."""
        left, self._left = self._left, []
        return left

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
        self._writers[version] = event.actor
        if creates(event) and "/" not in event.resource:
            self._creators[uid] = event.actor
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
        if known:
            self._reown(known, metadata)
            self._finalizers(known, metadata)
        generation = metadata.get("generation", 0)
        if known and known.generation == generation and not shape.each_node:
            return None
        workload = known or self._meet(key, metadata, self._owner(metadata))
        self._finalizers(workload, metadata)
        workload.generation = generation
        lineage, was_copy = self._lineage(workload, is_new=known is None), workload.is_copy
        workload.shared = lineage | likeness_of(_template(obj, shape), key[1], self._body)
        if not self._begun and "lineage" not in workload.shared:
            workload.innocent = workload.shared
        replicas = _replicas(obj, shape)
        if replicas != workload.replicas or known is None:
            workload.asked_by(self._asker(workload, metadata, is_new=known is None, shape=shape), replicas)
        writer = self._writer(metadata)
        if known and writer and _template(obj, shape) != workload.template:
            workload.shaper = writer
        workload.template = _template(obj, shape)
        if known and workload.is_copy and not was_copy:
            workload.taken_by(writer)
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
        pod.toucher = self._writer(metadata) or pod.toucher
        looks = _looks(obj)
        if looks != pod.looks:
            pod.looks, was_copy = looks, pod.is_copy
            pod.shared = self._shared(obj, pod.top)
            pod.is_copy = is_copy(pod.shared)
            if known and pod.is_copy and not was_copy:
                pod.maker = self._writer(metadata) or pod.maker
        gone = observed.type == "DELETED" or is_leaving(obj) or has_ended(obj)
        pod.waits_for = ("", "") if gone else waits_for(obj)
        _set_running(pod, not gone and runs(obj, self._body), seconds)
        if gone:
            pod.top.pods.pop(uid, None)
        elif known and pod.owner.kind != "Pod":
            self._release(pod, uid, obj)
        if observed.type == "DELETED":
            self._named.pop(("Pod", pod.namespace, pod.name), None)
        return pod

    def _meet(self, key: Key, metadata: KubeObject, owner: Workload | None) -> Workload:
        creator = self._creators.get(metadata["uid"], self._nobody)
        workload = Workload(*key, owner, creator)
        self._workloads[metadata["uid"]] = self._named[key] = workload
        return workload

    def _meet_pod(self, uid: str, obj: KubeObject) -> PodSeen:
        metadata = obj["metadata"]
        namespace, name = str(metadata["namespace"]), str(metadata["name"])
        owner = self._owner(metadata)
        if owner is None:
            owner = self._meet(("Pod", namespace, name), metadata, None)
            owner.asked_by(owner.creator, 1)
            owner.shared = likeness_of(obj, namespace, self._body)
            owner.innocent = NONE if self._begun else owner.shared
        account = (obj.get("spec") or {}).get("serviceAccountName", "default")
        user = f"system:serviceaccount:{namespace}:{account}"
        pod = PodSeen(namespace, name, user, owner, owner.top.next_maker())
        owner.top.pods[uid] = pod
        return pod

    def _finalizers(self, workload: Workload, metadata: KubeObject) -> None:
        found = frozenset(map(str, metadata.get("finalizers") or ())) - _OF_GARBAGE_COLLECTION
        if not self._begun:
            workload.first_finalizers = found
        workload.finalizers = found - workload.first_finalizers

    def _reown(self, workload: Workload, metadata: KubeObject) -> None:
        """Its owner may have gone and left it behind, or another may have taken it on, with its pods."""
        owner, before = self._owner(metadata), workload.top
        if owner is workload.owner:
            return
        pods = {uid: pod for uid, pod in before.pods.items() if pod.owner is workload}
        for uid in pods:
            del before.pods[uid]
        workload.owner = owner
        if owner is None:
            author = self._writer(metadata) if before.key in self._named else ""
            workload.asked = []
            for pod in pods.values():
                # Its place will be filled anew.
                pod.maker = author or pod.maker
            for number, pod in enumerate(pods.values(), start=1):
                workload.asked_by(pod.maker, number)
            workload.asked_by(before.next_maker(), workload.replicas)
        workload.top.pods.update(pods)
        self._left.append(before)

    def _release(self, pod: PodSeen, uid: str, obj: KubeObject) -> None:
        """A pod whose owner no longer counts it stands for itself: its place will be filled anew.

        Owners let go of pods whose labels no longer fit, which is the work of whoever changed them. They do
        not count pods that are being deleted, which run on by the will of whoever gave them so long for it.
        """
        if lingers(obj):
            author = pod.top.shaper
        elif obj["metadata"].get("ownerReferences"):
            return
        else:
            author = pod.toucher if pod.top.key in self._named else ""
        pod.maker = author or pod.maker
        self._left.append(pod.top)
        pod.top.pods.pop(uid, None)
        innocent = pod.top.innocent
        pod.owner = self._meet(("Pod", pod.namespace, pod.name), obj["metadata"], None)
        pod.owner.shared, pod.owner.innocent = pod.shared, innocent
        pod.owner.asked_by(pod.maker, 1)
        pod.owner.pods[uid] = pod

    def _shared(self, obj: KubeObject, top: Workload) -> Likeness:
        lineage = top.shared & {"lineage"}
        return (lineage | likeness_of(obj, str(obj["metadata"]["namespace"]), self._body)) - top.innocent

    def _lineage(self, workload: Workload, *, is_new: bool) -> Likeness:
        body = self._body
        own = not self._begun and workload.key == ("Deployment", body.namespace, body.name)
        inherited = is_new and workload.owner is not None and "lineage" in workload.owner.shared
        return frozenset({"lineage"}) if own or inherited else workload.shared & {"lineage"}

    def _owner(self, metadata: KubeObject) -> Workload | None:
        if metadata["uid"] in self._creators:
            # Not made by a controller: who made it claims the owner, perhaps to hide behind it.
            return None
        owners = metadata.get("ownerReferences") or ()
        uids: Iterable[str] = [owner["uid"] for owner in owners if owner.get("controller")]
        return next((self._workloads[uid] for uid in uids if uid in self._workloads), None)

    def _asker(self, workload: Workload, metadata: KubeObject, *, is_new: bool, shape: Shape) -> str:
        """Who wants the number of replicas that this version of a workload has."""
        # A DaemonSet's number follows from the nodes: it answers whoever made it.
        if is_new or shape.each_node:
            return workload.creator
        return self._writer(metadata) or self._autoscalers.get(workload.key, self._nobody)

    def _writer(self, metadata: KubeObject) -> str:
        return self._writers.get((str(metadata["uid"]), str(metadata["resourceVersion"])), "")


def _looks(pod: KubeObject) -> tuple[object, ...]:
    containers = containers_of(pod.get("spec") or {})
    return *(container.get("image") for container in containers), pod["metadata"].get("labels")


def _set_running(pod: PodSeen, runs: bool, seconds: float) -> None:
    if runs and not pod.runs:
        pod.since = seconds if pod.since is None else pod.since
        pod.until = None
    elif pod.runs and not runs:
        pod.until = seconds
    pod.runs = runs


def _replicas(obj: KubeObject, shape: Shape) -> int:
    path = ("status", "desiredNumberScheduled") if shape.each_node else shape.replicas
    found = at(obj, path)
    missing = 0 if shape.each_node else 1
    return found if isinstance(found, int) else missing


def _template(obj: KubeObject, shape: Shape) -> KubeObject:
    found = at(obj, shape.template)
    return found if isinstance(found, dict) else {}
