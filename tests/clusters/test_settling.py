"""When a cluster rests, and what time does until then."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.clusters.settling import in_motion
from pytest_selfrep.errors import ClusterError

SCHEDULED = {"type": "PodScheduled", "status": "True"}


def pod(*conditions: object, waits_for: str | None = None, **fields: Any) -> dict[str, Any]:
    statuses = [] if waits_for is None else [{"name": "web", "state": {"waiting": {"reason": waits_for}}}]
    status = {"phase": "Pending", "conditions": list(conditions), "containerStatuses": statuses}
    return {"kind": "Pod", "metadata": fields, "status": status}


def workload(kind: str, status: object, spec: object = None, generation: int = 1) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": generation}, "spec": spec or {}, "status": status}


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(pod(), id="a pod that no scheduler has seen"),
        pytest.param(pod(SCHEDULED), id="a pod that its kubelet has not seen"),
        pytest.param(pod(SCHEDULED, waits_for="ContainerCreating"), id="a pod that starts"),
        pytest.param(
            pod(
                {"type": "Ready", "status": "True"},
                deletionTimestamp="2026-01-01T00:00:00Z",
                deletionGracePeriodSeconds=30,
            ),
            id="a pod that ends",
        ),
        pytest.param(
            workload("Deployment", {"observedGeneration": 1}, generation=2),
            id="a Deployment that was changed",
        ),
        pytest.param(
            workload("ReplicaSet", {"observedGeneration": 1, "replicas": 1}, {"replicas": 2}),
            id="a ReplicaSet that lacks pods",
        ),
        pytest.param(
            workload(
                "DaemonSet",
                {"observedGeneration": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 2},
            ),
            id="a DaemonSet that lacks pods",
        ),
        pytest.param(workload("Job", {}), id="a Job that has not begun"),
    ],
)
def test_the_cluster_is_at_work(obj: dict[str, Any]) -> None:
    assert in_motion(obj)


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(pod(SCHEDULED, {"type": "Ready", "status": "True"}), id="a pod that is ready"),
        pytest.param(pod({"type": "PodScheduled", "status": "False"}), id="a pod without room"),
        pytest.param(pod(SCHEDULED, waits_for="ImagePullBackOff"), id="a pod without its image"),
        pytest.param(pod(SCHEDULED, waits_for="CrashLoopBackOff"), id="a pod that crashes"),
        pytest.param(
            pod(
                {"type": "Ready", "status": "True"},
                deletionTimestamp="2026-01-01T00:00:00Z",
                deletionGracePeriodSeconds=3600,
            ),
            id="a pod that has hours to end in",
        ),
        pytest.param(
            workload(
                "ReplicaSet",
                {
                    "observedGeneration": 1,
                    "replicas": 1,
                    "conditions": [{"type": "ReplicaFailure", "status": "True"}],
                },
                {"replicas": 2},
            ),
            id="a ReplicaSet whose pods the quota refuses",
        ),
        pytest.param(
            workload("ReplicaSet", {"observedGeneration": 1}, {"replicas": 0}), id="one without pods"
        ),
        pytest.param(workload("Job", {}, {"suspend": True}), id="a Job that is suspended"),
        pytest.param({"kind": "CronJob", "metadata": {}, "spec": {}}, id="a CronJob"),
    ],
)
def test_nothing_more_comes_of_it(obj: dict[str, Any]) -> None:
    assert not in_motion(obj)


def test_time_stands_still_until_the_world_has_settled() -> None:
    seen: list[float] = []

    def settled() -> bool:
        seen.append(clock.now())
        return len(seen) > 2

    clock = RealClock(100.0, settled)
    clock.sleep(20.0)

    before, after = seen[:4], seen[4:]
    assert len(after) == 2, "it must rest for two looks in a row, before and after"
    assert len(set(before)) == len(set(after)) == 1
    assert after[0] - before[0] >= 20.0
    assert clock.now() > after[0]


def test_a_world_that_never_settles_takes_no_longer_than_at_a_pace_of_one() -> None:
    looks = itertools.count()
    clock = RealClock(2.0, lambda: next(looks) < 0)

    clock.sleep(1.0)

    assert 1 <= next(looks) <= 7


def test_at_a_pace_of_one_nobody_looks() -> None:
    looks = itertools.count()
    RealClock(1.0, lambda: next(looks) < 0).sleep(0.01)

    assert next(looks) == 0


def test_the_past_is_told_in_the_same_time() -> None:
    clock = RealClock(50.0, lambda: True)
    clock.sleep(50.0)

    assert clock.ago(3600.0) < -50.0 * 3500
    assert clock.ago(0.0) <= clock.now()


def test_nobody_sleeps_on_in_a_trial_that_is_called_off() -> None:
    clock = RealClock()
    threading.Timer(0.05, clock.stop).start()

    with pytest.raises(ClusterError, match="called off"):
        clock.sleep(3600.0)
