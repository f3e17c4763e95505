"""The pages of Job and CronJob."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.describe.pod import describe_template
from pytest_selfrep.tools.kubectl.selectors import format_selector
from pytest_selfrep.tools.kubectl.text import long_time, parse_time, short_duration


def describe_job(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    if spec.get("selector"):
        page.put(f"Selector:\t{format_selector(spec['selector'])}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    page.controlled_by(obj)
    for title, name in (("Parallelism", "parallelism"), ("Completions", "completions")):
        page.put(f"{title}:\t{spec.get(name, '<unset>')}")
    if "completionMode" in spec:
        page.put(f"Completion Mode:\t{spec['completionMode']}")
    if "suspend" in spec:
        page.put(f"Suspend:\t{str(spec['suspend']).lower()}")
    if "backoffLimit" in spec:
        page.put(f"Backoff Limit:\t{spec['backoffLimit']}")
    _put_times(page, spec, status)
    ready = f" ({status['ready']} Ready)" if "ready" in status else ""
    page.put(
        f"Pods Statuses:\t{status.get('active', 0)} Active{ready} / {status.get('succeeded', 0)} Succeeded / "
        f"{status.get('failed', 0)} Failed"
    )
    describe_template(page, spec["template"])
    page.events(obj)


def _put_times(page: Page, spec: KubeObject, status: KubeObject) -> None:
    start, end = parse_time(status.get("startTime")), parse_time(status.get("completionTime"))
    if start:
        page.put(f"Start Time:\t{long_time(status['startTime'])}")
    if end:
        page.put(f"Completed At:\t{long_time(status['completionTime'])}")
    if start and end:
        page.put(f"Duration:\t{short_duration((end - start).total_seconds())}")
    if "activeDeadlineSeconds" in spec:
        page.put(f"Active Deadline Seconds:\t{spec['activeDeadlineSeconds']}s")


def describe_cron_job(page: Page, obj: KubeObject) -> None:
    spec, status = obj["spec"], obj.get("status", {})
    job = spec["jobTemplate"]["spec"]
    page.head(obj)
    page.put(f"Schedule:\t{spec['schedule']}\nConcurrency Policy:\t{spec.get('concurrencyPolicy', '')}")
    page.put(f"Suspend:\t{spec.get('suspend', '<unset>')}")
    page.put(f"Successful Job History Limit:\t{spec.get('successfulJobsHistoryLimit', '<unset>')}")
    page.put(f"Failed Job History Limit:\t{spec.get('failedJobsHistoryLimit', '<unset>')}")
    deadline = spec.get("startingDeadlineSeconds")
    page.put(f"Starting Deadline Seconds:\t{'<unset>' if deadline is None else f'{deadline}s'}")
    selector = job.get("selector")
    page.put(f"Selector:\t{format_selector(selector) if selector else '<unset>'}")
    page.put(f"Parallelism:\t{job.get('parallelism', '<unset>')}")
    page.put(f"Completions:\t{job.get('completions', '<unset>')}")
    describe_template(page, job["template"])
    page.put(f"Last Schedule Time:\t{long_time(status.get('lastScheduleTime'))}")
    active = [reference["name"] for reference in status.get("active") or []]
    page.put(f"Active Jobs:\t{', '.join(active) or '<none>'}")
    page.events(obj)
