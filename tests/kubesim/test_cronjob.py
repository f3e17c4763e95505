"""CronJobs: when they start Jobs, and which they keep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from kube_driver import Kube
from workloads import CRON_JOBS, JOBS, end, live_pods, names, quota

from pytest_selfrep.kubesim.controllers import cron

BACKUP = f"{CRON_JOBS}/backup"
HOUR = 3600


def create(kube: Kube, schedule: str = "0 * * * *", **spec: Any) -> Any:
    container = {"name": "main", "image": "registry.acme.io/backup:1"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return kube.create(
        CRON_JOBS,
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "backup"},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": pod}}, **spec},
        },
    )


def jobs(kube: Kube) -> list[str]:
    return names(kube.get(JOBS)["items"])


def finish_all(kube: Kube, phase: str = "Succeeded") -> None:
    for each in live_pods(kube):
        if each["status"]["phase"] in ("Pending", "Running"):
            end(kube, each["metadata"]["name"], phase)


def test_a_job_starts_when_the_schedule_says_so(kube: Kube) -> None:
    create(kube)
    kube.advance(HOUR - 1)
    assert jobs(kube) == []
    kube.advance(1)
    (name,) = jobs(kube)
    due = datetime.fromisoformat(kube.get(BACKUP)["status"]["lastScheduleTime"])
    assert name == f"backup-{int(due.timestamp()) // 60}"
    assert [each["name"] for each in kube.get(BACKUP)["status"]["active"]] == [name]
    assert ("SuccessfulCreate", f"Created job {name}") in kube.events("backup")


def test_a_finished_job_is_active_no_longer(kube: Kube) -> None:
    create(kube)
    kube.advance(HOUR)
    finish_all(kube)
    status = kube.get(BACKUP)["status"]
    assert "active" not in status
    assert status["lastSuccessfulTime"] == status["lastScheduleTime"]


def test_only_the_latest_finished_jobs_are_kept(kube: Kube) -> None:
    create(kube, successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for _ in range(4):
        kube.advance(HOUR)
        finish_all(kube)
    assert len(jobs(kube)) == 2
    assert len(live_pods(kube)) == 2


@pytest.mark.parametrize(("policy", "running"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_the_concurrency_policy_says_what_becomes_of_overlaps(kube: Kube, policy: str, running: int) -> None:
    create(kube, concurrencyPolicy=policy)
    kube.advance(HOUR)
    first = jobs(kube)
    kube.advance(HOUR)
    assert len(jobs(kube)) == running
    assert (first[0] in jobs(kube)) is (policy != "Replace")
    reasons = [reason for reason, _ in kube.events("backup")]
    assert ("JobAlreadyActive" in reasons) is (policy == "Forbid")


def manual(kube: Kube, name: str = "by-hand") -> None:
    """What kubectl create job --from=cronjob makes."""
    cron_job = kube.get(BACKUP)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "backup", "controller": True}
    kube.create(
        JOBS,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [{**owner, "uid": cron_job["metadata"]["uid"]}],
            },
            "spec": cron_job["spec"]["jobTemplate"]["spec"],
        },
    )


def test_a_job_started_by_hand_is_not_active_but_counts_as_a_success(kube: Kube) -> None:
    create(kube)
    manual(kube)
    assert "active" not in kube.get(BACKUP).get("status", {})
    assert kube.events("backup") == [
        ("UnexpectedJob", "Saw a job that the controller did not create or forgot: by-hand")
    ]
    finish_all(kube)
    assert kube.get(BACKUP)["status"]["lastSuccessfulTime"]
    assert "SawCompletedJob" not in dict(kube.events("backup"))


@pytest.mark.parametrize("policy", ["Forbid", "Replace"])
def test_a_job_started_by_hand_is_no_overlap(kube: Kube, policy: str) -> None:
    create(kube, concurrencyPolicy=policy)
    manual(kube)
    kube.advance(HOUR)
    assert len(jobs(kube)) == 2
    assert not {"JobAlreadyActive", "SuccessfulDelete"} & dict(kube.events("backup")).keys()


def test_an_active_job_that_somebody_deletes_is_missed(kube: Kube) -> None:
    create(kube)
    kube.advance(HOUR)
    (name,) = jobs(kube)
    kube.delete(f"{JOBS}/{name}")
    assert "active" not in kube.get(BACKUP)["status"]
    assert ("MissingJob", f"Active job went missing: {name}") in kube.events("backup")


def test_a_suspended_one_starts_nothing(kube: Kube) -> None:
    create(kube, suspend=True)
    kube.advance(3 * HOUR)
    assert jobs(kube) == []


def test_its_jobs_go_with_it(kube: Kube) -> None:
    create(kube)
    kube.advance(HOUR)
    kube.delete(BACKUP)
    assert jobs(kube) == []


def test_what_was_missed_while_suspended_runs_once_if_not_too_late(kube: Kube) -> None:
    create(kube, suspend=True)
    kube.advance(3 * HOUR + 60)
    kube.merge(BACKUP, {"spec": {"suspend": False}})
    assert len(jobs(kube)) == 1


def test_a_starting_deadline_lets_missed_times_pass(kube: Kube) -> None:
    create(kube, suspend=True, startingDeadlineSeconds=30)
    kube.advance(3 * HOUR + 60)
    kube.merge(BACKUP, {"spec": {"suspend": False}})
    assert jobs(kube) == []


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/15 * * * *", "2025-05-06T08:15"),
        ("30 2 * * *", "2025-05-07T02:30"),
        ("0 9-17/4 * * mon-fri", "2025-05-06T09:00"),
        ("0 0 1 * *", "2025-06-01T00:00"),
        ("0 0 29 feb *", "2028-02-29T00:00"),
        ("0 0 13 * fri", "2025-05-09T00:00"),
        ("@hourly", "2025-05-06T09:00"),
        ("@weekly", "2025-05-11T00:00"),
    ],
)
def test_schedules_mean_what_cron_means_by_them(schedule: str, expected: str) -> None:
    due = cron.parse(schedule).after(datetime(2025, 5, 6, 8, 0, tzinfo=UTC))
    assert due is not None
    assert due.strftime("%Y-%m-%dT%H:%M") == expected


def test_schedules_are_read_in_their_time_zone() -> None:
    due = cron.parse("0 9 * * *", "America/New_York").after(datetime(2025, 5, 6, 8, 0, tzinfo=UTC))
    assert due == datetime(2025, 5, 6, 13, 0, tzinfo=UTC)


def test_a_date_that_never_comes_is_never_due() -> None:
    assert cron.parse("0 0 31 2 *").after(datetime(2025, 5, 6, tzinfo=UTC)) is None


def test_who_fell_far_behind_is_told_so_and_starts_one_job(kube: Kube) -> None:
    create(kube, "* * * * *", suspend=True)
    kube.advance(3 * HOUR)
    kube.merge(BACKUP, {"spec": {"suspend": False}})
    assert len(jobs(kube)) == 1
    assert "TooManyMissedTimes" in [reason for reason, _ in kube.events("backup")]


def test_a_job_that_is_refused_is_reported(kube: Kube) -> None:
    quotas = "/api/v1/namespaces/default/resourcequotas"
    kube.create(quotas, {**quota("none"), "spec": {"hard": {"count/jobs.batch": "0"}}})
    create(kube)
    kube.advance(HOUR)
    assert jobs(kube) == []
    reasons = dict(kube.events("backup"))
    assert "exceeded quota: none" in reasons["FailedCreate"]
