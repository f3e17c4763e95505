"""autoscaling/v1: the same autoscalers in an older form, as ``kubectl autoscale`` writes them."""

from __future__ import annotations

import orjson
from kube_driver import Kube, deployment

V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
}
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 60}}
PREFIX = "autoscaling.alpha.kubernetes.io"


def older(**spec: object) -> dict[str, object]:
    return {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec}}


def test_what_is_written_in_v1_is_read_in_v2(kube: Kube) -> None:
    created = kube.create(V1, older(targetCPUUtilizationPercentage=60))
    assert (created["apiVersion"], created["spec"]["minReplicas"]) == ("autoscaling/v1", 1)
    assert created["spec"]["targetCPUUtilizationPercentage"] == 60
    stored = kube.get(f"{V2}/web")
    assert (stored["apiVersion"], stored["spec"]["metrics"]) == ("autoscaling/v2", [CPU])
    assert kube.get(V1)["apiVersion"] == "autoscaling/v1"
    assert kube.get(V1)["items"][0]["spec"] == created["spec"]


def test_without_a_target_it_is_eighty_percent(kube: Kube) -> None:
    assert kube.create(V1, older())["spec"]["targetCPUUtilizationPercentage"] == 80


def test_what_v1_cannot_say_is_in_annotations_and_survives_a_round_trip(kube: Kube) -> None:
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 5, "metrics": [CPU, MEMORY], "behavior": BEHAVIOR}
    kube.create(V2, {"metadata": {"name": "web"}, "spec": spec})
    before = kube.get(f"{V2}/web")["spec"]
    found = kube.get(f"{V1}/web")
    annotations = found["metadata"]["annotations"]
    assert orjson.loads(annotations[f"{PREFIX}/metrics"]) == [
        {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}
    ]
    assert orjson.loads(annotations[f"{PREFIX}/behavior"])["ScaleDown"]["StabilizationWindowSeconds"] == 60
    kube.replace(f"{V1}/web", found)
    assert kube.get(f"{V2}/web")["spec"] == before


def test_the_status_says_what_was_measured(three_nodes: Kube) -> None:
    three_nodes.create("/apis/apps/v1/namespaces/default/deployments", deployment("web", 1, cpu="100m"))
    three_nodes.advance(60)
    three_nodes.create(V1, older(targetCPUUtilizationPercentage=50))
    three_nodes.advance(60)
    found = three_nodes.get(f"{V1}/web")
    assert found["status"]["currentReplicas"] == 1
    assert "currentCPUUtilizationPercentage" in found["status"]
    conditions = orjson.loads(found["metadata"]["annotations"][f"{PREFIX}/conditions"])
    assert {each["type"] for each in conditions} >= {"AbleToScale", "ScalingActive"}


def test_it_can_be_patched_watched_and_deleted(kube: Kube) -> None:
    kube.create(V1, older())
    kube.merge(f"{V1}/web", {"spec": {"targetCPUUtilizationPercentage": 30}})
    metric = kube.get(f"{V2}/web")["spec"]["metrics"][0]
    assert metric["resource"]["target"]["averageUtilization"] == 30
    stream = kube.send("GET", V1, query={"watch": "true"}).stream
    assert stream is not None
    (event,) = stream.poll()
    assert event["object"]["apiVersion"] == "autoscaling/v1"
    kube.delete(f"{V1}/web")
    assert not kube.exists(f"{V2}/web")


def test_discovery_prefers_v2_and_knows_both(kube: Kube) -> None:
    group = kube.get("/apis/autoscaling")
    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]
    assert group["preferredVersion"]["version"] == "v2"
    (resource,) = kube.get("/apis/autoscaling/v1")["resources"]
    assert (resource["name"], resource["shortNames"]) == ("horizontalpodautoscalers", ["hpa"])
