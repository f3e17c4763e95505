"""How many replicas a resource metric calls for (the autoscaler's ReplicaCalculator)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.nodes.usage import Usage, Used
from pytest_selfrep.kubesim.objects import Object, is_ready, is_terminating

TOLERANCE = Fraction(1, 10)
"""How far the use may be from its target, as a share of it, before anything happens."""

Amount = Fraction
"""Cores of CPU or bytes of memory."""


class NoMetric(Exception):
    """The metric cannot be had; the message is the controller's."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One of a HorizontalPodAutoscaler's ``spec.metrics``: CPU or memory of pods or of one container."""

    resource: str
    container: str | None
    target: Object

    @property
    def name(self) -> str:
        return f"{self.resource} {'container ' if self.container else ''}resource"

    @property
    def by_utilization(self) -> bool:
        return "averageUtilization" in self.target

    @property
    def description(self) -> str:
        """As reasons of rescaling name it."""
        return f"{self.name} utilization (percentage of request)" if self.by_utilization else self.name


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric says now."""

    replicas: int
    """How many it calls for."""
    average: Amount
    """Use per measured pod."""
    utilization: int | None
    """The same in percent of requests, where that is the target."""


@dataclass(frozen=True, slots=True)
class _Pods:
    measured: Sequence[Amount]
    unready: int
    missing: int
    requests: Sequence[Amount]
    """Of each measured pod, then of the others."""


def read(metric: Metric, pods: Sequence[Object], current: int, usage: Usage) -> Reading:
    """What a metric calls for, given the target's pods and current replicas. Raises NoMetric."""
    found = _sort(metric, pods, usage)
    if not found.measured:
        raise NoMetric(
            f"failed to get {metric.resource} utilization: unable to get metrics for resource "
            f"{metric.resource}: no metrics returned from resource metrics API"
            if not found.unready
            else f"failed to get {metric.resource} utilization: did not receive metrics for targeted pods "
            "(pods might be unready)"
        )
    average = sum(found.measured, Fraction(0)) / len(found.measured)
    goals = [_goal(metric, request) for request in found.requests]
    measured_goals, other_goals = goals[: len(found.measured)], goals[len(found.measured) :]
    wanted_use = sum(measured_goals, Fraction(0))
    if not wanted_use:
        raise NoMetric(f"failed to get {metric.resource} utilization: no metrics matched to known pods")
    ratio = sum(found.measured, Fraction(0)) / wanted_use
    utilization = None
    if metric.by_utilization:
        utilization = int(ratio * metric.target["averageUtilization"])
    if not other_goals or (ratio > 1 and not found.unready and not found.missing):
        wanted = current if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * len(found.measured))
        return Reading(wanted, average, utilization)
    return Reading(_cautious(found, ratio, goals, current), average, utilization)


def _cautious(found: _Pods, ratio: Fraction, goals: Sequence[Amount], current: int) -> int:
    """Take pods without a reading to hold the use down when scaling up, and up when scaling down."""
    total = sum(found.measured, Fraction(0))
    others = goals[len(found.measured) :]
    if ratio < 1:
        # Unready pods are left out; missing ones are taken to do just what they should.
        missing = others[found.unready :]
        total += sum(missing, Fraction(0))
        counted = [*goals[: len(found.measured)], *missing]
    else:
        counted = list(goals)
    new = total / sum(counted, Fraction(0))
    if abs(new - 1) <= TOLERANCE or (ratio < 1 < new) or (new < 1 < ratio):
        return current
    wanted = math.ceil(new * len(counted))
    if (new < 1 and wanted > current) or (new > 1 and wanted < current):
        return current
    return wanted


def _sort(metric: Metric, pods: Sequence[Object], usage: Usage) -> _Pods:
    shares = usage.shares()
    measured: list[tuple[Amount, Amount]] = []
    unready: list[Amount] = []
    missing: list[Amount] = []
    for pod in pods:
        phase = pod["status"].get("phase")
        if is_terminating(pod) or phase in ("Failed", "Succeeded"):
            continue
        request = _request(metric, pod)
        used = usage.of_pod(pod, shares)
        if phase == "Pending" or (metric.resource == "cpu" and used is not None and not is_ready(pod)):
            unready.append(request)
        elif used is None:
            missing.append(request)
        else:
            measured.append((_used(metric, used), request))
    requests = [*(request for _, request in measured), *unready, *missing]
    return _Pods([use for use, _ in measured], len(unready), len(missing), requests)


def _used(metric: Metric, used: Mapping[str, Used]) -> Amount:
    counted = [each for name, each in used.items() if metric.container in (None, name)]
    if metric.resource == "cpu":
        return Fraction(sum(each.nanocores for each in counted), 10**9)
    return Fraction(sum(each.memory_bytes for each in counted))


def _request(metric: Metric, pod: Object) -> Amount:
    """What the pod asks for of the resource; nothing where the target does not depend on it."""
    if not metric.by_utilization:
        return Fraction(0)
    total = Fraction(0)
    for container in pod["spec"]["containers"]:
        if metric.container not in (None, container["name"]):
            continue
        requests = (container.get("resources") or {}).get("requests") or {}
        if metric.resource not in requests:
            raise NoMetric(
                f"failed to get {metric.resource} utilization: missing request for {metric.resource} "
                f"in container {container['name']} of Pod {pod['metadata']['name']}"
            )
        total += quantity.parse(requests[metric.resource])
    return total


def _goal(metric: Metric, request: Amount) -> Amount:
    """What one pod ought to use."""
    if metric.by_utilization:
        return request * int(metric.target["averageUtilization"]) / 100
    return quantity.parse(metric.target["averageValue"])
