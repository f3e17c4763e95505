"""Events: how long they are kept, and what is said of nodes."""

from __future__ import annotations

from kube_driver import NODES, PODS, Kube, pod

EVENTS = "/api/v1/namespaces/default/events"


def said_of(kube: Kube, name: str) -> list[tuple[str, str, str]]:
    return [
        (event["source"]["component"], event["reason"], event["message"])
        for event in kube.get(EVENTS)["items"]
        if event["involvedObject"]["name"] == name
    ]


def test_events_are_gone_an_hour_after_they_were_last_written(three_nodes: Kube) -> None:
    three_nodes.create(PODS, pod("a"))
    three_nodes.advance(3595)
    assert ("kubelet", "Started", "Started container web") in said_of(three_nodes, "a")
    three_nodes.advance(10)
    assert said_of(three_nodes, "a") == []


def test_an_event_that_happens_again_is_kept_for_another_hour(kube: Kube) -> None:
    kube.add_node("worker-1")
    for unschedulable, seconds in ((True, 1500), (False, 1500), (True, 2200)):
        kube.merge(f"{NODES}/worker-1", {"spec": {"unschedulable": unschedulable}})
        kube.advance(seconds)
    counts = {event["reason"]: event["count"] for event in kube.get(EVENTS)["items"]}
    assert counts == {"NodeNotSchedulable": 2}


def test_events_that_clients_write_are_gone_after_an_hour_too(kube: Kube) -> None:
    about = {"kind": "Pod", "namespace": "default", "name": "a"}
    kube.create(EVENTS, {"metadata": {"name": "mine"}, "involvedObject": about, "reason": "Seen"})
    kube.advance(3599)
    assert kube.exists(f"{EVENTS}/mine")
    kube.advance(2)
    assert not kube.exists(f"{EVENTS}/mine")


def test_a_node_that_comes_or_goes_is_noted(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.delete(f"{NODES}/worker-1")
    assert said_of(kube, "worker-1") == [
        ("node-controller", "RegisteredNode", "Node worker-1 event: Registered Node worker-1 in Controller"),
        ("node-controller", "RemovingNode", "Node worker-1 event: Removing Node worker-1 from Controller"),
    ]


def test_a_node_that_fails_and_recovers_is_noted(kube: Kube) -> None:
    kube.add_node("worker-1")
    for status in ("Unknown", "True"):
        node = kube.get(f"{NODES}/worker-1")
        conditions = [
            {**each, "status": status} if each["type"] == "Ready" else each
            for each in node["status"]["conditions"]
        ]
        kube.replace(
            f"{NODES}/worker-1/status", {**node, "status": {**node["status"], "conditions": conditions}}
        )
    assert said_of(kube, "worker-1")[1:] == [
        ("node-controller", "NodeNotReady", "Node worker-1 status is now: NodeNotReady"),
        ("kubelet", "NodeReady", "Node worker-1 status is now: NodeReady"),
    ]


def test_a_node_that_is_cordoned_is_noted(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.merge(f"{NODES}/worker-1", {"spec": {"unschedulable": True}})
    assert said_of(kube, "worker-1")[1:] == [
        ("kubelet", "NodeNotSchedulable", "Node worker-1 status is now: NodeNotSchedulable"),
    ]
