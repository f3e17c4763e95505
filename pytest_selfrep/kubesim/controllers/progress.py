"""What a Deployment reports of its rollout: counts, and how available and how far along it is."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.controllers import rollout
from pytest_selfrep.kubesim.controllers.common import nonzero
from pytest_selfrep.kubesim.objects import Object, condition, conditions_of

AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"


def status_of(deployment: Object, every: Sequence[Object], new: Object | None, clock: Clock) -> Object:
    """The whole status, given all ReplicaSets and the one of the current template."""
    status = _counts(deployment, every, new)
    now = clock.timestamp()
    conditions = _with_available(deployment, status, list(conditions_of(deployment)), now)
    if not deployment["spec"].get("paused"):
        conditions = _with_progress(deployment, status, conditions, new, clock)
    conditions = _with_failure(conditions, every, now)
    before = deployment.get("status") or {}
    return {
        **status,
        "conditions": conditions,
        **nonzero(collisionCount=before.get("collisionCount")),
    }


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all replicas are of the current template and available."""
    wanted = deployment["spec"]["replicas"]
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def deadline(deployment: Object, clock: Clock) -> float | None:
    """The second at which an unfinished rollout counts as stuck."""
    progressing = condition(deployment, "Progressing")
    if progressing is None or progressing["reason"] in (AVAILABLE, TIMED_OUT):
        return None
    since = clock.seconds_at(progressing["lastUpdateTime"])
    return since + float(deployment["spec"].get("progressDeadlineSeconds", 600))


def with_progressing(
    conditions: Sequence[Object], status: str, reason: str, message: str, now: str
) -> list[Object]:
    return _set(conditions, "Progressing", status, reason, message, now)


def _set(
    conditions: Sequence[Object], kind: str, status: str, reason: str, message: str, now: str
) -> list[Object]:
    """Deployments tell besides when a condition was last written, and show the latest at the end."""
    before = next((each for each in conditions if each["type"] == kind), None)
    if before is not None and (before["status"], before["reason"]) == (status, reason):
        return list(conditions)
    same = before is not None and before["status"] == status
    new = {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and same else now,
        "reason": reason,
        "message": message,
    }
    return [*(each for each in conditions if each is not before), new]


def _counts(deployment: Object, every: Sequence[Object], new: Object | None) -> Object:
    there = sum(rollout.status_of(each, "replicas") for each in every)
    available = sum(rollout.status_of(each, "availableReplicas") for each in every)
    return nonzero(
        observedGeneration=deployment["metadata"].get("generation", 0),
        replicas=there,
        updatedReplicas=rollout.status_of(new, "replicas") if new is not None else 0,
        readyReplicas=sum(rollout.status_of(each, "readyReplicas") for each in every),
        availableReplicas=available,
        unavailableReplicas=max(0, rollout.total(every) - available),
    )


def _with_available(
    deployment: Object, status: Object, conditions: Sequence[Object], now: str
) -> list[Object]:
    least = deployment["spec"]["replicas"] - rollout.bounds(deployment)[1]
    if status.get("availableReplicas", 0) >= least:
        said = "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    else:
        said = "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return _set(conditions, "Available", *said, now)


def _with_progress(
    deployment: Object, status: Object, conditions: list[Object], new: Object | None, clock: Clock
) -> list[Object]:
    before = condition(deployment, "Progressing")
    settled = before is not None and before["reason"] == AVAILABLE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return conditions
    named = "ReplicaSet" if new is not None else "Deployment"
    name = (new or deployment)["metadata"]["name"]
    now = clock.timestamp()
    if is_complete(deployment, status):
        message = f'{named} "{name}" has successfully progressed.'
        return _set(conditions, "Progressing", "True", AVAILABLE, message, now)
    if _moved(deployment.get("status") or {}, status):
        message = f'{named} "{name}" is progressing.'
        return [
            {**each, "lastUpdateTime": now} if each["type"] == "Progressing" else each
            for each in _set(conditions, "Progressing", "True", "ReplicaSetUpdated", message, now)
        ]
    due = deadline(deployment, clock)
    if due is not None and clock.now >= due:
        message = f'{named} "{name}" has timed out progressing.'
        return _set(conditions, "Progressing", "False", TIMED_OUT, message, now)
    return conditions


def _moved(before: Object, after: Object) -> bool:
    def old(status: Object) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    return any(
        after.get(name, 0) > before.get(name, 0)
        for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    ) or old(after) < old(before)


def _with_failure(conditions: list[Object], every: Sequence[Object], now: str) -> list[Object]:
    failures = [each for each in (condition(one, "ReplicaFailure") for one in every) if each is not None]
    if not failures:
        return [each for each in conditions if each["type"] != "ReplicaFailure"]
    last = failures[-1]
    return _set(conditions, "ReplicaFailure", last["status"], last["reason"], last["message"], now)
