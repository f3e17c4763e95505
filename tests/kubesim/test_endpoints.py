"""Endpoints and EndpointSlices: what stands behind a Service, as its pods come and go."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment, pod

CORE = "/api/v1/namespaces/default"
SERVICES, ENDPOINTS = f"{CORE}/services", f"{CORE}/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SLOW = {"httpGet": {"port": 80}, "initialDelaySeconds": 60}


def serve(kube: Kube, name: str = "web", **spec: Any) -> Any:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return kube.create(SERVICES, {"metadata": {"name": name, "labels": {"team": "a"}}, "spec": spec})


def addresses(kube: Kube, name: str = "web", field: str = "addresses") -> list[str]:
    subsets = kube.get(f"{ENDPOINTS}/{name}").get("subsets") or []
    return [each["targetRef"]["name"] for subset in subsets for each in subset.get(field) or ()]


def slices(kube: Kube, name: str = "web") -> list[Any]:
    found: list[Any] = kube.get(SLICES, labelSelector=f"kubernetes.io/service-name={name}")["items"]
    return found


def conditions(kube: Kube, name: str = "web") -> dict[str, Any]:
    (only,) = slices(kube, name)
    return {each["targetRef"]["name"]: each["conditions"] for each in only["endpoints"] or ()}


def test_ready_pods_are_addresses_with_their_node_and_reference(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    serve(three_nodes)
    three_nodes.advance(20)
    found, stored = three_nodes.get(f"{ENDPOINTS}/web"), three_nodes.pod("a")
    reference = {"kind": "Pod", "namespace": "default", "name": "a", "uid": stored["metadata"]["uid"]}
    address = {"ip": stored["status"]["podIP"], "nodeName": "worker-1", "targetRef": reference}
    assert found["subsets"] == [{"addresses": [address], "ports": [{"port": 8080, "protocol": "TCP"}]}]
    assert found["metadata"]["labels"] == {"team": "a"}
    ready = next(each for each in stored["status"]["conditions"] if each["type"] == "Ready")
    assert found["metadata"]["annotations"] == {
        "endpoints.kubernetes.io/last-change-trigger-time": ready["lastTransitionTime"]
    }


def test_a_slice_belongs_to_its_service(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    service = serve(three_nodes)
    three_nodes.advance(20)
    (found,) = slices(three_nodes)
    assert found["metadata"]["name"].startswith("web-")
    assert found["metadata"]["labels"] == {
        "team": "a",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
    }
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Service", service["metadata"]["uid"], True)
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    (endpoint,) = found["endpoints"]
    assert endpoint["addresses"] == [three_nodes.pod("a")["status"]["podIP"]]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert endpoint["nodeName"] == "worker-1"


def test_a_pod_that_is_not_ready_yet_is_told_apart(three_nodes: Kube) -> None:
    three_nodes.add_pod("slow", readinessProbe=SLOW)
    serve(three_nodes)
    three_nodes.advance(20)
    assert (addresses(three_nodes), addresses(three_nodes, field="notReadyAddresses")) == ([], ["slow"])
    assert conditions(three_nodes)["slow"] == {"ready": False, "serving": False, "terminating": False}
    three_nodes.advance(60)
    assert (addresses(three_nodes), addresses(three_nodes, field="notReadyAddresses")) == (["slow"], [])
    assert conditions(three_nodes)["slow"]["ready"] is True


def test_unready_addresses_are_published_where_a_service_wants_it(three_nodes: Kube) -> None:
    three_nodes.add_pod("slow", readinessProbe=SLOW)
    serve(three_nodes, publishNotReadyAddresses=True)
    three_nodes.advance(20)
    assert addresses(three_nodes) == ["slow"]
    assert conditions(three_nodes)["slow"] == {"ready": True, "serving": False, "terminating": False}


def test_a_pod_that_ends_leaves_endpoints_at_once_and_the_slice_when_it_is_gone(three_nodes: Kube) -> None:
    command = ["sh", "-c", "trap '' TERM; sleep 9999"]
    three_nodes.add_pod("a", command=command, lifecycle={"preStop": {"sleep": {"seconds": 10}}})
    serve(three_nodes)
    three_nodes.advance(20)
    three_nodes.delete(f"{PODS}/a")
    assert addresses(three_nodes) == []
    assert conditions(three_nodes)["a"] == {"ready": False, "serving": True, "terminating": True}
    three_nodes.advance(40)
    assert conditions(three_nodes) == {}


def test_finished_pods_are_no_endpoints(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", command=["true"], restartPolicy="Never")
    serve(three_nodes)
    three_nodes.advance(30)
    assert three_nodes.pod("a")["status"]["phase"] == "Succeeded"
    assert addresses(three_nodes) == []


def test_the_api_servers_own_service_comes_back_by_itself(kube: Kube) -> None:
    paths = (f"{SERVICES}/kubernetes", f"{ENDPOINTS}/kubernetes", f"{SLICES}/kubernetes")
    before = [kube.get(path) for path in paths]
    for path in paths:
        if kube.exists(path):
            kube.delete(path)
    kube.advance(5)
    assert not any(map(kube.exists, paths))
    kube.advance(10)
    after = [kube.get(path) for path in paths]
    assert [each["metadata"]["uid"] for each in after] != [each["metadata"]["uid"] for each in before]
    for old, new in zip(before, after, strict=True):
        assert old.get("spec") == new.get("spec")
        assert old.get("subsets") == new.get("subsets")


def test_a_service_without_pods_has_empty_ones(kube: Kube) -> None:
    serve(kube)
    assert "subsets" not in kube.get(f"{ENDPOINTS}/web")
    (found,) = slices(kube)
    assert (found["endpoints"], found["ports"]) == (None, None)


def test_named_ports_are_looked_up_in_each_pod(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", ports=[{"name": "http", "containerPort": 8080}])
    three_nodes.add_pod("b", ports=[{"name": "http", "containerPort": 9090}])
    ports = [{"name": "x", "port": 80, "targetPort": "http"}, {"name": "y", "port": 81, "targetPort": "no"}]
    serve(three_nodes, ports=ports)
    three_nodes.advance(20)
    subsets = three_nodes.get(f"{ENDPOINTS}/web")["subsets"]
    assert [subset["ports"] for subset in subsets] == [
        [{"name": "x", "port": 8080, "protocol": "TCP"}],
        [{"name": "x", "port": 9090, "protocol": "TCP"}],
    ]
    assert {each["ports"][0]["port"] for each in slices(three_nodes)} == {8080, 9090}


def test_headless_services_are_labelled_and_need_no_ports(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", hostname="one", subdomain="web")
    serve(three_nodes, clusterIP="None", ports=[])
    three_nodes.advance(20)
    found = three_nodes.get(f"{ENDPOINTS}/web")
    assert found["metadata"]["labels"] == {"team": "a", "service.kubernetes.io/headless": ""}
    (subset,) = found["subsets"]
    assert "ports" not in subset
    assert subset["addresses"][0]["hostname"] == "one"
    (endpoint,) = slices(three_nodes)[0]["endpoints"]
    assert endpoint["hostname"] == "one"


def test_changes_of_labels_and_selectors_are_followed(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    three_nodes.add_pod("b", labels={"app": "other"})
    serve(three_nodes)
    three_nodes.advance(20)
    three_nodes.merge(f"{PODS}/a", {"metadata": {"labels": {"app": "gone"}}})
    assert addresses(three_nodes) == []
    three_nodes.merge(f"{SERVICES}/web", {"spec": {"selector": {"app": "other"}}})
    assert addresses(three_nodes) == ["b"]
    assert list(conditions(three_nodes)) == ["b"]


def test_they_go_with_their_service(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    serve(three_nodes)
    three_nodes.advance(20)
    three_nodes.delete(f"{SERVICES}/web")
    assert not three_nodes.exists(f"{ENDPOINTS}/web")
    assert slices(three_nodes) == []


def test_what_somebody_deletes_is_made_again(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    serve(three_nodes)
    three_nodes.advance(20)
    three_nodes.delete(f"{ENDPOINTS}/web")
    (name,) = [each["metadata"]["name"] for each in slices(three_nodes)]
    three_nodes.delete(f"{SLICES}/{name}")
    assert addresses(three_nodes) == ["a"]
    assert list(conditions(three_nodes)) == ["a"]


def test_services_without_a_selector_are_left_to_users(kube: Kube) -> None:
    serve(kube, selector={})
    assert not kube.exists(f"{ENDPOINTS}/web")
    mine = {"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "10.9.0.1"}]}]}
    kube.create(ENDPOINTS, mine)
    assert kube.get(f"{ENDPOINTS}/web")["subsets"] == mine["subsets"]


def test_the_api_servers_own_are_there_from_the_start(kube: Kube) -> None:
    (subset,) = kube.get(f"{ENDPOINTS}/kubernetes")["subsets"]
    assert subset["ports"] == [{"name": "https", "port": 6443, "protocol": "TCP"}]
    (found,) = slices(kube, "kubernetes")
    assert found["metadata"]["name"] == "kubernetes"
    assert found["endpoints"][0]["addresses"] == [subset["addresses"][0]["ip"]]


def test_a_slice_has_a_hundred_endpoints_and_crowds_are_followed_once_a_second(kube: Kube) -> None:
    kube.add_node("worker-1", cpu="64", memory="256Gi", pods=300)
    serve(kube)
    kube.create(DEPLOYMENTS, deployment("web", 150))
    kube.advance(300)
    assert sorted(len(each["endpoints"]) for each in slices(kube)) == [50, 100]
    assert len(addresses(kube)) == 150
    written = [
        entry
        for entry in kube.cluster.audit.since(0)
        if entry.user.endswith(":endpoint-controller") and entry.verb == "update"
    ]
    assert len(written) < 150 + 50


@pytest.mark.parametrize("kind", ["endpoints", "slices"])
def test_nothing_is_written_while_nothing_changes(three_nodes: Kube, kind: str) -> None:
    three_nodes.add_pod("a")
    serve(three_nodes)
    three_nodes.advance(20)
    before = three_nodes.get(ENDPOINTS if kind == "endpoints" else SLICES)["items"]
    three_nodes.merge(f"{PODS}/a", {"metadata": {"annotations": {"seen": "yes"}}})
    three_nodes.create(PODS, pod("b", labels={"app": "other"}))
    three_nodes.advance(600)
    assert three_nodes.get(ENDPOINTS if kind == "endpoints" else SLICES)["items"] == before
