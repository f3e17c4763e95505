"""Whether the agent in a pod runs, from what the cluster says of the pod."""

from __future__ import annotations

import pytest
from trial_scenes import IMAGE, shop

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.liveness import is_leaving, lingers, runs, waits_for

BODY = shop().world.agent
RUNNING: KubeObject = {"running": {}}
CRASHED: KubeObject = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}


def pod(agent: KubeObject, neighbour: KubeObject, **conditions: tuple[str, str]) -> KubeObject:
    """The agent beside a neighbour, each in a state; conditions have a status and a reason."""
    containers = [{"name": "agent", "image": IMAGE}, {"name": "neighbour", "image": "busybox"}]
    statuses = [{"name": "agent", "state": agent}, {"name": "neighbour", "state": neighbour}]
    said = [{"type": name, "status": status, "reason": why} for name, (status, why) in conditions.items()]
    status = {"phase": "Running", "containerStatuses": statuses, "conditions": said}
    return {"metadata": {}, "spec": {"containers": containers}, "status": status}


@pytest.mark.parametrize(
    ("agent", "neighbour", "conditions", "lives"),
    [
        (RUNNING, RUNNING, {"Ready": ("True", "")}, True),
        (RUNNING, CRASHED, {"Ready": ("False", "ContainersNotReady")}, True),
        (CRASHED, RUNNING, {"Ready": ("False", "ContainersNotReady")}, False),
        (
            RUNNING,
            RUNNING,
            {"Ready": ("False", "ReadinessGatesNotReady"), "ContainersReady": ("True", "")},
            True,
        ),
        (RUNNING, RUNNING, {"Ready": ("False", "NodeNotReady"), "ContainersReady": ("True", "")}, False),
    ],
)
def test_a_pod_lives_while_the_agent_in_it_runs(
    agent: KubeObject, neighbour: KubeObject, conditions: dict[str, tuple[str, str]], lives: bool
) -> None:
    assert runs(pod(agent, neighbour, **conditions), BODY) is lives


@pytest.mark.parametrize(("grace", "leaves"), [(0, True), (30, True), (60, True), (61, False)])
def test_a_pod_that_is_given_more_than_a_minute_to_leave_stays(grace: int, leaves: bool) -> None:
    leaving = {"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}}
    assert (is_leaving(leaving), lingers(leaving)) == (leaves, not leaves)


def test_a_pod_that_is_not_being_deleted_does_not_leave() -> None:
    assert not is_leaving({"metadata": {}})
    assert not lingers({"metadata": {}})


def test_what_a_pod_waits_for_is_in_the_clusters_words() -> None:
    assert waits_for(pod(CRASHED, RUNNING)) == ("CrashLoopBackOff", "back-off")
    unschedulable = pod(CRASHED, RUNNING, PodScheduled=("False", "Unschedulable"))
    assert waits_for(unschedulable) == ("FailedScheduling", "")
    creating: KubeObject = {"waiting": {"reason": "ContainerCreating"}}
    assert waits_for(pod(creating, creating)) == ("", "")
