"""Whether what was asked of a cluster has come about: pods run or say why not, controllers rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject

LONGEST_FAREWELL = 60
"""Seconds of grace after which a pod that is being deleted counts as staying, and nobody waits for it."""
COMING_UP = frozenset({"", "ContainerCreating", "PodInitializing"})
"""What containers wait for that are about to run."""


def in_motion(obj: KubeObject) -> bool:
    """Whether the cluster is still at work on a pod or a workload. What fails, perhaps for ever, rests."""
    match obj["kind"]:
        case "Pod":
            return _pod(obj)
        case "Deployment":
            return _unobserved(obj)
        case "ReplicaSet" | "ReplicationController" | "StatefulSet":
            return _unobserved(obj) or (_lacks(obj, "replicas") and not _is_refused(obj))
        case "DaemonSet":
            status = obj.get("status") or {}
            return _unobserved(obj) or (
                status.get("currentNumberScheduled", 0) != status.get("desiredNumberScheduled", 0)
            )
        case "Job":
            return not obj["spec"].get("suspend") and "startTime" not in (obj.get("status") or {})
    return False


def _pod(pod: KubeObject) -> bool:
    status = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return int(pod["metadata"].get("deletionGracePeriodSeconds") or 0) <= LONGEST_FAREWELL
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    if conditions.get("Ready") == "True" or conditions.get("PodScheduled") == "False":
        return False
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [(each.get("state") or {}).get("waiting") or {} for each in containers]
    return all(each.get("reason", "") in COMING_UP for each in waiting)


def _unobserved(workload: KubeObject) -> bool:
    observed = (workload.get("status") or {}).get("observedGeneration", 0)
    return bool(observed < workload["metadata"].get("generation", 0))


def _lacks(workload: KubeObject, count: str) -> bool:
    return bool((workload.get("status") or {}).get(count, 0) != workload["spec"].get(count, 1))


def _is_refused(workload: KubeObject) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("ReplicaFailure", "True") for each in conditions)
