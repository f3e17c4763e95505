"""The resource metrics API: what nodes and pods use."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, pod

METRICS = "/apis/metrics.k8s.io/v1beta1"
POD_METRICS = f"{METRICS}/namespaces/default/pods"


def millicores(quantity: str) -> float:
    assert quantity.endswith("n")
    return int(quantity[:-1]) / 1e6


def cpu_of(kube: Kube, name: str) -> float:
    (container,) = kube.get(f"{POD_METRICS}/{name}")["containers"]
    return millicores(container["usage"]["cpu"])


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    """Two pods that have run for a minute."""
    for name in ("a", "b"):
        three_nodes.add_pod(name, cpu="100m", memory="128Mi")
    three_nodes.advance(60)
    return three_nodes


def test_pod_metrics_have_the_shape_that_metrics_server_gives_them(kube: Kube) -> None:
    found = kube.get(f"{POD_METRICS}/a")
    assert (found["kind"], found["apiVersion"]) == ("PodMetrics", "metrics.k8s.io/v1beta1")
    assert found["metadata"]["name"] == "a"
    assert found["metadata"]["namespace"] == "default"
    assert found["metadata"]["labels"] == {"app": "web"}
    assert found["timestamp"] == kube.cluster.clock.timestamp()
    (container,) = found["containers"]
    assert container["name"] == "web"
    assert container["usage"]["memory"].endswith("Ki")


def test_idle_pods_use_a_little_and_always_the_same(kube: Kube) -> None:
    assert 0 < cpu_of(kube, "a") < 10
    before = kube.get(f"{POD_METRICS}/a")["containers"]
    kube.advance(600)
    assert kube.get(f"{POD_METRICS}/a")["containers"] == before


def test_a_load_is_shared_among_the_ready_pods_that_match(kube: Kube) -> None:
    kube.create("/api/v1/namespaces/default/pods", pod("other", labels={"app": "db"}))
    kube.advance(60)
    idle = {name: cpu_of(kube, name) for name in ("a", "b", "other")}
    kube.cluster.set_cpu("default", "app=web", 0.5)
    assert cpu_of(kube, "a") - idle["a"] == pytest.approx(250)
    assert cpu_of(kube, "b") - idle["b"] == pytest.approx(250)
    assert cpu_of(kube, "other") == idle["other"]
    kube.delete("/api/v1/namespaces/default/pods/b")
    assert cpu_of(kube, "a") - idle["a"] == pytest.approx(500)
    kube.cluster.set_cpu("default", "app=web", 0)
    assert cpu_of(kube, "a") == idle["a"]


def test_a_cpu_limit_throttles(kube: Kube) -> None:
    kube.add_pod("bound", labels={"app": "api"}, resources={"limits": {"cpu": "200m"}})
    kube.advance(60)
    kube.cluster.set_cpu("default", "app=api", 3)
    assert cpu_of(kube, "bound") == 200


@pytest.mark.parametrize("cores", [-1.0, float("nan"), float("inf")])
def test_an_impossible_load_is_refused(kube: Kube, cores: float) -> None:
    with pytest.raises(ValueError, match="cores"):
        kube.cluster.set_cpu("default", "app=web", cores)


def test_a_pod_is_measured_once_it_has_run_for_a_while(kube: Kube) -> None:
    kube.add_pod("new")
    kube.advance(5)
    missing = kube.refusal("GET", f"{POD_METRICS}/new")
    assert missing["code"] == 404
    assert missing["message"] == 'podmetrics.metrics.k8s.io "default/new" not found'
    assert [each["metadata"]["name"] for each in kube.get(POD_METRICS)["items"]] == ["a", "b"]
    kube.advance(20)
    assert len(kube.get(POD_METRICS)["items"]) == 3


def test_pod_metrics_can_be_listed_by_label_and_over_all_namespaces(kube: Kube) -> None:
    kube.merge("/api/v1/namespaces/default/pods/a", {"metadata": {"labels": {"tier": "front"}}})
    listed = kube.get(POD_METRICS, labelSelector="tier=front")
    assert (listed["kind"], len(listed["items"])) == ("PodMetricsList", 1)
    assert len(kube.get(f"{METRICS}/pods")["items"]) == 2


def test_a_node_uses_what_its_pods_use_and_something_for_itself(kube: Kube) -> None:
    def used(name: str) -> Any:
        return millicores(kube.get(f"{METRICS}/nodes/{name}")["usage"]["cpu"])

    before = used("worker-1")
    assert before > 50
    kube.cluster.set_cpu("default", "app=web", 2)
    assert used("worker-1") - before == pytest.approx(1000)
    listed = kube.get(f"{METRICS}/nodes")
    assert listed["kind"] == "NodeMetricsList"
    assert [each["metadata"]["name"] for each in listed["items"]] == ["worker-1", "worker-2", "worker-3"]


def test_an_unknown_node_has_no_metrics(kube: Kube) -> None:
    missing = kube.refusal("GET", f"{METRICS}/nodes/worker-9")
    assert missing["message"] == 'nodemetrics.metrics.k8s.io "worker-9" not found'
