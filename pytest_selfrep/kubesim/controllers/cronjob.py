"""CronJobs: a Job whenever the schedule says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pytest_selfrep.kubesim.controllers import cron
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import controlled_by, itself_but_for_status, with_status
from pytest_selfrep.kubesim.controllers.job import verdict_of
from pytest_selfrep.kubesim.kinds import CRON_JOB, JOB, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    copy,
    is_terminating,
    key_of,
    object_reference,
    owner_reference,
)
from pytest_selfrep.kubesim.status import StatusError

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MOST_MISSED = 100
"""Missed start times after which a CronJob is said to have fallen behind."""


class CronJobController:
    """Starts Jobs by schedule and concurrency policy, and clears away old ones."""

    name = "cronjob-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._due: dict[Key, float] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            CRON_JOB: itself_but_for_status,
            JOB: controlled_by(CRON_JOB),
        }

    def reconcile(self, key: Key) -> None:
        cron_job = self._context.store.get(CRON_JOB, key)
        if cron_job is None:
            self._due.pop(key, None)
            return
        jobs = self._jobs(cron_job)
        cron_job = self._take_note(cron_job, jobs)
        if not is_terminating(cron_job) and not cron_job["spec"].get("suspend"):
            self._start_due(cron_job)
            self._set_timer(cron_job)
        self._clear_history(cron_job, jobs)

    def _jobs(self, cron_job: Object) -> list[Object]:
        owned = self._context.store.owned_by(cron_job["metadata"]["uid"])
        return sorted((job for kind, job in owned if kind is JOB), key=_creation)

    def _status(self, cron_job: Object, **fields: object) -> Object:
        status = {**(cron_job.get("status") or {}), **fields}
        status = {name: value for name, value in status.items() if value}
        if status == cron_job.get("status"):
            return cron_job
        return self._writer.update_status(CRON_JOB, with_status(cron_job, status))

    def _take_note(self, cron_job: Object, jobs: Sequence[Object]) -> Object:
        """What has become of its Jobs. Active are only those that the controller itself has started."""
        status = cron_job.get("status") or {}
        started = {each["uid"]: each for each in status.get("active") or ()}
        missing = dict(started)
        active = dict(started)
        succeeded = status.get("lastSuccessfulTime", "")
        for job in jobs:
            verdict, name, uid = verdict_of(job), job["metadata"]["name"], job["metadata"]["uid"]
            missing.pop(uid, None)
            if verdict is None and uid not in started:
                message = f"Saw a job that the controller did not create or forgot: {name}"
                self._writer.record(cron_job, "Warning", "UnexpectedJob", message)
            if verdict is None:
                continue
            if active.pop(uid, None):
                message = f"Saw completed job: {name}, condition: {verdict['type']}"
                self._writer.record(cron_job, "Normal", "SawCompletedJob", message)
            if verdict["type"] == "Complete":
                succeeded = max(succeeded, job["status"].get("completionTime", ""))
        for uid, job in missing.items():
            del active[uid]
            self._writer.record(cron_job, "Normal", "MissingJob", f"Active job went missing: {job['name']}")
        return self._status(cron_job, active=list(active.values()), lastSuccessfulTime=succeeded)

    def _clear_history(self, cron_job: Object, jobs: Sequence[Object]) -> None:
        for kind, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            limit = cron_job["spec"].get(field)
            finished = [job for job in jobs if (verdict_of(job) or {}).get("type") == kind]
            if limit is None:
                continue
            for job in finished[: max(0, len(finished) - limit)]:
                self._delete(cron_job, key_of(job))

    def _delete(self, cron_job: Object, job: Key) -> None:
        self._writer.delete(JOB, job, propagation="Background")
        self._writer.record(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {job.name}")

    def _schedule(self, cron_job: Object) -> cron.Schedule:
        return cron.parse(cron_job["spec"]["schedule"], cron_job["spec"].get("timeZone") or "")

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._context.clock.timestamp())

    def _last(self, cron_job: Object) -> datetime:
        """The time after which start times have not been seen to yet."""
        since = (cron_job.get("status") or {}).get("lastScheduleTime")
        last = datetime.fromisoformat(since or cron_job["metadata"]["creationTimestamp"])
        deadline = cron_job["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            last = max(last, self._now() - timedelta(seconds=deadline))
        return last

    def _start_due(self, cron_job: Object) -> None:
        schedule, last, now = self._schedule(cron_job), self._last(cron_job), self._now()
        due = schedule.latest(last, now)
        if due is None:
            return
        if schedule.count(last, now, MOST_MISSED + 1) > MOST_MISSED:
            remedy = "Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            message = f"too many missed start times. {remedy}"
            self._writer.record(cron_job, "Warning", "TooManyMissedTimes", message)
        self._start(cron_job, due)

    def _start(self, cron_job: Object, due: datetime) -> None:
        policy = cron_job["spec"].get("concurrencyPolicy", "Allow")
        active = (cron_job.get("status") or {}).get("active") or []
        if active and policy == "Forbid":
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._writer.record(cron_job, "Normal", "JobAlreadyActive", message)
            return
        if active and policy == "Replace":
            for each in active:
                self._delete(cron_job, Key(each["namespace"], each["name"]))
            active = []
        job = self._create(cron_job, due)
        if job is not None:
            self._status(cron_job, active=[*active, object_reference(job)], lastScheduleTime=_timestamp(due))

    def _create(self, cron_job: Object, due: datetime) -> Object | None:
        """The Job of a start time; nothing if it is refused, or somebody else's has its name."""
        job = _job(cron_job, due)
        try:
            created = self._writer.create(JOB, job)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                message = f"Error creating job: {error.message}"
                self._writer.record(cron_job, "Warning", "FailedCreate", message)
            return None
        message = f"Created job {created['metadata']['name']}"
        self._writer.record(cron_job, "Normal", "SuccessfulCreate", message)
        return created

    def _set_timer(self, cron_job: Object) -> None:
        key, due = key_of(cron_job), self._schedule(cron_job).after(self._now())
        if due is None:
            return
        at = self._context.clock.seconds_at(_timestamp(due))
        if self._due.get(key) != at:
            self._due[key] = at
            self._context.queue.add_after(self, key, at - self._context.clock.now)


def _creation(job: Object) -> tuple[str, str]:
    return job["metadata"]["creationTimestamp"], job["metadata"]["name"]


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _job(cron_job: Object, due: datetime) -> Object:
    """The Job for a start time; its name follows from the minute, so that none is started twice."""
    template = copy(cron_job["spec"]["jobTemplate"])
    meta = template.get("metadata") or {}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}",
            "namespace": cron_job["metadata"]["namespace"],
            **({"labels": meta["labels"]} if meta.get("labels") else {}),
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_AT: _timestamp(due)},
            "ownerReferences": [owner_reference(cron_job)],
        },
        "spec": template["spec"],
    }
