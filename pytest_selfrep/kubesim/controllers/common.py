"""What several controllers need: mappers, label selectors, pods made from templates, conditions, retries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.controllers.base import Controller, Mapper, Queue, Writer
from pytest_selfrep.kubesim.kinds import POD, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    condition,
    controller_of,
    copy,
    is_ready,
    is_terminating,
    key_of,
    owner_reference,
)
from pytest_selfrep.kubesim.selectors import label_selector
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

FINISHED = frozenset({"Succeeded", "Failed"})
"""Phases of pods that will not run again."""


def itself(change: Change) -> Iterable[Key]:
    """For a controller's own kind."""
    return (key_of(change.object),)


def itself_but_for_status(change: Change) -> Iterable[Key]:
    """For a controller's own kind when it alone writes the status."""
    old = change.old
    if (
        old is not None
        and change.type == "MODIFIED"
        and old.get("spec") is change.object.get("spec")
        and old["metadata"].get("generation") == change.object["metadata"].get("generation")
        and is_terminating(old) == is_terminating(change.object)
    ):
        return ()
    return (key_of(change.object),)


def controlled_by(*owners: Kind) -> Mapper:
    """To the controlling owner of those kinds, now or before the change."""
    names = frozenset(owner.kind for owner in owners)

    def mapper(change: Change) -> Iterable[Key]:
        new = controller_of(change.object)
        namespace = change.object["metadata"].get("namespace", "")
        if new is not None and new["kind"] in names:
            yield Key(namespace, new["name"])
        old = controller_of(change.old) if change.old is not None and change.type == "MODIFIED" else None
        if old is not None and old["kind"] in names and (new is None or new["uid"] != old["uid"]):
            yield Key(namespace, old["name"])

    return mapper


def replicas_of(*owners: Kind) -> Mapper:
    """To the controlling owner of those kinds, for changes of a pod that alter how it counts as a replica."""
    to_owner = controlled_by(*owners)

    def mapper(change: Change) -> Iterable[Key]:
        new, old = change.object, change.old
        if (
            old is not None
            and change.type == "MODIFIED"
            and is_ready(old) == is_ready(new)
            and is_active(old) == is_active(new)
            and old["metadata"].get("labels") == new["metadata"].get("labels")
            and old["metadata"].get("ownerReferences") == new["metadata"].get("ownerReferences")
        ):
            return ()
        return to_owner(change)

    return mapper


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches: an empty one everything, none at all nothing."""
    return selector is not None and label_selector(selector).matches(labels)


def pod_from(template: Object, owner: Object) -> Object:
    """A pod for a template, owned by ``owner``; name or generateName are the caller's to set."""
    meta: Object = {"namespace": owner["metadata"]["namespace"]}
    for name in ("labels", "annotations", "finalizers"):
        values = (template.get("metadata") or {}).get(name)
        if values:
            meta[name] = values.copy()
    meta["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": copy(template["spec"])}


def create_pod(writer: Writer, owner: Object, pod: Object) -> Object:
    """Create a pod, and tell of it in an event of its owner's. Raises StatusError."""
    try:
        created = writer.create(POD, pod)
    except StatusError as error:
        writer.record(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
        raise
    name = created["metadata"]["name"]
    writer.record(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")
    return created


def is_active(pod: Object) -> bool:
    """Whether a pod counts as a replica: not finished, not going away."""
    return not is_terminating(pod) and (pod.get("status") or {}).get("phase") not in FINISHED


def phase_of(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase") or "Pending"


def available_in(pod: Object, min_ready_seconds: int, clock: Clock) -> float | None:
    """Seconds until a pod has been ready for long enough, 0 if it has; None if it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    ready = condition(pod, "Ready") or {}
    since = clock.seconds_at(ready.get("lastTransitionTime") or clock.timestamp())
    return max(0.0, since + min_ready_seconds - clock.now)


def resolve(value: int | str | None, whole: int, *, round_up: bool) -> int:
    """An absolute number, or a percentage of ``whole`` (apimachinery's IntOrString)."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    hundredths = int(value.rstrip("%")) * whole
    return -(-hundredths // 100) if round_up else hundredths // 100


def edited(
    obj: Object, *, spec: Object | None = None, annotations: Mapping[str, str] | None = None
) -> Object:
    """A copy along the changed paths; fields given are laid over those that are there."""
    meta = dict(obj["metadata"])
    if annotations is not None:
        meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    result = {**obj, "metadata": meta}
    if spec is not None:
        result["spec"] = {**obj["spec"], **spec}
    return result


def with_status(obj: Object, status: Object) -> Object:
    return {**obj, "metadata": dict(obj["metadata"]), "status": status}


def nonzero(**fields: object) -> Object:
    """Fields as Go writes them with ``omitempty``."""
    return {name: value for name, value in fields.items() if value}


def set_condition(
    conditions: Iterable[Object], kind: str, status: str, reason: str, message: str, now: str
) -> list[Object]:
    """Replace or add a condition; its transition time moves only when its status does."""
    new = {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    result = []
    found = False
    for each in conditions:
        if each["type"] == kind:
            found = True
            if each["status"] == status:
                new["lastTransitionTime"] = each["lastTransitionTime"]
            each = {**each, **new}
        result.append(each)
    return result if found else [*result, new]


BURST = 500
"""Pods that a controller creates or deletes for one owner at once."""
RATE = 20.0
"""Requests a second that a controller manager allows itself; what exceeds a burst comes at that rate."""


@dataclass(slots=True)
class Throttle:
    """Makes a controller that has created a burst wait for as long as a real one would have been busy."""

    queue: Queue
    clock: Clock
    _busy_until: dict[Key, float] = field(default_factory=dict)

    def grant(self, controller: Controller, key: Key, wanted: int) -> int:
        """How many of the ``wanted`` pods may be created now; the controller is called again for the rest."""
        if self.clock.now < self._busy_until.get(key, 0.0):
            return 0
        if wanted <= BURST:
            return wanted
        self._busy_until[key] = self.clock.now + BURST / RATE
        self.queue.add_after(controller, key, BURST / RATE)
        return BURST

    def forget(self, key: Key) -> None:
        """Its owner is gone."""
        self._busy_until.pop(key, None)


_MOST_DOUBLINGS = 64


@dataclass(slots=True)
class Backoff:
    """Retries of failed keys, each twice as long after as the one before (client-go's rate limiter)."""

    queue: Queue
    first: float = 0.005
    most: float = 1000.0
    _failures: dict[Key, int] = field(default_factory=dict)

    def retry(self, controller: Controller, key: Key) -> None:
        count = self._failures.get(key, 0)
        # No number can hold what a year of failures would double to.
        self._failures[key] = min(count + 1, _MOST_DOUBLINGS)
        self.queue.add_after(controller, key, min(self.most, self.first * 2.0**count))

    def forget(self, key: Key) -> None:
        """It went well."""
        self._failures.pop(key, None)
