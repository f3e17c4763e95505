"""Nodes that shrink, go, fail or are tainted, and what becomes of their pods."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import NODES, PODS, Kube, Object, deployment, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

PATIENCE = {"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}


def taint(kube: Kube, node: str, effect: str, key: str = "maintenance") -> None:
    kube.merge(f"{NODES}/{node}", {"spec": {"taints": [{"key": key, "effect": effect}]}})


def running(kube: Kube) -> list[Any]:
    return [each for each in kube.pods() if each["status"]["phase"] == "Running"]


def test_a_node_as_built_is_healthy_and_complete(kube: Kube) -> None:
    kube.add_node(
        "worker-1", cpu="8", memory="32Gi", pods=50, extended={"nvidia.com/gpu": 2}, labels={"zone": "a"}
    )
    node = kube.get(f"{NODES}/worker-1")
    assert node["status"]["capacity"] == node["status"]["allocatable"]
    assert node["status"]["capacity"]["cpu"] == "8"
    assert node["status"]["capacity"]["nvidia.com/gpu"] == "2"
    assert node["metadata"]["labels"]["zone"] == "a"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "worker-1"
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions == {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "Ready": "True",
    }
    info = node["status"]["nodeInfo"]
    assert info["kubeletVersion"] == "v1.32.4"
    assert len(info) == 10
    assert all(isinstance(value, str) and value for value in info.values())


def test_pods_that_no_longer_fit_are_evicted_youngest_first(kube: Kube) -> None:
    kube.add_node("worker-1", cpu="4")
    for name in ("old", "middle", "young"):
        kube.add_pod(name, cpu="1")
        kube.advance(5)
    kube.resize_node("worker-1", cpu="2")
    phases = {each["metadata"]["name"]: each["status"]["phase"] for each in kube.pods()}
    assert phases == {"old": "Running", "middle": "Running", "young": "Failed"}
    status = kube.pod("young")["status"]
    assert (status["reason"], status["message"]) == ("Evicted", "The node was low on resource: cpu. ")
    assert kube.condition("young", "DisruptionTarget")["reason"] == "TerminationByKubelet"
    assert ("Evicted", "The node was low on resource: cpu. ") in kube.events("young")


def test_pods_of_low_priority_are_evicted_first(kube: Kube) -> None:
    kube.add_node("worker-1", cpu="4")
    kube.add_pod("low", cpu="1")
    kube.advance(5)
    important = pod("high", cpu="1")
    important["spec"]["priorityClassName"] = "system-cluster-critical"
    important["metadata"]["namespace"] = "kube-system"
    kube.create("/api/v1/namespaces/kube-system/pods", important)
    kube.advance(5)
    kube.resize_node("worker-1", cpu="1")
    assert kube.pod("low")["status"]["phase"] == "Failed"
    assert kube.get("/api/v1/namespaces/kube-system/pods/high")["status"]["phase"] == "Running"


def test_pods_that_the_system_needs_are_never_evicted(kube: Kube) -> None:
    kube.add_node("worker-1", cpu="4")
    important = pod("high", cpu="1", priorityClassName="system-node-critical")
    kube.create("/api/v1/namespaces/kube-system/pods", important)
    kube.advance(5)
    kube.resize_node("worker-1", cpu="500m")
    assert kube.get("/api/v1/namespaces/kube-system/pods/high")["status"]["phase"] == "Running"


def test_pods_that_do_not_ask_for_what_is_short_stay(kube: Kube) -> None:
    kube.add_node("gpu", extended={"nvidia.com/gpu": 1})
    kube.add_pod("model", resources={"limits": {"nvidia.com/gpu": "1"}})
    kube.add_pod("web", cpu="1")
    kube.advance(5)
    kube.resize_node("gpu", extended={"nvidia.com/gpu": 0})
    assert kube.pod("model")["status"]["reason"] == "Evicted"
    assert kube.pod("web")["status"]["phase"] == "Running"


def test_an_evicted_pod_is_replaced_elsewhere_by_its_owner(three_nodes: Kube) -> None:
    three_nodes.create(DEPLOYMENTS, deployment("web", 3, cpu="2"))
    three_nodes.advance(5)
    three_nodes.resize_node("worker-1", cpu="1")
    three_nodes.advance(5)
    assert len(running(three_nodes)) == 3
    assert not any(each["spec"]["nodeName"] == "worker-1" for each in running(three_nodes))


def test_a_node_that_grows_again_takes_what_was_pending(kube: Kube) -> None:
    kube.add_node("worker-1", cpu="4")
    kube.create(DEPLOYMENTS, deployment("web", 4, cpu="1"))
    kube.advance(5)
    kube.resize_node("worker-1", cpu="2")
    kube.advance(5)
    assert len(running(kube)) == 2
    kube.resize_node("worker-1", cpu="4")
    kube.advance(5)
    assert len(running(kube)) == 4


def test_the_pods_of_a_deleted_node_go_with_it(three_nodes: Kube) -> None:
    three_nodes.create(DEPLOYMENTS, deployment("web", 3))
    three_nodes.advance(5)
    three_nodes.delete(f"{NODES}/worker-1")
    three_nodes.advance(5)
    pods = running(three_nodes)
    assert len(three_nodes.pods()) == len(pods) == 3
    assert {each["spec"]["nodeName"] for each in pods} == {"worker-2", "worker-3"}


def test_a_pod_bound_to_a_node_that_never_was_is_collected(kube: Kube) -> None:
    kube.add_pod("lost", nodeName="nowhere")
    kube.advance(30)
    assert kube.pod("lost")["status"]["phase"] == "Pending"
    kube.advance(30)
    assert kube.pods() == []


def test_a_pod_waits_on_a_node_that_comes_in_time(kube: Kube) -> None:
    kube.add_pod("early", nodeName="worker-1")
    kube.advance(10)
    kube.add_node("worker-1")
    kube.advance(60)
    assert kube.pod("early")["status"]["phase"] == "Running"


def test_a_cordoned_node_is_tainted_and_keeps_its_pods(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.add_pod("a")
    kube.advance(5)
    kube.merge(f"{NODES}/worker-1", {"spec": {"unschedulable": True}})
    (only,) = kube.get(f"{NODES}/worker-1")["spec"]["taints"]
    assert (only["key"], only["effect"]) == ("node.kubernetes.io/unschedulable", "NoSchedule")
    assert kube.pod("a")["status"]["phase"] == "Running"
    kube.merge(f"{NODES}/worker-1", {"spec": {"unschedulable": None}})
    assert "taints" not in kube.get(f"{NODES}/worker-1")["spec"]


def test_a_node_that_is_not_ready_is_tainted_and_left_by_its_pods(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    three_nodes.advance(5)
    silent = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    three_nodes.merge(f"{NODES}/worker-1/status", {"status": {"conditions": [silent]}})
    taints = three_nodes.get(f"{NODES}/worker-1")["spec"]["taints"]
    assert [(each["key"], each["effect"]) for each in taints] == [
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    ]
    three_nodes.advance(400)
    assert three_nodes.pods() == []


def test_no_execute_drives_out_pods_that_do_not_tolerate_it(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.add_pod("plain")
    kube.add_pod("patient", tolerations=[PATIENCE])
    kube.add_pod("tough", tolerations=[{"key": "maintenance", "operator": "Exists"}])
    kube.advance(5)
    taint(kube, "worker-1", "NoExecute")
    assert ("TaintManagerEviction", "Marking for deletion Pod default/plain") in kube.events("plain")
    kube.advance(10)
    assert [each["metadata"]["name"] for each in kube.pods()] == ["patient", "tough"]
    kube.advance(60)
    assert [each["metadata"]["name"] for each in kube.pods()] == ["tough"]


def test_a_taint_taken_back_in_time_evicts_nobody(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.add_pod("patient", tolerations=[PATIENCE])
    kube.advance(5)
    taint(kube, "worker-1", "NoExecute")
    kube.advance(30)
    kube.merge(f"{NODES}/worker-1", {"spec": {"taints": None}})
    kube.advance(100)
    assert kube.pod("patient")["status"]["phase"] == "Running"


def test_a_quiet_cluster_does_nothing_as_time_passes(three_nodes: Kube) -> None:
    three_nodes.create(DEPLOYMENTS, deployment("web", 3))
    three_nodes.advance(3700)  # events are forgotten, too
    before = three_nodes.cluster.store.revision
    three_nodes.advance(7 * 24 * 3600)
    assert three_nodes.cluster.store.revision - before <= 6
    assert three_nodes.exists(f"{PODS}/{three_nodes.pods()[0]['metadata']['name']}")


def test_node_leases_are_always_fresh(three_nodes: Kube) -> None:
    three_nodes.advance(1000)
    three_nodes.advance(1000)
    lease = three_nodes.get(f"{LEASES}/worker-1")
    assert lease["spec"]["holderIdentity"] == "worker-1"
    assert lease["spec"]["leaseDurationSeconds"] == 40
    renewed = three_nodes.cluster.clock.seconds_at(lease["spec"]["renewTime"])
    assert three_nodes.cluster.clock.now - renewed < 10
    node = three_nodes.get(f"{NODES}/worker-1")
    beat = node["status"]["conditions"][0]["lastHeartbeatTime"]
    assert three_nodes.cluster.clock.now - three_nodes.cluster.clock.seconds_at(beat) <= 300


def test_a_lease_is_as_old_as_its_node(three_nodes: Kube) -> None:
    three_nodes.advance(100_000)
    node, lease = three_nodes.get(f"{NODES}/worker-1"), three_nodes.get(f"{LEASES}/worker-1")
    assert lease["metadata"]["creationTimestamp"] == node["metadata"]["creationTimestamp"]


def test_the_ids_of_a_machine_have_nothing_in_common(kube: Kube) -> None:
    info = kube.add_node("worker-1")["status"]["nodeInfo"]
    ids = [info[name].replace("-", "") for name in ("bootID", "machineID", "systemUUID")]
    pieces = [each[at : at + 6] for each in ids for at in range(len(each) - 5)]
    assert len(pieces) == len(set(pieces))


def test_a_node_looks_like_one_that_kubeadm_added(kube: Kube) -> None:
    node = kube.add_node("worker-1", number=2)
    assert "kubeadm.alpha.kubernetes.io/cri-socket" in node["metadata"]["annotations"]
    assert node["spec"] == {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}


def test_the_lease_of_a_deleted_node_goes_too(three_nodes: Kube) -> None:
    three_nodes.advance(10)
    three_nodes.delete(f"{NODES}/worker-1")
    names = [each["metadata"]["name"] for each in three_nodes.get(LEASES)["items"]]
    assert names == ["worker-2", "worker-3"]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"spec": {"taints": [{"key": "a"}]}}, "spec.taints[0].effect: Required value"),
        ({"spec": {"taints": [{"effect": "NoSchedule"}]}}, "spec.taints[0].key: Required value"),
        (
            {"spec": {"taints": [{"key": "a", "effect": "Never"}]}},
            'spec.taints[0].effect: Unsupported value: "Never"',
        ),
    ],
)
def test_a_malformed_taint_is_refused(three_nodes: Kube, patch: Object, message: str) -> None:
    answer = three_nodes.send(
        "PATCH", f"{NODES}/worker-1", patch, content_type="application/merge-patch+json"
    )
    assert isinstance(answer.body, dict)
    assert answer.status == 422
    assert message in answer.body["message"]


@pytest.mark.parametrize(
    "status", [{"allocatable": {"cpu": "much"}}, {"conditions": [{}]}, {"addresses": [{}]}]
)
def test_a_malformed_node_status_is_refused(three_nodes: Kube, status: Object) -> None:
    patch = {"status": status}
    answer = three_nodes.send(
        "PATCH", f"{NODES}/worker-1/status", patch, content_type="application/merge-patch+json"
    )
    assert answer.status in (400, 422)
    three_nodes.add_pod("a")
    assert three_nodes.node_of("a") == "worker-1"
