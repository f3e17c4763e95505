"""HorizontalPodAutoscalers: from what pods use to how many there are."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, Object, deployment

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
HPAS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"


def hpa(low: int = 1, high: int = 10, percent: int = 50, **spec: Any) -> Object:
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [{"type": "Resource", "resource": metric}],
            **spec,
        },
    }


def replicas(kube: Kube) -> int:
    return int(kube.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"])


def load(kube: Kube, cores: float) -> None:
    kube.cluster.set_cpu("default", "app=web", cores)


def conditions(kube: Kube) -> dict[str, tuple[str, str]]:
    status = kube.get(f"{HPAS}/web")["status"]
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


@pytest.fixture
def web(three_nodes: Kube) -> Kube:
    """Two replicas of ``web`` that ask for 200m each and have run for a minute."""
    three_nodes.create(DEPLOYMENTS, deployment("web", 2, cpu="200m"))
    three_nodes.advance(60)
    return three_nodes


def test_replicas_follow_the_load_up(web: Kube) -> None:
    load(web, 0.5)
    web.create(HPAS, hpa())
    assert replicas(web) == 6
    assert (
        "SuccessfulRescale",
        "New size: 6; reason: cpu resource utilization (percentage of request) above target",
    ) in (web.events("web"))
    web.advance(120)
    assert 5 <= replicas(web) <= 6


def test_a_doubling_of_pods_or_four_more_is_the_fastest_rise(web: Kube) -> None:
    load(web, 4)
    web.create(HPAS, hpa(high=30))
    assert replicas(web) == 6
    assert conditions(web)["ScalingLimited"] == ("True", "ScaleUpLimit")


def test_the_maximum_holds(web: Kube) -> None:
    load(web, 4)
    web.create(HPAS, hpa(high=4))
    web.advance(300)
    assert replicas(web) == 4
    assert conditions(web)["ScalingLimited"] == ("True", "TooManyReplicas")


def test_replicas_go_down_only_after_five_minutes_of_less_load(web: Kube) -> None:
    load(web, 0.5)
    web.create(HPAS, hpa())
    web.advance(120)
    peak = replicas(web)
    load(web, 0)
    web.advance(240)
    assert replicas(web) == peak
    assert conditions(web)["AbleToScale"] == ("True", "ScaleDownStabilized")
    web.advance(120)
    assert replicas(web) == 1
    assert ("SuccessfulRescale", "New size: 1; reason: All metrics below target") in web.events("web")


def test_a_new_autoscaler_does_not_scale_down_at_once(web: Kube) -> None:
    web.create(HPAS, hpa())
    web.advance(270)
    assert replicas(web) == 2
    web.advance(60)
    assert replicas(web) == 1


def test_a_behavior_may_shorten_the_window_and_slow_the_descent(web: Kube) -> None:
    slow = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    load(web, 0.5)
    web.create(HPAS, hpa(behavior={"scaleDown": slow}))
    web.advance(60)
    peak = replicas(web)
    load(web, 0)
    web.advance(20)
    assert replicas(web) == peak - 1
    web.advance(60)
    assert replicas(web) == peak - 2


def test_a_behavior_may_forbid_to_scale_down(web: Kube) -> None:
    load(web, 0.5)
    web.create(HPAS, hpa(behavior={"scaleDown": {"selectPolicy": "Disabled"}}))
    load(web, 0)
    peak = replicas(web)
    web.advance(1000)
    assert replicas(web) == peak


def test_use_close_to_the_target_changes_nothing(web: Kube) -> None:
    load(web, 0.208)
    web.create(HPAS, hpa())
    web.advance(600)
    assert replicas(web) == 2
    assert conditions(web) == {
        "AbleToScale": ("True", "ReadyForNewScale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }


def test_the_status_shows_what_was_measured(web: Kube) -> None:
    load(web, 0.2)
    web.create(HPAS, hpa())
    status = web.get(f"{HPAS}/web")["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 2)
    (metric,) = status["currentMetrics"]
    assert metric["type"] == "Resource"
    assert metric["resource"]["name"] == "cpu"
    assert 50 <= metric["resource"]["current"]["averageUtilization"] <= 52
    assert metric["resource"]["current"]["averageValue"].endswith("m")


@pytest.mark.parametrize(
    ("now", "low", "high", "then", "word"),
    [(2, 4, 10, 4, "below Spec.MinReplicas"), (6, 1, 3, 3, "above Spec.MaxReplicas")],
)
def test_replicas_out_of_range_are_put_right(
    web: Kube, now: int, low: int, high: int, then: int, word: str
) -> None:
    web.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": now}})
    web.create(HPAS, hpa(low=low, high=high))
    assert replicas(web) == then
    message = f"New size: {then}; reason: Current number of replicas {word}"
    assert ("SuccessfulRescale", message) in web.events("web")


def test_a_workload_at_zero_is_left_alone(web: Kube) -> None:
    web.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 0}})
    web.create(HPAS, hpa())
    web.advance(60)
    assert replicas(web) == 0
    assert conditions(web)["ScalingActive"] == ("False", "ScalingDisabled")


def test_pods_without_requests_cannot_be_scaled_by_utilization(three_nodes: Kube) -> None:
    three_nodes.create(DEPLOYMENTS, deployment("web", 1))
    three_nodes.advance(60)
    three_nodes.create(HPAS, hpa())
    assert conditions(three_nodes)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    (first, *_) = [
        message for reason, message in three_nodes.events("web") if reason == "FailedGetResourceMetric"
    ]
    assert first.startswith(
        "failed to get cpu utilization: missing request for cpu in container web of Pod web-"
    )


def test_a_missing_target_is_reported(three_nodes: Kube) -> None:
    three_nodes.create(HPAS, hpa())
    assert conditions(three_nodes)["AbleToScale"] == ("False", "FailedGetScale")
    assert three_nodes.events("web")[0] == ("FailedGetScale", 'deployments/scale.apps "web" not found')


def test_memory_and_average_values_work_too(web: Kube) -> None:
    metric = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Mi"}}
    web.create(HPAS, hpa(high=5, metrics=[{"type": "Resource", "resource": metric}]))
    assert replicas(web) == 5


def test_the_neediest_metric_wins(web: Kube) -> None:
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    load(web, 0.5)
    metrics = [{"type": "Resource", "resource": each} for each in (memory, cpu)]
    web.create(HPAS, hpa(metrics=metrics))
    assert replicas(web) == 6


def test_nothing_happens_anymore_once_the_autoscaler_is_deleted(web: Kube) -> None:
    web.create(HPAS, hpa())
    web.delete(f"{HPAS}/web")
    load(web, 2)
    web.advance(600)
    assert replicas(web) == 2
