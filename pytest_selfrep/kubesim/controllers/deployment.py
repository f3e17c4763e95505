"""Deployments: one ReplicaSet per template, moved from the old to the new as the strategy allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_selfrep.kubesim.controllers import newset, progress, rollout
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    FINISHED,
    Backoff,
    controlled_by,
    edited,
    itself_but_for_status,
    phase_of,
    with_status,
)
from pytest_selfrep.kubesim.kinds import DEPLOYMENT, POD, REPLICA_SET, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    condition,
    conditions_of,
    controller_of,
    is_terminating,
    key_of,
)
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change


class DeploymentController:
    """Follows kubernetes/pkg/controller/deployment, in one pass per change."""

    name = "deployment-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)
        self._deadlines: dict[Key, float] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            DEPLOYMENT: itself_but_for_status,
            REPLICA_SET: controlled_by(DEPLOYMENT),
            POD: self._on_pod,
        }

    def _on_pod(self, change: Change) -> Iterable[Key]:
        """Recreate waits for old pods to be gone, which their ReplicaSet's status does not tell."""
        owner = controller_of(change.object) if change.type == "DELETED" else None
        if owner is None or owner["kind"] != REPLICA_SET.kind:
            return ()
        namespace = change.object["metadata"]["namespace"]
        replica_set = self._context.store.get(REPLICA_SET, Key(namespace, owner["name"]))
        above = controller_of(replica_set) if replica_set is not None else None
        return (Key(namespace, above["name"]),) if above is not None else ()

    def reconcile(self, key: Key) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        if deployment is None:
            self._backoff.forget(key)
            self._deadlines.pop(key, None)
            return
        if not is_terminating(deployment):
            self._note_pause(deployment)
            try:
                self._sync(key)
                self._backoff.forget(key)
            except StatusError as error:
                self._note_failure(key, error)
                self._backoff.retry(self, key)
        self._report(key)

    def _sync(self, key: Key) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        assert deployment is not None
        new, old = self._split(deployment)
        if deployment["spec"].get("paused") or self._is_scaling([*old, *([new] if new else [])], deployment):
            if new is not None:
                new = self._annotated(deployment, new, old)
            self._scale(deployment, new, old)
        elif rollout.is_rolling(deployment):
            self._roll(deployment, new, old)
        else:
            self._recreate(deployment, new, old)

    def _replica_sets(self, deployment: Object) -> list[Object]:
        owned = self._context.store.owned_by(deployment["metadata"]["uid"])
        found = [obj for kind, obj in owned if kind is REPLICA_SET]
        return sorted(
            found, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"])
        )

    def _split(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the current template, if there is one, and all others."""
        every = self._replica_sets(deployment)
        template = rollout.without_hash(deployment["spec"]["template"])
        new = next(
            (each for each in every if rollout.without_hash(each["spec"]["template"]) == template), None
        )
        return new, [each for each in every if each is not new]

    @staticmethod
    def _is_scaling(every: Sequence[Object], deployment: Object) -> bool:
        """Whether the Deployment was resized since its active ReplicaSets were."""
        wanted = str(deployment["spec"]["replicas"])
        return any(
            (each["metadata"].get("annotations") or {}).get(rollout.DESIRED, wanted) != wanted
            for each in every
            if rollout.replicas(each)
        )

    def _roll(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        new = self._ensure_new(deployment, new, old)
        every = [*old, new]
        if rollout.replicas(new) > rollout.replicas(deployment):
            self._resize(deployment, new, rollout.replicas(deployment))
            return
        size = rollout.room_for_new(deployment, every, rollout.replicas(new))
        if size != rollout.replicas(new):
            self._resize(deployment, new, size)
            return
        shrunk = list(rollout.shrink_old(deployment, old, new))
        for each, size in shrunk:
            self._resize(deployment, each, size)
        if not shrunk:
            self._forget_history(deployment, new, old)

    def _recreate(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        active = [each for each in old if rollout.replicas(each)]
        for each in active:
            self._resize(deployment, each, 0)
        if active:
            return
        if any(self._has_running_pods(each) for each in old):
            return
        new = self._ensure_new(deployment, new, old)
        if rollout.replicas(new) != rollout.replicas(deployment):
            self._resize(deployment, new, rollout.replicas(deployment))
        self._forget_history(deployment, new, old)

    def _has_running_pods(self, replica_set: Object) -> bool:
        owned = self._context.store.owned_by(replica_set["metadata"]["uid"])
        return any(kind is POD and phase_of(pod) not in FINISHED for kind, pod in owned)

    def _scale(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        every = [*old, *([new] if new is not None else [])]
        active = [each for each in every if rollout.replicas(each)]
        wanted = rollout.replicas(deployment)
        if len(active) <= 1:
            only = active[0] if active else new
            if only is None and every:
                only = every[-1]
            if only is not None:
                self._resize(deployment, only, wanted)
        elif (
            new is not None and rollout.status_of(new, "availableReplicas") == rollout.replicas(new) == wanted
        ):
            for each in old:
                if rollout.replicas(each):
                    self._resize(deployment, each, 0)
        elif rollout.is_rolling(deployment):
            for each, size in rollout.spread(deployment, active):
                self._resize(deployment, each, size)

    def _ensure_new(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> Object:
        if new is not None:
            return self._annotated(deployment, new, old)
        template = deployment["spec"]["template"]
        collisions = (deployment.get("status") or {}).get("collisionCount", 0)
        digest = rollout.template_hash(template, collisions)
        created = self._writer.create(REPLICA_SET, newset.manifest(deployment, digest, old))
        name, size = created["metadata"]["name"], rollout.replicas(created)
        if size:
            message = f"Scaled up replica set {name} from 0 to {size}"
            self._writer.record(deployment, "Normal", "ScalingReplicaSet", message)
        message = f'Created new replica set "{name}"'
        self._progressing(key_of(deployment), "True", "NewReplicaSetCreated", message)
        self._note_revision(key_of(deployment), created)
        return created

    def _annotated(self, deployment: Object, new: Object, old: Sequence[Object]) -> Object:
        """The new ReplicaSet with annotations and minReadySeconds as the Deployment now wants them."""
        ready = deployment["spec"].get("minReadySeconds", 0)
        wanted = newset.annotations_for(deployment, new, old)
        have = new["metadata"].get("annotations") or {}
        if self._is_scaling([new], deployment):
            # Only resizing may note the new size: proportional scaling reads the old one until then.
            wanted |= {name: have[name] for name in (rollout.DESIRED, rollout.MOST) if name in have}
        if not wanted.items() <= have.items() or new["spec"].get("minReadySeconds", 0) != ready:
            spec = {"minReadySeconds": ready} if ready or "minReadySeconds" in new["spec"] else None
            new = self._writer.update(REPLICA_SET, edited(new, spec=spec, annotations=wanted))
        if condition(deployment, "Progressing") is None:
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            self._progressing(key_of(deployment), "True", "FoundNewReplicaSet", message)
        self._note_revision(key_of(deployment), new)
        return new

    def _resize(self, deployment: Object, replica_set: Object, size: int) -> None:
        before = rollout.replicas(replica_set)
        noted = {
            rollout.DESIRED: str(deployment["spec"]["replicas"]),
            rollout.MOST: str(rollout.max_total(deployment)),
        }
        have = replica_set["metadata"].get("annotations") or {}
        if before == size and noted.items() <= have.items():
            return
        self._writer.update(REPLICA_SET, edited(replica_set, spec={"replicas": size}, annotations=noted))
        if before != size:
            direction, name = "up" if size > before else "down", replica_set["metadata"]["name"]
            message = f"Scaled {direction} replica set {name} from {before} to {size}"
            self._writer.record(deployment, "Normal", "ScalingReplicaSet", message)

    def _forget_history(self, deployment: Object, new: Object, old: Sequence[Object]) -> None:
        surplus = rollout.surplus_history(deployment, old)
        if not surplus:
            return
        current = self._context.store.get(REPLICA_SET, key_of(new)) or new
        status = progress.status_of(deployment, [*old, current], current, self._context.clock)
        if progress.is_complete(deployment, status):
            for each in surplus:
                self._writer.delete(REPLICA_SET, key_of(each))

    def _note_revision(self, key: Key, new: Object) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        if deployment is not None and rollout.revision(deployment) != rollout.revision(new):
            annotations = {rollout.REVISION: str(rollout.revision(new))}
            self._writer.update_status(DEPLOYMENT, edited(deployment, annotations=annotations))

    def _note_pause(self, deployment: Object) -> None:
        before = condition(deployment, "Progressing")
        paused = bool(deployment["spec"].get("paused"))
        noted = before is not None and before["reason"] == "DeploymentPaused"
        if (before is not None and before["reason"] == progress.TIMED_OUT) or paused == noted:
            return
        said = (
            ("DeploymentPaused", "Deployment is paused")
            if paused
            else ("DeploymentResumed", "Deployment is resumed")
        )
        self._progressing(key_of(deployment), "Unknown", *said)

    def _note_failure(self, key: Key, error: StatusError) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        if deployment is None:
            return
        if error.reason == "AlreadyExists":
            status = {**(deployment.get("status") or {})}
            status["collisionCount"] = status.get("collisionCount", 0) + 1
            self._writer.update_status(DEPLOYMENT, with_status(deployment, status))
            return
        message = f'Failed to create new replica set "{key.name}": {error.message}'
        self._writer.record(deployment, "Warning", "ReplicaSetCreateError", message)
        self._progressing(key, "False", "ReplicaSetCreateError", error.message)

    def _progressing(self, key: Key, status: str, reason: str, message: str) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        if deployment is None:
            return
        conditions = progress.with_progressing(
            list(conditions_of(deployment)), status, reason, message, self._context.clock.timestamp()
        )
        new = {**(deployment.get("status") or {}), "conditions": conditions}
        self._writer.update_status(DEPLOYMENT, with_status(deployment, new))

    def _report(self, key: Key) -> None:
        deployment = self._context.store.get(DEPLOYMENT, key)
        if deployment is None:
            return
        new, old = self._split(deployment)
        every = [*old, *([new] if new is not None else [])]
        status = progress.status_of(deployment, every, new, self._context.clock)
        if status != deployment.get("status"):
            deployment = self._writer.update_status(DEPLOYMENT, with_status(deployment, status))
        due = progress.deadline(deployment, self._context.clock)
        if due is not None and due > self._context.clock.now and self._deadlines.get(key) != due:
            self._deadlines[key] = due
            self._context.queue.add_after(self, key, due - self._context.clock.now)
