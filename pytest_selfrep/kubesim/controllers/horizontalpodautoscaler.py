"""HorizontalPodAutoscalers: scale workloads by the CPU and memory that their pods use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.apiserver import scales
from pytest_selfrep.kubesim.clock import Timer
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.replicacalculator import Metric, NoMetric, Reading, read
from pytest_selfrep.kubesim.controllers.scalingrules import LIMITED, Decision, History, decide
from pytest_selfrep.kubesim.kinds import (
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    Kind,
)
from pytest_selfrep.kubesim.nodes.usage import Usage
from pytest_selfrep.kubesim.objects import Key, Object, conditions_of, key_of, labels_of
from pytest_selfrep.kubesim.selectors import parse_labels
from pytest_selfrep.kubesim.store import Change

USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
SYNC_SECONDS = 15.0
REMEMBERED_SECONDS = 3600.0
"""The longest window or period that a behavior may name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an autoscaler's status."""

    type: str
    status: bool
    reason: str
    message: str


class HorizontalPodAutoscaler:
    """Looks at each autoscaler every 15 seconds, while there are any."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context, usage: Usage) -> None:
        self._context = context
        self._usage = usage
        self._timers: dict[Key, Timer] = {}
        self._histories: dict[str, History] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {HORIZONTAL_POD_AUTOSCALER: _changed}

    def reconcile(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        hpa = self._context.store.get(HORIZONTAL_POD_AUTOSCALER, key)
        if hpa is None:
            return
        self._sync(hpa)
        again = self._context.clock.after(SYNC_SECONDS, lambda: self._context.queue.add(self, key))
        self._timers[key] = again

    def _sync(self, hpa: Object) -> None:
        target = self._target(hpa)
        if target is None:
            self._lack_target(hpa)
            return
        kind, workload = target
        current = scales.wanted(kind, workload)
        able = Condition(
            "AbleToScale",
            True,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        if current == 0:
            message = "scaling is disabled since the replica count of the target is zero"
            idle = Condition("ScalingActive", False, "ScalingDisabled", message)
            self._report(hpa, (able, idle), current, current)
            return
        low, high = hpa["spec"].get("minReplicas", 1), hpa["spec"]["maxReplicas"]
        if current > high:
            self._scale(
                hpa, kind, workload, high, "Current number of replicas above Spec.MaxReplicas", (able,)
            )
        elif current < low:
            self._scale(
                hpa, kind, workload, low, "Current number of replicas below Spec.MinReplicas", (able,)
            )
        else:
            self._follow_metrics(hpa, kind, workload, able)

    def _follow_metrics(self, hpa: Object, kind: Kind, workload: Object, able: Condition) -> None:
        current, now = scales.wanted(kind, workload), self._context.clock.now
        metrics, pods = _metrics(hpa), self._pods(kind, workload)
        readings: list[tuple[Metric, Reading]] = []
        failures: list[tuple[Metric, str]] = []
        for metric in metrics:
            try:
                readings.append((metric, read(metric, pods, current, self._usage)))
            except NoMetric as missing:
                failures.append((metric, str(missing)))
        for _, message in failures:
            self._record(hpa, "Warning", "FailedGetResourceMetric", message)
        shown = [_current_metric(metric, reading) for metric, reading in readings]
        wanted, decisive = _highest(readings)
        if failures and (not readings or wanted <= current):
            self._lack_metrics(hpa, failures, len(metrics), able, current, shown)
            return
        uid = hpa["metadata"]["uid"]
        history = self._histories.get(uid)
        if history is None:
            # What there is counts as the first recommendation, so that nothing is scaled down at once.
            history = self._histories[uid] = History([(now, current)])
        history.forget(now - REMEMBERED_SECONDS)
        decision = decide(hpa["spec"], current, wanted, history, now)
        conditions = _conditions(decision, decisive)
        if decision.replicas == current:
            self._report(hpa, conditions, current, current, shown)
            return
        history.changes.append((now, decision.replicas - current))
        above = f"{decisive.description} above target"
        reason = above if decision.replicas > current else "All metrics below target"
        self._scale(hpa, kind, workload, decision.replicas, reason, conditions, shown)

    def _scale(
        self,
        hpa: Object,
        kind: Kind,
        workload: Object,
        replicas: int,
        reason: str,
        conditions: Sequence[Condition],
        metrics: Sequence[Object] = (),
    ) -> None:
        current = scales.wanted(kind, workload)
        self._context.writer(USER).update(kind, scales.resized(kind, workload, replicas))
        self._record(hpa, "Normal", "SuccessfulRescale", f"New size: {replicas}; reason: {reason}")
        message = f"the HPA controller was able to update the target scale to {replicas}"
        able = Condition("AbleToScale", True, "SucceededRescale", message)
        others = [each for each in conditions if each.type != "AbleToScale"]
        self._report(hpa, (able, *others), current, replicas, metrics, rescaled=True)

    def _target(self, hpa: Object) -> tuple[Kind, Object] | None:
        reference = hpa["spec"]["scaleTargetRef"]
        kind = self._context.kinds.of_object(reference.get("apiVersion", ""), reference["kind"])
        if kind is None or not scales.is_scalable(kind):
            return None
        found = self._context.store.get(kind, Key(hpa["metadata"]["namespace"], reference["name"]))
        return None if found is None else (kind, found)

    def _pods(self, kind: Kind, workload: Object) -> list[Object]:
        selector = parse_labels(scales.selector(kind, workload))
        pods = self._context.store.list(POD, workload["metadata"]["namespace"])
        return [pod for pod in pods if selector.matches(labels_of(pod))]

    def _lack_target(self, hpa: Object) -> None:
        reference = hpa["spec"]["scaleTargetRef"]
        kind = self._context.kinds.of_object(reference.get("apiVersion", ""), reference["kind"])
        if kind is not None and scales.is_scalable(kind):
            why = f'{kind.plural}/scale.{kind.group} "{reference["name"]}" not found'
        else:
            group = reference.get("apiVersion", "").partition("/")[0]
            why = f'no matches for kind "{reference["kind"]}" in group "{group}"'
        self._record(hpa, "Warning", "FailedGetScale", why)
        message = f"the HPA controller was unable to get the target's current scale: {why}"
        status = hpa.get("status") or {}
        replicas = status.get("currentReplicas", 0), status.get("desiredReplicas", 0)
        self._report(hpa, (Condition("AbleToScale", False, "FailedGetScale", message),), *replicas)

    def _lack_metrics(
        self,
        hpa: Object,
        failures: Sequence[tuple[Metric, str]],
        count: int,
        able: Condition,
        current: int,
        shown: Sequence[Object],
    ) -> None:
        metric, first = failures[0]
        why = f"failed to get {metric.name} metric value: {first}"
        message = f"the HPA was unable to compute the replica count: {first}"
        failed = Condition("ScalingActive", False, "FailedGetResourceMetric", message)
        summary = f"invalid metrics ({len(failures)} invalid out of {count}), first error is: {why}"
        self._record(hpa, "Warning", "FailedComputeMetricsReplicas", summary)
        self._report(hpa, (able, failed), current, 0, shown)

    def _record(self, hpa: Object, type_: str, reason: str, message: str) -> None:
        self._context.writer(USER).record(hpa, type_, reason, message)

    def _report(
        self,
        hpa: Object,
        conditions: Sequence[Condition],
        current: int,
        desired: int,
        metrics: Sequence[Object] = (),
        *,
        rescaled: bool = False,
    ) -> None:
        now = self._context.clock.timestamp()
        status: Object = {
            **(hpa.get("status") or {}),
            "currentReplicas": current,
            "desiredReplicas": desired,
            "currentMetrics": list(metrics),
            "conditions": _merged(hpa, conditions, now),
        }
        if not metrics:
            status["currentMetrics"] = None
        if rescaled:
            status["lastScaleTime"] = now
        self._context.writer(USER).update_status(HORIZONTAL_POD_AUTOSCALER, {**hpa, "status": status})


def _changed(change: Change) -> Iterable[Key]:
    if change.old is not None and change.type == "MODIFIED" and change.old["spec"] == change.object["spec"]:
        return ()
    return (key_of(change.object),)


def _metrics(hpa: Object) -> list[Metric]:
    """The resource metrics of a spec; other kinds of metrics have no source here."""
    metrics = []
    for each in hpa["spec"].get("metrics") or ():
        source = each.get("resource") or each.get("containerResource")
        if source:
            metrics.append(Metric(source["name"], source.get("container"), source["target"]))
    return metrics or [Metric("cpu", None, {"type": "Utilization", "averageUtilization": 80})]


def _highest(readings: Sequence[tuple[Metric, Reading]]) -> tuple[int, Metric]:
    if not readings:
        return 0, Metric("", None, {})
    metric, reading = max(readings, key=lambda each: each[1].replicas)
    return reading.replicas, metric


def _current_metric(metric: Metric, reading: Reading) -> Object:
    if metric.resource == "cpu":
        average = quantity.render(Fraction(math.ceil(reading.average * 1000), 1000))
    else:
        average = str(int(reading.average))
    current: Object = {"averageValue": average}
    if reading.utilization is not None:
        current["averageUtilization"] = reading.utilization
    if metric.container is None:
        return {"type": "Resource", "resource": {"name": metric.resource, "current": current}}
    source = {"name": metric.resource, "container": metric.container, "current": current}
    return {"type": "ContainerResource", "containerResource": source}


def _conditions(decision: Decision, metric: Metric) -> tuple[Condition, ...]:
    if decision.stabilized is not None:
        able = Condition("AbleToScale", True, *decision.stabilized)
    else:
        matches = "recommended size matches current size"
        able = Condition("AbleToScale", True, "ReadyForNewScale", matches)
    found = f"the HPA was able to successfully calculate a replica count from {metric.description}"
    limited = decision.limited
    return (
        able,
        Condition("ScalingActive", True, "ValidMetricFound", found),
        Condition("ScalingLimited", limited != "DesiredWithinRange", limited, LIMITED[limited]),
    )


def _merged(hpa: Object, wanted: Sequence[Condition], now: str) -> list[Object]:
    conditions = {each["type"]: each for each in conditions_of(hpa)}
    for each in wanted:
        old, status = conditions.get(each.type), str(each.status)
        since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
        conditions[each.type] = {
            "type": each.type,
            "status": status,
            "lastTransitionTime": since,
            "reason": each.reason,
            "message": each.message,
        }
    return list(conditions.values())
