"""Which node a pod goes to, and what is said when there is none."""

from __future__ import annotations

import pytest
from kube_driver import NODES, PODS, Kube, Object, pod

NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"


def affinity(*terms: Object) -> Object:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": required}


def expression(key: str, operator: str, *values: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def test_a_pod_is_bound_to_a_node_and_an_event_says_so(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    assert three_nodes.node_of("a") == "worker-1"
    assert three_nodes.condition("a", "PodScheduled")["status"] == "True"
    assert three_nodes.events("a")[0] == ("Scheduled", "Successfully assigned default/a to worker-1")


def test_pods_spread_to_the_least_allocated_node_and_then_by_name(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", cpu="1")
    three_nodes.add_pod("b", cpu="2")
    three_nodes.add_pod("c", cpu="500m")
    three_nodes.add_pod("d", cpu="100m")
    assert [three_nodes.node_of(name) for name in "abcd"] == ["worker-1", "worker-2", "worker-3", "worker-3"]


def test_a_pod_that_fits_nowhere_stays_pending_with_the_schedulers_words(three_nodes: Kube) -> None:
    three_nodes.resize_node("worker-1", cpu="16", memory="1Gi")
    three_nodes.add_pod("big", cpu="8", memory="4Gi")
    message = (
        "0/3 nodes are available: 1 Insufficient memory, 2 Insufficient cpu. "
        f"preemption: 0/3 nodes are available: 3 {NO_VICTIMS}."
    )
    assert three_nodes.pod("big")["status"]["phase"] == "Pending"
    scheduled = three_nodes.condition("big", "PodScheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert scheduled["message"] == message
    assert three_nodes.events("big") == [("FailedScheduling", message)]


def test_a_node_that_lacks_several_resources_counts_for_each(three_nodes: Kube) -> None:
    three_nodes.add_pod("huge", cpu="64", memory="1Ti")
    message = three_nodes.condition("huge", "PodScheduled")["message"]
    assert message.startswith("0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory. ")


def test_a_cluster_without_nodes_says_so(kube: Kube) -> None:
    kube.add_pod("a")
    assert kube.events("a") == [("FailedScheduling", "no nodes available to schedule pods")]


def test_extended_resources_are_counted(kube: Kube) -> None:
    kube.add_node("gpu", extended={"nvidia.com/gpu": 1})
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    kube.add_pod("first", resources=resources)
    kube.add_pod("second", resources=resources)
    assert kube.node_of("first") == "gpu"
    assert kube.node_of("second") == ""
    assert "1 Insufficient nvidia.com/gpu" in kube.events("second")[0][1]


def test_a_node_holds_no_more_pods_than_its_capacity_says(kube: Kube) -> None:
    kube.add_node("small", pods=1)
    kube.add_pod("first")
    kube.add_pod("second")
    assert kube.events("second")[0][1].startswith("0/1 nodes are available: 1 Too many pods. ")


def test_host_ports_are_taken_once_per_node(kube: Kube) -> None:
    kube.add_node("only")
    ports = [{"containerPort": 80, "hostPort": 80}]
    kube.add_pod("first", ports=ports)
    kube.add_pod("second", ports=ports)
    assert "1 node(s) didn't have free ports for the requested pod ports" in kube.events("second")[0][1]


def test_an_init_container_that_asks_for_more_counts_instead_of_the_containers(kube: Kube) -> None:
    kube.add_node("only", cpu="4")
    init = {"name": "warm", "image": "registry.acme.io/warm:1", "resources": {"requests": {"cpu": "5"}}}
    kube.add_pod("a", cpu="1", initContainers=[init])
    assert "1 Insufficient cpu" in kube.events("a")[0][1]


def test_a_cordoned_node_takes_no_pods(three_nodes: Kube) -> None:
    for name in ("worker-1", "worker-2", "worker-3"):
        three_nodes.merge(f"{NODES}/{name}", {"spec": {"unschedulable": True}})
    three_nodes.add_pod("a")
    assert three_nodes.events("a")[0][1] == (
        "0/3 nodes are available: 3 node(s) were unschedulable. "
        f"preemption: 0/3 nodes are available: 3 {NO_HELP}."
    )
    three_nodes.merge(f"{NODES}/worker-2", {"spec": {"unschedulable": None}})
    assert three_nodes.node_of("a") == "worker-2"


def test_a_pod_that_tolerates_cordons_goes_to_a_cordoned_node(kube: Kube) -> None:
    kube.add_node("only")
    kube.merge(f"{NODES}/only", {"spec": {"unschedulable": True}})
    kube.add_pod("a", tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert kube.node_of("a") == "only"


def test_a_taint_keeps_pods_off_unless_they_tolerate_it(kube: Kube) -> None:
    kube.add_node("gpu")
    kube.merge(
        f"{NODES}/gpu", {"spec": {"taints": [{"key": "dedicated", "value": "ml", "effect": "NoSchedule"}]}}
    )
    kube.add_pod("plain")
    kube.add_pod("ml", tolerations=[{"key": "dedicated", "value": "ml", "effect": "NoSchedule"}])
    kube.add_pod("any", tolerations=[{"operator": "Exists"}])
    assert kube.events("plain")[0][1].startswith(
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: ml}. "
    )
    assert kube.node_of("ml") == kube.node_of("any") == "gpu"


def test_a_soft_taint_only_makes_a_node_the_last_choice(three_nodes: Kube) -> None:
    taint = {"key": "spot", "value": "", "effect": "PreferNoSchedule"}
    three_nodes.merge(f"{NODES}/worker-1", {"spec": {"taints": [taint]}})
    three_nodes.add_pod("a")
    assert three_nodes.node_of("a") == "worker-2"


def test_a_node_selector_is_obeyed(three_nodes: Kube) -> None:
    three_nodes.merge(f"{NODES}/worker-3", {"metadata": {"labels": {"disk": "ssd"}}})
    three_nodes.add_pod("fast", nodeSelector={"disk": "ssd"})
    three_nodes.add_pod("lost", nodeSelector={"disk": "tape"})
    assert three_nodes.node_of("fast") == "worker-3"
    assert three_nodes.events("lost")[0][1] == (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. "
        f"preemption: 0/3 nodes are available: 3 {NO_HELP}."
    )


@pytest.mark.parametrize(
    ("term", "node"),
    [
        (expression("zone", "In", "b", "c"), "worker-2"),
        (expression("zone", "NotIn", "a", "b"), "worker-3"),
        (expression("gen", "Exists"), "worker-2"),
        (expression("zone", "DoesNotExist"), ""),
        (expression("gen", "Gt", "4"), "worker-3"),
        (expression("gen", "Lt", "5"), "worker-2"),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-3"]}]}, "worker-3"),
        ({}, ""),
    ],
)
def test_required_node_affinity_is_obeyed(three_nodes: Kube, term: Object, node: str) -> None:
    for name, labels in (
        ("worker-1", {"zone": "a"}),
        ("worker-2", {"zone": "b", "gen": "4"}),
        ("worker-3", {"zone": "c", "gen": "5"}),
    ):
        three_nodes.merge(f"{NODES}/{name}", {"metadata": {"labels": labels}})
    three_nodes.add_pod("a", affinity=affinity(term))
    assert three_nodes.node_of("a") == node


def test_preferred_node_affinity_comes_before_free_room(three_nodes: Kube) -> None:
    three_nodes.merge(f"{NODES}/worker-3", {"metadata": {"labels": {"zone": "b"}}})
    three_nodes.add_pod("filler", cpu="3", nodeSelector={"zone": "b"})
    preference = {"weight": 10, "preference": expression("zone", "In", "b")}
    soft = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}}
    three_nodes.add_pod("a", affinity=soft)
    assert three_nodes.node_of("a") == "worker-3"


def test_a_pending_pod_is_scheduled_when_another_leaves(kube: Kube) -> None:
    kube.add_node("only", cpu="4")
    kube.add_pod("first", cpu="3")
    kube.advance(10)
    kube.add_pod("second", cpu="3")
    assert kube.node_of("second") == ""
    kube.delete(f"{PODS}/first")
    kube.advance(60)
    assert kube.node_of("second") == "only"


def test_a_pending_pod_is_scheduled_when_a_node_comes_or_grows(kube: Kube) -> None:
    kube.add_pod("a", cpu="6")
    kube.add_node("small", cpu="4")
    assert kube.node_of("a") == ""
    kube.resize_node("small", cpu="8")
    assert kube.node_of("a") == "small"


def test_finished_pods_take_no_room(kube: Kube) -> None:
    kube.add_node("only", cpu="4")
    kube.add_pod("work", cpu="4", restartPolicy="Never", command=["sleep", "5"])
    kube.add_pod("next", cpu="4")
    assert kube.node_of("next") == ""
    kube.advance(30)
    assert kube.pod("work")["status"]["phase"] == "Succeeded"
    assert kube.node_of("next") == "only"


def test_a_gated_pod_waits_for_its_gates(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", schedulingGates=[{"name": "acme.io/review"}])
    assert three_nodes.condition("a", "PodScheduled")["reason"] == "SchedulingGated"
    assert three_nodes.node_of("a") == ""
    more = [{"name": "acme.io/review"}, {"name": "acme.io/audit"}]
    refused = three_nodes.send(
        "PATCH",
        f"{PODS}/a",
        {"spec": {"schedulingGates": more}},
        content_type="application/merge-patch+json",
    )
    assert isinstance(refused.body, dict)
    why = "only deletion is allowed, but found new scheduling gate 'acme.io/audit'"
    assert why in refused.body["message"]
    three_nodes.merge(f"{PODS}/a", {"spec": {"schedulingGates": []}})
    assert three_nodes.node_of("a") == "worker-1"


def test_pods_of_another_scheduler_are_left_alone(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", schedulerName="batch-scheduler")
    assert three_nodes.node_of("a") == ""
    assert three_nodes.events("a") == []


def pod_affinity(kind: str, app: str, key: str = "kubernetes.io/hostname", **term: Object) -> Object:
    selector = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **term}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [selector]}}


def test_anti_affinity_keeps_pods_on_different_nodes(three_nodes: Kube) -> None:
    for name in "abcd":
        three_nodes.add_pod(name, affinity=pod_affinity("podAntiAffinity", "web"))
    assert sorted(three_nodes.node_of(name) for name in "abc") == ["worker-1", "worker-2", "worker-3"]
    assert three_nodes.events("d")[0][1] == (
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. "
        f"preemption: 0/3 nodes are available: 3 {NO_VICTIMS}."
    )


def test_anti_affinity_holds_against_pods_that_come_later(kube: Kube) -> None:
    kube.add_node("only")
    kube.add_pod("recluse", labels={"app": "db"}, affinity=pod_affinity("podAntiAffinity", "web"))
    kube.add_pod("web")
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in kube.events("web")[0][1]
    kube.delete(f"{PODS}/recluse", {"gracePeriodSeconds": 0})
    assert kube.node_of("web") == "only"


def test_anti_affinity_is_about_pods_of_the_same_namespace_unless_it_says_otherwise(kube: Kube) -> None:
    kube.add_node("only")
    kube.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    kube.create("/api/v1/namespaces/other/pods", pod("there"))
    kube.add_pod("near", affinity=pod_affinity("podAntiAffinity", "web"))
    everywhere = pod_affinity("podAntiAffinity", "web", namespaceSelector={})
    kube.add_pod("far", labels={"app": "db"}, affinity=everywhere)
    assert kube.node_of("near") == "only"
    assert kube.node_of("far") == ""


def test_affinity_waits_for_company(three_nodes: Kube) -> None:
    three_nodes.add_pod("follower", labels={"app": "cache"}, affinity=pod_affinity("podAffinity", "web"))
    assert three_nodes.events("follower")[0][1] == (
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. "
        f"preemption: 0/3 nodes are available: 3 {NO_HELP}."
    )
    three_nodes.add_pod("leader", nodeSelector={"kubernetes.io/hostname": "worker-3"})
    assert three_nodes.node_of("follower") == "worker-3"


def test_the_first_pod_that_wants_its_own_kind_may_begin(three_nodes: Kube) -> None:
    for name in "abc":
        three_nodes.add_pod(name, affinity=pod_affinity("podAffinity", "web"))
    assert [three_nodes.node_of(name) for name in "abc"] == ["worker-1"] * 3


def test_topology_spread_keeps_the_skew_within_bounds(three_nodes: Kube) -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    for node, zone in (("worker-1", "a"), ("worker-2", "b")):
        three_nodes.merge(f"{NODES}/{node}", {"metadata": {"labels": {"zone": zone}}})
    three_nodes.resize_node("worker-2", pods=1)
    for name in "abcd":
        three_nodes.add_pod(name, topologySpreadConstraints=[constraint])
    assert [three_nodes.node_of(name) for name in "abcd"] == ["worker-1", "worker-2", "worker-1", ""]
    message = three_nodes.events("d")[0][1]
    assert message.startswith(
        "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label). "
    )
