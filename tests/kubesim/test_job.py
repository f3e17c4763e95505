"""Jobs: completions, failures, deadlines, and clearing up."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, Object
from workloads import CORE, JOBS, REPLICA_SETS, condition, end, live_pods, names, quota

SUM = f"{JOBS}/sum"


def job(**spec: Any) -> Object:
    container = {"name": "main", "image": "registry.acme.io/sum:1"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "sum"},
        "spec": {"template": template, **spec},
    }


def create(kube: Kube, **spec: Any) -> None:
    kube.create(JOBS, job(**spec))


def active(kube: Kube) -> list[str]:
    found = live_pods(kube, **{"job-name": "sum"})
    return names([each for each in found if each["status"]["phase"] in ("Pending", "Running")])


def finish_one(kube: Kube, phase: str = "Succeeded") -> None:
    end(kube, active(kube)[0], phase)


def status(kube: Kube) -> Any:
    return kube.get(SUM)["status"]


def test_its_pods_are_known_by_its_uid(kube: Kube) -> None:
    create(kube)
    made = kube.get(SUM)
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    (only,) = live_pods(kube)
    assert only["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "sum",
        "controller-uid": uid,
        "job-name": "sum",
    }


def test_one_success_completes_a_plain_job(kube: Kube) -> None:
    create(kube)
    assert status(kube)["active"] == 1
    kube.advance(10)
    finish_one(kube)
    done = status(kube)
    assert done["succeeded"] == 1
    assert "active" not in done
    assert condition(kube.get(SUM), "Complete")["reason"] == "CompletionsReached"
    assert condition(kube.get(SUM), "SuccessCriteriaMet")["status"] == "True"
    assert done["completionTime"] > done["startTime"]
    assert ("Completed", "Job completed") in kube.events("sum")
    assert len(kube.pods()) == 1


def test_as_many_run_at_once_as_parallelism_says(kube: Kube) -> None:
    create(kube, completions=5, parallelism=2)
    assert len(active(kube)) == 2
    for expected in (2, 2, 2, 1, 0):
        finish_one(kube)
        assert len(active(kube)) == expected
    assert status(kube)["succeeded"] == 5


def test_a_work_queue_ends_when_one_has_succeeded_and_the_rest_are_done(kube: Kube) -> None:
    create(kube, parallelism=3)
    finish_one(kube)
    assert len(active(kube)) == 2
    finish_one(kube)
    finish_one(kube)
    assert condition(kube.get(SUM), "Complete")["status"] == "True"


def test_failed_pods_are_tried_again_after_a_growing_pause(kube: Kube) -> None:
    create(kube)
    finish_one(kube, "Failed")
    assert active(kube) == []
    kube.advance(9)
    assert active(kube) == []
    kube.advance(1.5)
    assert len(active(kube)) == 1
    finish_one(kube, "Failed")
    kube.advance(19)
    assert active(kube) == []
    kube.advance(1.5)
    assert len(active(kube)) == 1
    assert status(kube)["failed"] == 2


def test_too_many_failures_fail_the_job(kube: Kube) -> None:
    create(kube, backoffLimit=1)
    finish_one(kube, "Failed")
    kube.advance(11)
    finish_one(kube, "Failed")
    failed = condition(kube.get(SUM), "Failed")
    assert (failed["reason"], failed["message"]) == (
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )
    kube.advance(1000)
    assert active(kube) == []


def test_a_deadline_fails_the_job_and_stops_its_pods(kube: Kube) -> None:
    create(kube, activeDeadlineSeconds=60)
    kube.advance(59)
    assert len(active(kube)) == 1
    kube.advance(2)
    assert active(kube) == []
    assert condition(kube.get(SUM), "Failed")["reason"] == "DeadlineExceeded"


def test_a_deleted_pod_counts_as_failed(kube: Kube) -> None:
    create(kube)
    kube.delete(f"{CORE}/pods/{active(kube)[0]}")
    assert status(kube)["failed"] == 1
    kube.advance(11)
    assert len(active(kube)) == 1


def test_a_finished_job_goes_after_its_time_to_live(kube: Kube) -> None:
    create(kube, ttlSecondsAfterFinished=100)
    finish_one(kube)
    kube.advance(99)
    assert kube.exists(SUM)
    kube.advance(2)
    assert not kube.exists(SUM)
    assert kube.pods() == []


def test_a_suspended_job_runs_nothing_until_it_is_resumed(kube: Kube) -> None:
    create(kube, suspend=True)
    assert active(kube) == []
    assert condition(kube.get(SUM), "Suspended")["status"] == "True"
    assert "startTime" not in status(kube)
    kube.merge(SUM, {"spec": {"suspend": False}})
    assert len(active(kube)) == 1
    assert condition(kube.get(SUM), "Suspended")["reason"] == "JobResumed"
    kube.merge(SUM, {"spec": {"suspend": True}})
    assert active(kube) == []


def test_an_indexed_job_gives_each_pod_its_own_index(kube: Kube) -> None:
    create(kube, completionMode="Indexed", completions=3, parallelism=3)
    found = live_pods(kube)
    index = "batch.kubernetes.io/job-completion-index"
    assert sorted(each["metadata"]["annotations"][index] for each in found) == ["0", "1", "2"]
    assert sorted(each["spec"]["hostname"] for each in found) == ["sum-0", "sum-1", "sum-2"]
    for each in found[:2]:
        end(kube, each["metadata"]["name"], "Succeeded")
    assert status(kube)["completedIndexes"] == "0-1"
    end(kube, found[2]["metadata"]["name"], "Failed")
    kube.advance(11)
    (again,) = active(kube)
    assert again.startswith("sum-2-")


def test_the_api_leaves_pods_behind_unless_told_otherwise(kube: Kube) -> None:
    create(kube)
    kube.delete(SUM)
    (left,) = kube.pods()
    assert "ownerReferences" not in left["metadata"]


def test_pods_that_are_counted_are_let_go(kube: Kube) -> None:
    create(kube)
    name = active(kube)[0]
    assert kube.pod(name)["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    end(kube, name, "Succeeded")
    assert not kube.pod(name)["metadata"].get("finalizers")


def test_fewer_run_when_parallelism_is_lowered(kube: Kube) -> None:
    create(kube, completions=4, parallelism=3)
    kube.merge(SUM, {"spec": {"parallelism": 1}})
    assert len(active(kube)) == 1


def test_on_a_node_it_completes_by_itself(three_nodes: Kube) -> None:
    create(three_nodes, completions=2)
    three_nodes.advance(120)
    assert condition(three_nodes.get(SUM), "Complete")["status"] == "True"
    assert {each["status"]["phase"] for each in three_nodes.pods()} == {"Succeeded"}


def test_restarts_in_place_count_as_failures(three_nodes: Kube) -> None:
    failing = job(backoffLimit=2)
    spec = failing["spec"]["template"]["spec"]
    spec["restartPolicy"] = "OnFailure"
    spec["containers"][0]["command"] = ["sh", "-c", "exit 1"]
    three_nodes.create(JOBS, failing)
    three_nodes.advance(300)
    assert condition(three_nodes.get(SUM), "Failed")["reason"] == "BackoffLimitExceeded"


def test_a_pod_that_is_refused_is_reported_and_tried_again(kube: Kube) -> None:
    kube.create(f"{CORE}/resourcequotas", quota(pods="0"))
    create(kube)
    assert active(kube) == []
    assert "exceeded quota: compute" in dict(kube.events("sum"))["FailedCreate"]
    kube.delete(f"{CORE}/resourcequotas/compute")
    kube.advance(5)
    assert len(active(kube)) == 1


def test_more_than_a_burst_of_pods_takes_time(kube: Kube) -> None:
    create(kube, completions=10**9, parallelism=10**9, completionMode="Indexed")
    assert len(active(kube)) == 500
    kube.advance(25)
    assert len(active(kube)) == 1000


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_job_deleted_in_the_background_takes_its_pods_along(three_nodes: Kube, seconds: int) -> None:
    create(three_nodes)
    three_nodes.advance(seconds)

    three_nodes.delete(SUM, {"propagationPolicy": "Background"})
    three_nodes.advance(60)

    assert three_nodes.get(f"{CORE}/pods")["items"] == []


@pytest.mark.parametrize("adopted", [False, True])
def test_the_pods_that_a_job_leaves_behind_can_be_deleted(three_nodes: Kube, adopted: bool) -> None:
    if adopted:
        template = {"metadata": {"labels": {"app": "sum"}}, "spec": job()["spec"]["template"]["spec"]}
        template["spec"] = {**template["spec"], "restartPolicy": "Always"}
        spec = {"replicas": 0, "selector": {"matchLabels": {"app": "sum"}}, "template": template}
        three_nodes.create(REPLICA_SETS, {"metadata": {"name": "adopter"}, "spec": spec})
    made = job()
    made["spec"]["template"]["metadata"] = {"labels": {"app": "sum"}}
    three_nodes.create(JOBS, made)
    three_nodes.advance(10)
    three_nodes.delete(SUM, {"propagationPolicy": "Orphan"})
    for left in three_nodes.get(f"{CORE}/pods")["items"]:
        three_nodes.delete(f"{CORE}/pods/{left['metadata']['name']}")
    three_nodes.advance(60)

    assert three_nodes.get(f"{CORE}/pods")["items"] == []
