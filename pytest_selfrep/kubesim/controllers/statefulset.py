"""StatefulSets: pods with ordinals, started, replaced and removed in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    FINISHED,
    Backoff,
    Throttle,
    available_in,
    controlled_by,
    itself_but_for_status,
    nonzero,
    phase_of,
    pod_from,
    with_status,
)
from pytest_selfrep.kubesim.controllers.revisions import HASH_LABEL, Revisions, hash_of, template_of
from pytest_selfrep.kubesim.controllers.statefulclaims import Claims, mount
from pytest_selfrep.kubesim.kinds import POD, STATEFUL_SET, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_ready, is_terminating, key_of, labels_of
from pytest_selfrep.kubesim.status import StatusError

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"


class StatefulSetController:
    """One step at a time with ``OrderedReady``; all at once with ``Parallel``, but for rolling updates."""

    name = "statefulset-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._revisions = Revisions(context, self._writer)
        self._claims = Claims(context, self._writer)
        self._backoff = Backoff(context.queue)
        self._throttle = Throttle(context.queue, context.clock)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            STATEFUL_SET: itself_but_for_status,
            POD: controlled_by(STATEFUL_SET),
        }

    def reconcile(self, key: Key) -> None:
        stateful_set = self._context.store.get(STATEFUL_SET, key)
        if stateful_set is None:
            self._backoff.forget(key)
            self._throttle.forget(key)
            return
        if is_terminating(stateful_set):
            return
        try:
            update = self._revisions.current(stateful_set)
        except StatusError:
            self._backoff.retry(self, key)
            return
        current = self._current(stateful_set, update)
        try:
            self._step(stateful_set, current, update)
            self._backoff.forget(key)
        except StatusError:
            self._throttle.forget(key)
            self._backoff.retry(self, key)
        self._report(self._context.store.get(STATEFUL_SET, key) or stateful_set, current, update)

    def _current(self, stateful_set: Object, update: Object) -> Object:
        """The revision that the last finished rollout led to."""
        name = (stateful_set.get("status") or {}).get("currentRevision")
        every = self._revisions.of(stateful_set)
        return next((each for each in every if each["metadata"]["name"] == name), update)

    def _pods(self, stateful_set: Object) -> dict[int, Object]:
        """By ordinal."""
        prefix = f"{stateful_set['metadata']['name']}-"
        owned = self._context.store.owned_by(stateful_set["metadata"]["uid"])
        found = {}
        for kind, pod in owned:
            ordinal = pod["metadata"]["name"].removeprefix(prefix)
            if kind is POD and ordinal.isdigit():
                found[int(ordinal)] = pod
        return dict(sorted(found.items()))

    def _step(self, stateful_set: Object, current: Object, update: Object) -> None:
        pods, ordinals = self._pods(stateful_set), _ordinals(stateful_set)
        in_order = stateful_set["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        missing = len(ordinals) - sum(1 for ordinal in pods if ordinal in ordinals)
        granted = self._throttle.grant(self, key_of(stateful_set), 1 if in_order and missing else missing)
        for ordinal in ordinals:
            if ordinal not in pods:
                if not granted:
                    return
                granted -= 1
            settled = self._keep(stateful_set, ordinal, pods.get(ordinal), current, update)
            if in_order and not settled:
                return
        condemned = [pod for ordinal, pod in reversed(pods.items()) if ordinal not in ordinals]
        for pod in condemned:
            if not is_terminating(pod):
                self._claims.hand_over(stateful_set, pod, condemned=True)
                self._delete(stateful_set, pod)
            if in_order:
                return
        if condemned or stateful_set["spec"]["updateStrategy"]["type"] == "OnDelete":
            return
        kept = [(ordinal, pod) for ordinal, pod in pods.items() if ordinal in ordinals]
        self._roll(stateful_set, kept, update["metadata"]["name"])

    def _keep(
        self, stateful_set: Object, ordinal: int, pod: Object | None, current: Object, update: Object
    ) -> bool:
        """See that the pod of an ordinal is there; whether it is up, so that the next may follow."""
        if pod is None:
            revision = current if ordinal < _partition(stateful_set) else update
            self._create(stateful_set, ordinal, revision)
            return False
        if phase_of(pod) in FINISHED and not is_terminating(pod):
            name, set_name = pod["metadata"]["name"], stateful_set["metadata"]["name"]
            message = f"StatefulSet {pod['metadata']['namespace']}/{set_name} is recreating failed Pod {name}"
            self._writer.record(stateful_set, "Warning", "RecreatingFailedPod", message)
            self._delete(stateful_set, pod)
            return False
        if is_terminating(pod):
            return False
        self._claims.hand_over(stateful_set, pod, condemned=False)
        left = available_in(pod, stateful_set["spec"].get("minReadySeconds", 0), self._context.clock)
        if left:
            self._context.queue.add_after(self, key_of(stateful_set), left)
        return left == 0

    def _roll(self, stateful_set: Object, kept: Sequence[tuple[int, Object]], revision: str) -> None:
        """Replace the highest outdated pod, once those above it are up again."""
        for ordinal, pod in reversed(kept):
            if ordinal < _partition(stateful_set):
                return
            if labels_of(pod).get(HASH_LABEL) != revision and not is_terminating(pod):
                self._delete(stateful_set, pod)
                return
            if is_terminating(pod) or not is_ready(pod):
                return

    def _create(self, stateful_set: Object, ordinal: int, revision: Object) -> None:
        set_name = stateful_set["metadata"]["name"]
        name = f"{set_name}-{ordinal}"
        pod = pod_from(template_of(revision), stateful_set)
        meta, spec = pod["metadata"], pod["spec"]
        meta["name"] = name
        meta["generateName"] = f"{set_name}-"
        meta["labels"] = {
            **(meta.get("labels") or {}),
            POD_INDEX_LABEL: str(ordinal),
            HASH_LABEL: revision["metadata"]["name"],
            POD_NAME_LABEL: name,
        }
        spec["hostname"] = name
        if stateful_set["spec"].get("serviceName"):
            spec["subdomain"] = stateful_set["spec"]["serviceName"]
        mount(stateful_set, pod)
        self._claims.create_for(stateful_set, name)
        try:
            self._writer.create(POD, pod)
        except StatusError as error:
            message = f"create Pod {name} in StatefulSet {set_name} failed error: {error.message}"
            self._writer.record(stateful_set, "Warning", "FailedCreate", message)
            raise
        message = f"create Pod {name} in StatefulSet {set_name} successful"
        self._writer.record(stateful_set, "Normal", "SuccessfulCreate", message)

    def _delete(self, stateful_set: Object, pod: Object) -> None:
        self._writer.delete(POD, key_of(pod))
        name, set_name = pod["metadata"]["name"], stateful_set["metadata"]["name"]
        message = f"delete Pod {name} in StatefulSet {set_name} successful"
        self._writer.record(stateful_set, "Normal", "SuccessfulDelete", message)

    def _report(self, stateful_set: Object, current: Object, update: Object) -> None:
        spec, clock = stateful_set["spec"], self._context.clock
        pods = list(self._pods(stateful_set).values())
        live = [pod for pod in pods if not is_terminating(pod)]
        ready = [pod for pod in live if is_ready(pod)]
        newest = update["metadata"]["name"]
        updated = sum(1 for pod in live if labels_of(pod).get(HASH_LABEL) == newest)
        if updated == len(pods) == len(ready) == spec["replicas"]:
            current = update
        old = current["metadata"]["name"]
        status = {
            "observedGeneration": stateful_set["metadata"].get("generation", 1),
            "replicas": len(pods),
            **nonzero(
                readyReplicas=len(ready),
                currentReplicas=sum(1 for pod in live if labels_of(pod).get(HASH_LABEL) == old),
                updatedReplicas=updated,
            ),
            "currentRevision": old,
            "updateRevision": newest,
            "collisionCount": 0,
            "availableReplicas": sum(
                1 for pod in ready if available_in(pod, spec.get("minReadySeconds", 0), clock) == 0
            ),
        }
        if status != stateful_set.get("status"):
            self._writer.update_status(STATEFUL_SET, with_status(stateful_set, status))
        self._revisions.trim(stateful_set, [hash_of(current), hash_of(update)])


def _ordinals(stateful_set: Object) -> range:
    start = int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))
    return range(start, start + int(stateful_set["spec"]["replicas"]))


def _partition(stateful_set: Object) -> int:
    """Ordinals below it keep the old template."""
    rolling = stateful_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return int(rolling.get("partition", 0))
