"""Subresources: status, scale, finalize, binding, exec."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SCALE = f"{DEPLOYMENTS}/web/scale"


@pytest.fixture
def web(kube: Kube) -> Kube:
    kube.create(DEPLOYMENTS, deployment("web", 2))
    return kube


def test_a_write_to_the_status_leaves_spec_and_metadata(web: Kube) -> None:
    before = web.get(f"{DEPLOYMENTS}/web")
    changed = {
        **before,
        "metadata": {**before["metadata"], "labels": {"other": "1"}},
        "spec": {**before["spec"], "replicas": 9},
        "status": {**before["status"], "collisionCount": 4},
    }
    after = web.replace(f"{DEPLOYMENTS}/web/status", changed)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert web.get(f"{DEPLOYMENTS}/web/status")["status"]["collisionCount"] == 4


def test_scale_shows_replicas_and_selector(web: Kube) -> None:
    meta = web.get(f"{DEPLOYMENTS}/web")["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    assert web.get(SCALE) == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in shown},
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "selector": "app=web"},
    }


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_scale_changes_the_replicas_and_nothing_else(web: Kube, verb: str) -> None:
    before = web.get(f"{DEPLOYMENTS}/web")["spec"]
    if verb == "PUT":
        scale = web.get(SCALE)
        scale["spec"]["replicas"] = 5
        answer = web.replace(SCALE, scale)
    else:
        answer = web.merge(SCALE, {"spec": {"replicas": 5}})
    assert answer["spec"] == {"replicas": 5}
    assert web.get(f"{DEPLOYMENTS}/web")["spec"] == {**before, "replicas": 5}
    assert len(web.pods()) == 5


def test_scale_to_zero_leaves_the_field_out_as_go_does(web: Kube) -> None:
    assert web.merge(SCALE, {"spec": {"replicas": 0}})["spec"] == {}
    assert web.pods() == []


def test_scale_below_zero_is_invalid(web: Kube) -> None:
    answer = web.send("PATCH", SCALE, {"spec": {"replicas": -1}}, content_type="application/merge-patch+json")
    assert (answer.status, answer.body["message"]) == (
        422,
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: '
        "must be greater than or equal to 0",
    )


def test_scale_with_a_stale_resource_version_is_a_conflict(web: Kube) -> None:
    scale = web.get(SCALE)
    web.merge(SCALE, {"spec": {"replicas": 3}})
    assert web.refusal("PUT", SCALE, scale)["reason"] == "Conflict"


@pytest.mark.parametrize(
    "body", [{"spec": {"replicas": "x"}}, {"spec": "x"}, {"metadata": {"name": "other"}}]
)
def test_a_malformed_scale_is_a_bad_request(web: Kube, body: dict[str, Any]) -> None:
    assert web.refusal("PUT", SCALE, body)["code"] == 400


def test_binding_assigns_a_pod_to_a_node_once(kube: Kube) -> None:
    kube.add_pod("a", schedulerName="my-scheduler")
    kube.add_node("worker-1")
    body = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "worker-1"}}
    assert kube.create(f"{PODS}/a/binding", body)["status"] == "Success"
    assert kube.node_of("a") == "worker-1"
    assert kube.condition("a", "PodScheduled")["status"] == "True"
    refused = kube.refusal("POST", f"{PODS}/a/binding", body)
    assert refused["code"] == 409
    assert 'pod a is already assigned to node "worker-1"' in refused["message"]


def test_binding_to_a_node_that_is_not_there_is_refused(kube: Kube) -> None:
    kube.add_pod("a")
    body = {"target": {"kind": "Node", "name": "gone"}}
    assert kube.refusal("POST", f"{PODS}/a/binding", body)["code"] == 404


@pytest.mark.parametrize("name", ["exec", "attach", "portforward"])
def test_sessions_need_a_pod_and_a_connection_of_their_own(three_nodes: Kube, name: str) -> None:
    three_nodes.add_pod("a")
    three_nodes.advance(10)
    query = {"command": "true", "stdout": "true"}
    refused = three_nodes.refusal("POST", f"{PODS}/a/{name}", query=query)
    assert (refused["code"], refused["message"]) == (400, "Upgrade request required")
    assert three_nodes.refusal("POST", f"{PODS}/gone/{name}", query=query)["code"] == 404


def test_finalizing_a_namespace_takes_its_last_hold_away(kube: Kube) -> None:
    path = "/api/v1/namespaces/shop"
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}, "spec": {"finalizers": []}})
    assert kube.get(path)["spec"]["finalizers"] == ["kubernetes"]
    changed = kube.merge(path, {"spec": {"finalizers": []}})
    assert changed["spec"]["finalizers"] == ["kubernetes"]
    freed = kube.replace(f"{path}/finalize", {"metadata": {"name": "shop"}, "spec": {"finalizers": []}})
    assert freed["spec"]["finalizers"] == []
    assert kube.delete(path)["kind"] in ("Namespace", "Status")
    assert not kube.exists(path)


def test_events_that_repeat_are_counted_and_similar_ones_combined(kube: Kube) -> None:
    made = kube.add_pod("a")
    writer = kube.cluster.writer("system:node:worker-1")
    for _ in range(3):
        writer.record(made, "Warning", "BackOff", "again")
    (event,) = [e for e in kube.get("/api/v1/events")["items"] if e["reason"] == "BackOff"]
    assert (event["count"], event["source"]) == (3, {"component": "kubelet", "host": "worker-1"})
    for count in range(30):
        writer.record(made, "Warning", "Strange", f"number {count}")
    strange = [e for e in kube.get("/api/v1/events")["items"] if e["reason"] == "Strange"]
    assert len(strange) == 10
    (combined,) = [e for e in strange if e["message"].startswith("(combined from similar events): ")]
    assert combined["message"].endswith("number 29")
    assert combined["count"] == 21
