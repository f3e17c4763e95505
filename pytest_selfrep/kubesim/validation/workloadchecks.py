"""What is checked of Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

from pytest_selfrep.kubesim.controllers import cron
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.selectors import label_selector as parsed
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    at_least,
    forbidden,
    go_map,
    go_selector,
    int_or_percent,
    invalid,
    invalid_go,
    label_selector,
    one_of,
    required,
)
from pytest_selfrep.kubesim.validation.podchecks import template_causes

_IMMUTABLE = "field is immutable"
_JOB_POLICIES = ("OnFailure", "Never")
_STATEFUL_SET_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_MOST_CRON_JOB_NAME = 52
"""Eleven characters are appended to the names of its Jobs."""


def _owner_causes(spec: Object, old: Object | None, called: str) -> Iterable[Cause]:
    """What controllers of pods by selector have in common."""
    yield from at_least("spec.replicas", spec.get("replicas"))
    yield from at_least("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from at_least("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    selector, template = spec.get("selector"), spec.get("template")
    found = ((template or {}).get("metadata") or {}).get("labels") or {}
    mismatch = "`selector` does not match template `labels`"
    if selector is None:
        yield required("spec.selector")
        yield invalid_go("spec.template.metadata.labels", go_map(found), mismatch)
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        why = f"empty selector is invalid for {called}"
        yield invalid_go("spec.selector", go_selector(selector), why)
    else:
        wrong = list(label_selector("spec.selector", selector))
        yield from wrong
        if wrong:
            yield invalid_go("spec.selector", go_selector(selector), "invalid label selector")
        elif not parsed(selector).matches(found):
            yield invalid_go("spec.template.metadata.labels", go_map(found), mismatch)
    if old is not None and old["spec"].get("selector") != selector:
        yield invalid_go("spec.selector", go_selector(selector), _IMMUTABLE)
    if template is None:
        yield required("spec.template")
    elif old is None or old["spec"].get("template") is not template:
        yield from template_causes(template, "spec.template", ("Always",))


def deployment_causes(deployment: Object, old: Object | None) -> list[Cause]:
    spec = deployment["spec"]
    causes = list(_owner_causes(spec, old, "deployment"))
    strategy = spec["strategy"]
    causes += _strategy_causes("spec.strategy", strategy, "DeploymentStrategy", ("Recreate", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        causes.append(forbidden("spec.strategy.rollingUpdate", why))
    elif rolling is not None:
        causes += _rolling_causes(rolling, "spec.strategy.rollingUpdate")
    deadline, least = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    causes += at_least("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= least:
        why = "must be greater than minReadySeconds"
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, why))
    return causes


def _strategy_causes(at: str, strategy: Object, struct: str, types: tuple[str, ...]) -> Iterable[Cause]:
    """The whole strategy is what is shown as wrong."""
    if strategy["type"] not in types:
        shown = _go_strategy(strategy, struct)
        listed = ", ".join(f'"{each}"' for each in types)
        message = f"Unsupported value: {shown}: supported values: {listed}"
        yield Cause("FieldValueNotSupported", message, at)


def _go_strategy(strategy: Object, struct: str) -> str:
    kind = struct.removesuffix("UpdateStrategy").removesuffix("Strategy")
    suffix = "Strategy" if kind == "StatefulSet" else ""
    return (
        f'apps.{struct}{{Type:"{strategy["type"]}", RollingUpdate:(*apps.RollingUpdate{kind}{suffix})(nil)}}'
    )


def _rolling_causes(rolling: Object, at: str) -> Iterable[Cause]:
    surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    yield from int_or_percent(f"{at}.maxUnavailable", unavailable)
    yield from int_or_percent(f"{at}.maxSurge", surge)
    if surge in (0, "0%") and unavailable in (0, "0%"):
        yield invalid_go(f"{at}.maxUnavailable", f"{unavailable}", "may not be 0 when `maxSurge` is 0")
    if isinstance(unavailable, str) and unavailable[:-1].isdigit() and int(unavailable[:-1]) > 100:
        yield invalid_go(f"{at}.maxUnavailable", unavailable, "must not be greater than 100%")


def replica_set_causes(replica_set: Object, old: Object | None) -> list[Cause]:
    return list(_owner_causes(replica_set["spec"], old, "deployment"))


def replication_controller_causes(controller: Object, _old: Object | None) -> list[Cause]:
    spec = controller["spec"]
    selector, template = spec.get("selector"), spec.get("template")
    causes = [*at_least("spec.minReadySeconds", spec.get("minReadySeconds"))]
    causes += [] if selector else [required("spec.selector")]
    causes += at_least("spec.replicas", spec.get("replicas"))
    if template is None:
        return [*causes, required("spec.template")]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selector.items() <= labels.items():
        why = "`selector` does not match template `labels`"
        causes.append(invalid_go("spec.template.metadata.labels", go_map(labels), why))
    causes += template_causes(template, "spec.template", ("Always",))
    return causes


def stateful_set_causes(stateful_set: Object, old: Object | None) -> list[Cause]:
    spec = stateful_set["spec"]
    causes = list(_owner_causes(spec, None, "statefulset"))
    policy, strategy = spec["podManagementPolicy"], spec["updateStrategy"]
    if policy not in ("OrderedReady", "Parallel"):
        causes.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    if strategy["type"] not in ("RollingUpdate", "OnDelete"):
        shown = _go_strategy(strategy, "StatefulSetUpdateStrategy")
        causes.append(invalid_go("spec.updateStrategy", shown, "must be 'RollingUpdate' or 'OnDelete'"))
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    causes += at_least("spec.updateStrategy.rollingUpdate.partition", partition)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        if not (claim.get("metadata") or {}).get("name"):
            causes.append(required(f"spec.volumeClaimTemplates[{index}].metadata.name"))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for when in ("whenDeleted", "whenScaled"):
        at = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
        causes += one_of(at, retention.get(when), ("Retain", "Delete"))
    if old is not None and _fixed(spec) != _fixed(old["spec"]):
        listed = ", ".join(f"'{name}'" for name in _STATEFUL_SET_MAY_CHANGE[:-1])
        why = f"{listed} and '{_STATEFUL_SET_MAY_CHANGE[-1]}' are forbidden"
        causes.append(forbidden("spec", f"updates to statefulset spec for fields other than {why}"))
    return causes


def _fixed(spec: Object) -> Object:
    return {name: value for name, value in spec.items() if name not in _STATEFUL_SET_MAY_CHANGE}


def daemon_set_causes(daemon_set: Object, old: Object | None) -> list[Cause]:
    spec = daemon_set["spec"]
    causes = list(_owner_causes(spec, old, "daemonset"))
    strategy = spec["updateStrategy"]
    types = ("RollingUpdate", "OnDelete")
    causes += _strategy_causes("spec.updateStrategy", strategy, "DaemonSetUpdateStrategy", types)
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        at = "spec.updateStrategy.rollingUpdate"
        causes += int_or_percent(f"{at}.maxUnavailable", rolling.get("maxUnavailable"))
        causes += int_or_percent(f"{at}.maxSurge", rolling.get("maxSurge"))
        none = rolling.get("maxUnavailable") in (0, "0%"), rolling.get("maxSurge") in (0, "0%")
        if all(none):
            causes.append(required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
        elif not any(none):
            surge = rolling.get("maxSurge")
            causes.append(invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    return causes


def job_causes(job: Object, old: Object | None) -> list[Cause]:
    spec = job["spec"]
    causes = [*_generated_causes(job), *_job_spec_causes(spec, "spec"), *_job_label_causes(spec)]
    if old is not None:
        before = old["spec"]
        for name in ("completions", "completionMode", "selector"):
            if spec.get(name) != before.get(name) and not (name == "completions" and _elastic(spec)):
                causes.append(invalid(f"spec.{name}", spec.get(name), _IMMUTABLE))
        if spec["template"] != before["template"] and not before.get("suspend"):
            causes.append(invalid("spec.template", spec["template"], _IMMUTABLE))
    return causes


def _generated_causes(job: Object) -> Iterable[Cause]:
    """Of a selector that the client has added something to."""
    spec = job["spec"]
    generated = {"matchLabels": {"batch.kubernetes.io/controller-uid": job["metadata"].get("uid")}}
    if not spec.get("manualSelector") and spec.get("selector") not in (None, generated):
        yield invalid_go("spec.selector", go_selector(spec["selector"]), "`selector` not auto-generated")


def _job_label_causes(spec: Object) -> Iterable[Cause]:
    """Of pods that their Job would not know again."""
    selector = spec.get("selector")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not selector or not parsed(selector).matches(labels):
        why = "`selector` does not match template `labels`"
        yield invalid_go("spec.template.metadata.labels", go_map(labels), why)


def _elastic(spec: Object) -> bool:
    """An indexed Job may be resized by changing completions and parallelism together."""
    return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")


def _job_spec_causes(spec: Object, at: str) -> Iterable[Cause]:
    for name in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        yield from at_least(f"{at}.{name}", spec.get(name))
    yield from one_of(f"{at}.completionMode", spec.get("completionMode"), ("Indexed", "NonIndexed"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield required(f"{at}.completions", "when completion mode is Indexed")
    if spec.get("manualSelector") and spec.get("selector") is None:
        yield required(f"{at}.selector")
    template = spec["template"]
    if (template.get("spec") or {}).get("restartPolicy") == "Always":
        yield required(f"{at}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
        yield from template_causes(template, f"{at}.template")
    else:
        yield from template_causes(template, f"{at}.template", _JOB_POLICIES)


def cron_job_causes(cron_job: Object, _old: Object | None) -> list[Cause]:
    spec, name = cron_job["spec"], cron_job["metadata"]["name"]
    causes = list(_schedule_causes(spec))
    if len(name) > _MOST_CRON_JOB_NAME:
        why = f"must be no more than {_MOST_CRON_JOB_NAME} characters"
        causes.append(invalid("metadata.name", name, why))
    policies = ("Allow", "Forbid", "Replace")
    causes += one_of("spec.concurrencyPolicy", spec["concurrencyPolicy"], policies)
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        causes += at_least(f"spec.{field}", spec.get(field))
    causes += _job_spec_causes(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec")
    return causes


def _schedule_causes(spec: Object) -> Iterable[Cause]:
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    elif schedule.startswith(("TZ=", "CRON_TZ=")):
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid("spec.schedule", schedule, why)
    else:
        try:
            cron.parse(schedule)
        except ValueError as error:
            yield invalid("spec.schedule", schedule, str(error))
    if zone is not None and not _is_zone(zone):
        yield invalid("spec.timeZone", zone, f"unknown time zone {zone}")


@lru_cache(maxsize=64)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError):
        return False
    except LookupError:
        return False
    return True
