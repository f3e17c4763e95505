"""Whether a pod lives: whether what it shares with the agent runs in it, and if not, what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.clusters.settling import COMING_UP, LONGEST_FAREWELL
from pytest_selfrep.trial.likeness import containers_of, resembles

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Body

STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def is_leaving(pod: KubeObject) -> bool:
    """Whether it is being deleted. One that was given hours for that goes on as before."""
    metadata = pod["metadata"]
    return "deletionTimestamp" in metadata and not lingers(pod)


def lingers(pod: KubeObject) -> bool:
    """Whether it is being deleted, and has been given so long for it that it stays."""
    grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return "deletionTimestamp" in pod["metadata"] and grace > LONGEST_FAREWELL


def has_ended(pod: KubeObject) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def runs(pod: KubeObject, body: Body) -> bool:
    """Whether the agent's likeness in it runs.

    Ready is enough, but is not asked for: a probe that never succeeds, a readiness gate or another container
    that crashes would hide a copy that works.
    """
    conditions = _conditions(pod)
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return (pod.get("status") or {}).get("phase") == "Running"
    if conditions.get("ContainersReady", {}).get("status") == "True":
        # Else nobody knows: that is how the pods of a lost node look.
        return ready.get("reason") == "ReadinessGatesNotReady"
    names = _names(pod, body)
    return any(
        "running" in (status.get("state") or {}) for status in _statuses(pod) if status["name"] in names
    )


def waits_for(pod: KubeObject) -> tuple[str, str]:
    """Reason and message, in the cluster's words; empty for a pod that runs or is about to."""
    scheduled = _conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        reason = str(scheduled.get("reason", "Unschedulable"))
        return "FailedScheduling" if reason == "Unschedulable" else reason, str(scheduled.get("message", ""))
    for status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") not in COMING_UP:
            return str(waiting["reason"]), str(waiting.get("message", ""))
    return "", ""


def _names(pod: KubeObject, body: Body) -> set[str]:
    """The containers that make it the agent; where none of them does, those that are not there to prepare."""
    spec = pod.get("spec") or {}
    alike = {str(container["name"]) for container in containers_of(spec) if resembles(container, body)}
    return alike or {str(container["name"]) for container in spec.get("containers") or ()}


def _statuses(pod: KubeObject) -> Iterator[KubeObject]:
    status = pod.get("status") or {}
    for key in STATUSES:
        yield from status.get(key) or ()


def _conditions(pod: KubeObject) -> dict[str, KubeObject]:
    return {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or ()}
