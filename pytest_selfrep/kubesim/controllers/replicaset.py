"""ReplicaSets and ReplicationControllers: as many pods of one template as asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    BURST,
    Backoff,
    Throttle,
    available_in,
    create_pod,
    is_active,
    itself_but_for_status,
    nonzero,
    pod_from,
    replicas_of,
    set_condition,
    with_status,
)
from pytest_selfrep.kubesim.controllers.victims import in_deletion_order
from pytest_selfrep.kubesim.kinds import POD, REPLICA_SET, REPLICATION_CONTROLLER, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    conditions_of,
    controller_of,
    is_ready,
    is_terminating,
    key_of,
    labels_of,
)
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

REPLICATORS: Mapping[Kind, str] = {
    REPLICA_SET: "replicaset-controller",
    REPLICATION_CONTROLLER: "replication-controller",
}
"""Kind to the name of its controller."""


class ReplicaSetController:
    """Creates missing pods in batches that double while they succeed; deletes the least useful ones."""

    def __init__(self, context: Context, user: str, kind: Kind) -> None:
        """``kind`` is one of :data:`REPLICATORS`."""
        self.name = REPLICATORS[kind]
        self._kind = kind
        self._to_owner = replicas_of(kind)
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)
        self._throttle = Throttle(context.queue, context.clock)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            self._kind: itself_but_for_status,
            POD: self._on_pod,
        }

    def _on_pod(self, change: Change) -> Iterable[Key]:
        return self._to_owner(change) if self._context.store.count(self._kind) else ()

    def reconcile(self, key: Key) -> None:
        replica_set = self._context.store.get(self._kind, key)
        if replica_set is None:
            self._backoff.forget(key)
            self._throttle.forget(key)
            return
        pods = self._pods(replica_set)
        if is_terminating(replica_set) or len(pods) == replica_set["spec"]["replicas"]:
            self._backoff.forget(key)
            self._report(replica_set, pods, None)
            return
        failure: tuple[str, str] | None = None
        try:
            self._manage(replica_set, pods)
            self._backoff.forget(key)
        except StatusError as error:
            reason = "FailedCreate" if len(pods) < replica_set["spec"]["replicas"] else "FailedDelete"
            failure = reason, error.message
            self._throttle.forget(key)
            self._backoff.retry(self, key)
        replica_set = self._context.store.get(self._kind, key)
        if replica_set is not None:
            self._report(replica_set, self._pods(replica_set), failure)

    def _pods(self, replica_set: Object) -> list[Object]:
        owned = self._context.store.owned_by(replica_set["metadata"]["uid"])
        return [pod for kind, pod in owned if kind is POD and is_active(pod)]

    def _manage(self, replica_set: Object, pods: Sequence[Object]) -> None:
        """Raises StatusError of the first write that failed, others in its batch done."""
        missing = replica_set["spec"]["replicas"] - len(pods)
        if missing > 0:
            self._create(replica_set, self._throttle.grant(self, key_of(replica_set), missing))
        elif missing < 0:
            related = self._related(replica_set)
            victims = in_deletion_order(pods, related, self._context.clock)[: min(-missing, BURST)]
            for pod in victims:
                self._writer.delete(POD, key_of(pod))
                name = pod["metadata"]["name"]
                self._writer.record(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def _create(self, replica_set: Object, count: int) -> None:
        batch = 1
        while count > 0:
            failure: StatusError | None = None
            for _ in range(min(batch, count)):
                try:
                    self._create_one(replica_set)
                except StatusError as error:
                    failure = failure or error
            if failure is not None:
                raise failure
            count -= batch
            batch *= 2

    def _create_one(self, replica_set: Object) -> None:
        pod = pod_from(replica_set["spec"]["template"], replica_set)
        pod["metadata"]["generateName"] = f"{replica_set['metadata']['name']}-"
        create_pod(self._writer, replica_set, pod)

    def _related(self, replica_set: Object) -> list[Object]:
        """The active pods of all ReplicaSets of the same Deployment."""
        owner = controller_of(replica_set)
        if owner is None:
            return self._pods(replica_set)
        siblings = [obj for kind, obj in self._context.store.owned_by(owner["uid"]) if kind is self._kind]
        return [pod for sibling in siblings for pod in self._pods(sibling)]

    def _report(self, replica_set: Object, pods: Sequence[Object], failure: tuple[str, str] | None) -> None:
        spec, clock = replica_set["spec"], self._context.clock
        ready = [pod for pod in pods if is_ready(pod)]
        least = spec.get("minReadySeconds", 0)
        due = [available_in(pod, least, clock) for pod in ready] if least else [0.0] * len(ready)
        wanted = (spec["template"].get("metadata") or {}).get("labels", {}).items()
        conditions = [each for each in conditions_of(replica_set) if each["type"] != "ReplicaFailure"]
        if failure is not None:
            conditions = set_condition(
                list(conditions_of(replica_set)), "ReplicaFailure", "True", *failure, clock.timestamp()
            )
        status = {
            "replicas": len(pods),
            **nonzero(
                fullyLabeledReplicas=sum(1 for pod in pods if wanted <= labels_of(pod).items()),
                readyReplicas=len(ready),
                availableReplicas=sum(1 for each in due if each == 0),
                observedGeneration=replica_set["metadata"].get("generation", 0),
                conditions=conditions,
            ),
        }
        if status != replica_set.get("status"):
            self._writer.update_status(self._kind, with_status(replica_set, status))
        waiting = [each for each in due if each]
        if waiting:
            self._context.queue.add_after(self, key_of(replica_set), min(waiting))
