"""Services that change: what they keep, what they get, what they lose, and what quotas say to it."""

from __future__ import annotations

import json

import pytest
from api_client import PATCHES, Kube, Object, until

FIRST, LAST = 30000, 32767
MERGE = PATCHES["merge"]
TAKEN = "provided port is already allocated"


def service(name: str, *ports: Object, **spec: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": list(ports) or [{"port": 80}], **spec},
    }


@pytest.fixture
def web(kube: Kube) -> Object:
    """A Service with an address inside the cluster."""
    spec: Object = kube.create("services", service("web"))["spec"]
    return spec


def change(kube: Kube, **spec: object) -> Object:
    changed: Object = kube.patch("services/web", {"spec": spec}, kind="strategic")["spec"]
    return changed


def node_ports(spec: Object) -> list[int]:
    return [each["nodePort"] for each in spec["ports"] if "nodePort" in each]


def refused(kube: Kube, name: str, **spec: object) -> str:
    code, reason, message = kube.refusal("PATCH", f"services/{name}", {"spec": spec}, content_type=MERGE)
    assert (code, reason) == (422, "Invalid")
    return message


def test_with_its_type_a_service_gets_node_ports_keeps_them_and_loses_them(kube: Kube, web: Object) -> None:
    exposed = change(kube, type="NodePort")
    (port,) = node_ports(exposed)
    assert FIRST <= port <= LAST
    assert (exposed["clusterIPs"], exposed["externalTrafficPolicy"]) == (web["clusterIPs"], "Cluster")

    assert node_ports(change(kube, type="LoadBalancer")) == [port]

    inside = change(kube, type="ClusterIP")
    assert (inside["clusterIP"], node_ports(inside)) == (web["clusterIP"], [])
    assert "externalTrafficPolicy" not in inside


def test_an_external_name_has_no_address(kube: Kube, web: Object) -> None:
    named = change(kube, type="ExternalName", externalName="db.example.com")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(named)

    again = change(kube, type="ClusterIP")
    assert again["clusterIPs"] == [again["clusterIP"]]


def test_a_load_balancer_that_stays_local_has_a_port_for_its_checks(kube: Kube, web: Object) -> None:
    local = change(kube, type="LoadBalancer", externalTrafficPolicy="Local")
    assert FIRST <= local["healthCheckNodePort"] <= LAST

    assert "healthCheckNodePort" not in change(kube, externalTrafficPolicy="Cluster")


def test_protocols_of_one_port_share_its_node_port(kube: Kube) -> None:
    ports = [{"name": name, "port": 53, "protocol": name.upper()} for name in ("tcp", "udp")]
    first, second = node_ports(kube.create("services", service("dns", *ports, type="NodePort"))["spec"])

    assert first == second


def test_clients_are_bound_for_three_hours(kube: Kube, web: Object) -> None:
    bound = change(kube, sessionAffinity="ClientIP")
    assert bound["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}

    assert "sessionAffinityConfig" not in change(kube, sessionAffinity="None")


@pytest.mark.parametrize("number", ["taken", 80, -1])
def test_a_node_port_must_be_free_and_one_of_those_that_there_are(
    kube: Kube, web: Object, number: int | str
) -> None:
    (taken,) = node_ports(kube.create("services", service("other", type="NodePort"))["spec"])
    asked = taken if number == "taken" else number
    why = TAKEN if number == "taken" else _out_of_range()
    complaint = f"spec.ports[0].nodePort: Invalid value: {asked}: {why}"
    ports = [{"port": 80, "nodePort": asked}]

    assert refused(kube, "web", type="NodePort", ports=ports) == f'Service "web" is invalid: {complaint}'
    answer = kube.refusal("POST", "services", service("new", *ports, type="NodePort"))
    assert answer == (422, "Invalid", f'Service "new" is invalid: {complaint}')


def _out_of_range() -> str:
    return f"provided port is not in the valid range. The range of valid ports is {FIRST}-{LAST}"


def test_an_address_may_not_change(kube: Kube, web: Object) -> None:
    why = 'spec.clusterIPs[0]: Invalid value: []string{"None"}: may not change once set'

    assert refused(kube, "web", clusterIP="None") == f'Service "web" is invalid: {why}'


@pytest.mark.since("1.32")
def test_a_replacement_need_not_say_what_was_allocated(kube: Kube) -> None:
    before = kube.create("services", service("web", type="NodePort"))["spec"]

    kube.kubectl("replace -f -", json.dumps(service("web", {"port": 81}, type="NodePort")))

    after = kube.get("services/web")["spec"]
    assert after["clusterIPs"] == before["clusterIPs"]
    assert node_ports(after) == node_ports(before)


def test_a_quota_is_charged_for_what_a_service_becomes(kube: Kube, web: Object) -> None:
    hard = {"services.nodeports": "1", "services.loadbalancers": "0"}
    kube.create("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    until(lambda: _used(kube), bool)

    answer = kube.refusal("PATCH", "services/web", {"spec": {"type": "LoadBalancer"}}, content_type=MERGE)
    assert answer == (
        403,
        "Forbidden",
        'services "web" is forbidden: exceeded quota: few, requested: services.loadbalancers=1, '
        "used: services.loadbalancers=0, limited: services.loadbalancers=0",
    )
    change(kube, type="NodePort")
    assert _used(kube)["services.nodeports"] == "1"
    change(kube, type="ClusterIP")
    until(lambda: _used(kube)["services.nodeports"], lambda used: used == "0")


def _used(kube: Kube) -> Object:
    return (kube.get("resourcequotas/few").get("status") or {}).get("used") or {}
