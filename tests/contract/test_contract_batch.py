"""Jobs, CronJobs, StatefulSets and DaemonSets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from api_client import Kube, Object, until
from manifests import job, workload


def finished(kind: str) -> Callable[[Object], bool]:
    return lambda each: any(
        condition["type"] == kind and condition["status"] == "True"
        for condition in each["status"].get("conditions", ())
    )


def test_a_job_that_is_done(kube: Kube) -> None:
    kube.create("jobs.batch", job("sum", "sh", "-c", "exit 0", completions=2, parallelism=2))
    done = kube.eventually("jobs.batch/sum", finished("Complete"))

    assert done["status"]["succeeded"] == 2
    assert "active" not in done["status"]
    assert {"startTime", "completionTime"} <= set(done["status"])
    assert done["spec"]["backoffLimit"] == 6
    pods = kube.get("pods")["items"]
    assert {each["metadata"]["labels"]["job-name"] for each in pods} == {"sum"}
    assert {each["status"]["phase"] for each in pods} == {"Succeeded"}
    until(lambda: kube.events("sum"), lambda said: len(said) == 3)
    assert [each[:2] for each in kube.events("sum")] == [
        ("Normal", "SuccessfulCreate"),
        ("Normal", "SuccessfulCreate"),
        ("Normal", "Completed"),
    ]
    assert kube.events("sum")[2][2] == "Job completed"


def test_a_job_that_fails_too_often(kube: Kube) -> None:
    kube.create("jobs.batch", job("sum", "sh", "-c", "exit 1", backoffLimit=0))
    failed = kube.eventually("jobs.batch/sum", finished("Failed"))
    condition = next(each for each in failed["status"]["conditions"] if each["type"] == "Failed")

    assert condition["reason"] == "BackoffLimitExceeded"
    assert condition["message"] == "Job has reached the specified backoff limit"
    assert failed["status"]["failed"] == 1
    until(lambda: {each[1] for each in kube.events("sum")}, lambda said: "BackoffLimitExceeded" in said)


def test_a_job_has_a_deadline(kube: Kube) -> None:
    kube.create("jobs.batch", job("sum", activeDeadlineSeconds=1))
    failed = kube.eventually("jobs.batch/sum", finished("Failed"))
    condition = next(each for each in failed["status"]["conditions"] if each["type"] == "Failed")

    assert condition["reason"] == "DeadlineExceeded"
    assert condition["message"] == "Job was active longer than specified deadline"
    until(lambda: kube.names("pods"), lambda names: names == [])


@pytest.mark.since("1.21")
def test_a_cron_job_makes_jobs(kube: Kube) -> None:
    template = {"spec": job("tick", "sh", "-c", "exit 0")["spec"]}
    kube.create(
        "cronjobs.batch",
        {"metadata": {"name": "tick"}, "spec": {"schedule": "* * * * *", "jobTemplate": template}},
    )
    assert kube.kubectl("create job now --from=cronjob/tick") == "job.batch/now created\n"
    jobs = until(lambda: kube.names("jobs.batch"), lambda names: len(names) >= 2, patience=120)

    assert jobs[0] == "now"
    assert jobs[1].startswith("tick-")
    assert "lastScheduleTime" in kube.get("cronjobs.batch/tick")["status"]


def test_a_stateful_set_numbers_its_pods_and_makes_them_in_order(kube: Kube) -> None:
    kube.create("statefulsets.apps", workload("db", serviceName="db", replicas=2))
    db: Object = kube.eventually(
        "statefulsets.apps/db", lambda each: each["status"].get("readyReplicas") == 2
    )

    assert kube.names("pods") == ["db-0", "db-1"]
    first, second = (kube.get(f"pods/db-{number}") for number in (0, 1))
    ready = next(each for each in first["status"]["conditions"] if each["type"] == "Ready")
    assert ready["lastTransitionTime"] <= second["metadata"]["creationTimestamp"]
    assert first["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert first["metadata"]["labels"]["controller-revision-hash"] == db["status"]["currentRevision"]
    assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("db-0", "db")
    assert [each[1:] for each in kube.events("db")] == [
        ("SuccessfulCreate", "create Pod db-0 in StatefulSet db successful"),
        ("SuccessfulCreate", "create Pod db-1 in StatefulSet db successful"),
    ]

    kube.patch("statefulsets.apps/db/scale", {"spec": {"replicas": 1}})
    kube.gone("pods/db-1")
    before = kube.get("pods/db-0")["metadata"]["uid"]
    kube.delete("pods/db-0")
    kube.eventually(
        "pods", lambda pods: [each["metadata"]["uid"] for each in pods["items"]] not in ([], [before])
    )
    assert kube.names("pods") == ["db-0"]


def test_a_stateful_set_takes_few_changes(kube: Kube) -> None:
    kube.create("statefulsets.apps", workload("db", serviceName="db", replicas=0))
    code, reason, message = kube.refusal(
        "PATCH",
        "statefulsets.apps/db",
        {"spec": {"serviceName": "other"}},
        content_type="application/merge-patch+json",
    )

    assert (code, reason) == (422, "Invalid")
    assert message.startswith(
        'StatefulSet.apps "db" is invalid: spec: Forbidden: updates to statefulset spec for '
    )


def test_a_daemon_set_has_a_pod_on_every_node(kube: Kube) -> None:
    kube.create("daemonsets.apps", workload("agent"))
    agent = kube.eventually("daemonsets.apps/agent", lambda each: each["status"].get("numberAvailable") == 1)

    assert {key: value for key, value in agent["status"].items() if value} == {
        "currentNumberScheduled": 1,
        "desiredNumberScheduled": 1,
        "numberAvailable": 1,
        "numberReady": 1,
        "observedGeneration": 1,
        "updatedNumberScheduled": 1,
    }
    kube.patch("daemonsets.apps/agent", {"spec": {"template": {"spec": {"nodeSelector": {"disk": "none"}}}}})
    kube.eventually("daemonsets.apps/agent", lambda each: each["status"]["desiredNumberScheduled"] == 0)
    until(lambda: kube.names("pods"), lambda names: names == [])
