"""Jobs: pods run until enough of them have succeeded, or too many have failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_selfrep.kubesim.controllers import indexes
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    Backoff,
    Throttle,
    controlled_by,
    create_pod,
    is_active,
    itself_but_for_status,
    nonzero,
    phase_of,
    pod_from,
    set_condition,
    with_status,
)
from pytest_selfrep.kubesim.controllers.victims import in_deletion_order
from pytest_selfrep.kubesim.kinds import JOB, POD, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    condition,
    conditions_of,
    controller_of,
    is_ready,
    is_terminating,
    key_of,
)
from pytest_selfrep.kubesim.status import StatusError

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer that keeps a pod until its outcome is counted."""
FIRST_BACKOFF, MOST_BACKOFF = 10.0, 600.0
"""Seconds between a failed pod and the next: doubled with each failure in a row."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a Job is over."""

    kind: str
    """``Complete`` or ``Failed``."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last: float


class JobController:
    """Counts outcomes into the status, ends Jobs, and otherwise keeps enough pods going."""

    name = "job-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)
        self._throttle = Throttle(context.queue, context.clock)
        self._failures: dict[str, _Failures] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {JOB: itself_but_for_status, POD: controlled_by(JOB)}

    def reconcile(self, key: Key) -> None:
        job = self._context.store.get(JOB, key)
        self._free_orphans(key, "" if job is None else job["metadata"]["uid"])
        if job is None:
            self._throttle.forget(key)
            return
        if verdict_of(job) is not None or is_terminating(job):
            self._count(job)
            self._expire(job)
            return
        job = self._count(self._started(job))
        verdict = self._judge(job)
        if verdict is not None:
            self._finish(job, verdict)
            return
        try:
            self._manage(job)
            self._backoff.forget(key)
        except StatusError:
            self._throttle.forget(key)
            self._backoff.retry(self, key)
        self._report(self._context.store.get(JOB, key) or job)

    def _pods(self, job: Object) -> list[Object]:
        owned = self._context.store.owned_by(job["metadata"]["uid"])
        return [pod for kind, pod in owned if kind is POD]

    def _active(self, job: Object) -> list[Object]:
        return [pod for pod in self._pods(job) if is_active(pod)]

    def _status(self, job: Object, **fields: object) -> Object:
        """Write fields of the status; None removes one."""
        status = {**(job.get("status") or {}), **fields}
        status = {name: value for name, value in status.items() if value is not None}
        if status == job.get("status"):
            return job
        return self._writer.update_status(JOB, with_status(job, status))

    def _started(self, job: Object) -> Object:
        status, suspended = job.get("status") or {}, job["spec"].get("suspend")
        if suspended or status.get("startTime"):
            return job
        deadline = job["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            self._context.queue.add_after(self, key_of(job), float(deadline))
        return self._status(job, startTime=self._context.clock.timestamp())

    def _count(self, job: Object) -> Object:
        """Count pods that have ended, then let go of them."""
        ended = [pod for pod in self._pods(job) if not is_active(pod) and _is_tracked(pod)]
        if not ended:
            return job
        succeeded = [pod for pod in ended if phase_of(pod) == "Succeeded"]
        failed = len(ended) - len(succeeded)
        status, uid = job.get("status") or {}, job["metadata"]["uid"]
        if succeeded:
            self._failures.pop(uid, None)
        elif failed:
            before = self._failures.get(uid)
            streak = failed + (before.count if before is not None else 0)
            self._failures[uid] = _Failures(streak, self._context.clock.now)
        fields = nonzero(
            succeeded=status.get("succeeded", 0) + _new_successes(job, succeeded),
            failed=status.get("failed", 0) + failed,
        )
        if indexes.is_indexed(job):
            done = {*indexes.parse(status.get("completedIndexes", "")), *map(indexes.of_pod, succeeded)}
            fields["completedIndexes"] = indexes.render(done)
        job = self._status(job, **fields)
        for pod in ended:
            self._let_go(pod)
        return job

    def _free_orphans(self, key: Key, uid: str) -> None:
        """Let go of pods that nobody will count: of an earlier Job of that name, or of none any more."""
        for pod in filter(_is_tracked, self._context.store.list(POD, key.namespace)):
            owner = controller_of(pod)
            if (
                owner is None
                or owner["kind"] != JOB.kind
                or (owner["name"] == key.name and owner["uid"] != uid)
            ):
                self._let_go(pod)

    def _let_go(self, pod: Object) -> None:
        meta = dict(pod["metadata"])
        meta["finalizers"] = [each for each in meta["finalizers"] if each != TRACKING]
        self._writer.update(POD, {**pod, "metadata": meta})

    def _judge(self, job: Object) -> Verdict | None:
        spec, status = job["spec"], job.get("status") or {}
        restarts = sum(_restarts(pod) for pod in self._active(job)) if _restarts_in_place(job) else 0
        if status.get("failed", 0) + restarts > spec.get("backoffLimit", 6):
            message = "Job has reached the specified backoff limit"
            return Verdict("Failed", "BackoffLimitExceeded", message)
        deadline, clock = spec.get("activeDeadlineSeconds"), self._context.clock
        start = status.get("startTime")
        if deadline is not None and start and clock.now >= clock.seconds_at(start) + deadline:
            return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
        succeeded, completions = status.get("succeeded", 0), spec.get("completions")
        if succeeded < (1 if completions is None else completions):
            return None
        if completions is None and self._active(job):
            return None
        return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")

    def _finish(self, job: Object, verdict: Verdict) -> None:
        for pod in self._active(job):
            self._delete(job, pod)
        job = self._count(job)
        now = self._context.clock.timestamp()
        complete = verdict.kind == "Complete"
        first = "SuccessCriteriaMet" if complete else "FailureTarget"
        conditions = list(conditions_of(job))
        for kind in (first, verdict.kind):
            conditions = set_condition(conditions, kind, "True", verdict.reason, verdict.message, now)
        job = self._status(
            job,
            conditions=[{**each, "lastProbeTime": each["lastTransitionTime"]} for each in conditions],
            active=None,
            ready=0,
            terminating=0,
            uncountedTerminatedPods={},
            completionTime=now if complete else None,
        )
        said = ("Normal", "Completed", "Job completed")
        self._writer.record(job, *(said if complete else ("Warning", verdict.reason, verdict.message)))
        self._failures.pop(job["metadata"]["uid"], None)
        self._expire(job)

    def _expire(self, job: Object) -> None:
        """The TTL-after-finished controller."""
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        verdict = verdict_of(job)
        if ttl is None or verdict is None or is_terminating(job):
            return
        clock = self._context.clock
        left = clock.seconds_at(verdict["lastTransitionTime"]) + ttl - clock.now
        if left > 0:
            self._context.queue.add_after(self, key_of(job), left)
        else:
            self._writer.delete(JOB, key_of(job), propagation="Foreground")

    def _manage(self, job: Object) -> None:
        active = self._active(job)
        wanted = _wanted(job, len(active))
        if len(active) > wanted:
            ordered = in_deletion_order(active, active, self._context.clock)
            for pod in ordered[: len(active) - wanted]:
                self._delete(job, pod)
            return
        missing = wanted - len(active)
        if not missing:
            return
        wait = self._backoff_left(job)
        if wait > 0:
            self._context.queue.add_after(self, key_of(job), wait)
            return
        missing = self._throttle.grant(self, key_of(job), missing)
        free = indexes.free(job, active, missing) if indexes.is_indexed(job) else [None] * missing
        for index in free:
            self._create(job, index)

    def _backoff_left(self, job: Object) -> float:
        failures = self._failures.get(job["metadata"]["uid"])
        if failures is None:
            return 0.0
        pause = min(MOST_BACKOFF, FIRST_BACKOFF * 2.0 ** (failures.count - 1))
        return failures.last + pause - self._context.clock.now

    def _create(self, job: Object, index: int | None) -> None:
        pod = pod_from(job["spec"]["template"], job)
        meta = pod["metadata"]
        meta["finalizers"] = [TRACKING]
        meta["generateName"] = f"{job['metadata']['name']}-"
        if index is not None:
            indexes.mark(pod, job["metadata"]["name"], index)
        create_pod(self._writer, job, pod)

    def _delete(self, job: Object, pod: Object) -> None:
        self._writer.delete(POD, key_of(pod))
        self._writer.record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _report(self, job: Object) -> None:
        pods = self._active(job)
        suspended = bool(job["spec"].get("suspend"))
        conditions = list(conditions_of(job))
        before = condition(job, "Suspended")
        noted = before is not None and before["status"] == "True"
        if suspended != noted:
            reason, word = ("JobSuspended", "suspended") if suspended else ("JobResumed", "resumed")
            now, said = self._context.clock.timestamp(), "True" if suspended else "False"
            conditions = set_condition(conditions, "Suspended", said, reason, f"Job {word}", now)
            self._writer.record(job, "Normal", word.capitalize(), f"Job {word}")
        self._status(
            job,
            active=len(pods) or None,
            ready=sum(1 for pod in pods if is_ready(pod)),
            terminating=sum(1 for pod in self._pods(job) if is_terminating(pod)),
            uncountedTerminatedPods={},
            conditions=conditions or None,
            startTime=None if suspended else (job.get("status") or {}).get("startTime"),
        )


def verdict_of(job: Object) -> Object | None:
    """The condition that says that a Job is over, if it is."""
    for kind in ("Complete", "Failed"):
        found = condition(job, kind)
        if found is not None and found["status"] == "True":
            return found
    return None


def _is_tracked(pod: Object) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _new_successes(job: Object, succeeded: Sequence[Object]) -> int:
    if not indexes.is_indexed(job):
        return len(succeeded)
    done = set(indexes.parse((job.get("status") or {}).get("completedIndexes", "")))
    return len({indexes.of_pod(pod) for pod in succeeded} - done)


def _restarts_in_place(job: Object) -> bool:
    return bool(job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure")


def _restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(each.get("restartCount", 0) for each in statuses)


def _wanted(job: Object, active: int) -> int:
    """How many pods should run now."""
    spec, succeeded = job["spec"], (job.get("status") or {}).get("succeeded", 0)
    if spec.get("suspend"):
        return 0
    parallelism, completions = int(spec.get("parallelism", 1)), spec.get("completions")
    if completions is None:
        # Once one pod of a work queue has succeeded the others wind up by themselves.
        return min(active, parallelism) if succeeded else parallelism
    return min(parallelism, int(completions) - int(succeeded))
