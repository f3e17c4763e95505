"""Services: what they are given, what they keep when they change, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from applying import owned
from kube_driver import Kube, Object

SERVICES = "/api/v1/namespaces/default/services"
FIRST, LAST = 30086, 32767
"""Of the node ports that are given to those who ask for none."""
NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
OUT_OF_RANGE = "provided port is not in the valid range. The range of valid ports is 30000-32767"
TAKEN = "provided port is already allocated"
BALANCERS_ONLY = "Forbidden: may only be used when `type` is 'LoadBalancer'"


def service(name: str = "web", *ports: Object, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"ports": list(ports) or [{"port": 80}], **spec}}


def port(number: int = 80, **fields: Any) -> Object:
    return {"name": f"p{number}", "port": number, **fields}


def make(kube: Kube, *ports: Object, name: str = "web", **spec: Any) -> Any:
    return kube.create(SERVICES, service(name, *ports, **spec))["spec"]


def change(kube: Kube, name: str = "web", **spec: Any) -> Any:
    return kube.merge(f"{SERVICES}/{name}", {"spec": spec})["spec"]


def node_ports(spec: Object) -> list[int]:
    return [each["nodePort"] for each in spec["ports"] if "nodePort" in each]


def causes(answer: Any) -> list[str]:
    assert (answer["code"], answer["reason"]) == (422, "Invalid"), answer
    return [f"{each['field']}: {each['message']}" for each in answer["details"]["causes"]]


def refused(kube: Kube, body: Object) -> list[str]:
    return causes(kube.refusal("POST", SERVICES, body))


def refused_change(kube: Kube, name: str = "web", **spec: Any) -> list[str]:
    path, merge = f"{SERVICES}/{name}", "application/merge-patch+json"
    return causes(kube.send("PATCH", path, {"spec": spec}, content_type=merge).body)


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_a_service_that_becomes_external_gets_node_ports_and_keeps_its_address(kube: Kube, kind: str) -> None:
    before = make(kube, port(80), port(443))

    after = change(kube, type=kind)

    first, second = node_ports(after)
    assert FIRST <= min(first, second) < max(first, second) <= LAST
    assert (after["clusterIP"], after["clusterIPs"]) == (before["clusterIP"], [before["clusterIP"]])
    assert after["externalTrafficPolicy"] == "Cluster"
    assert after.get("allocateLoadBalancerNodePorts") is (True if kind == "LoadBalancer" else None)


def test_a_load_balancer_keeps_the_node_ports_that_it_had_as_a_node_port(kube: Kube) -> None:
    before = make(kube, type="NodePort")

    assert node_ports(change(kube, type="LoadBalancer")) == node_ports(before)


def test_a_service_that_is_external_no_longer_loses_what_was_for_that(kube: Kube) -> None:
    make(kube, type="LoadBalancer", loadBalancerClass="a.example/b", externalTrafficPolicy="Local")
    path = f"{SERVICES}/web"
    ingress = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
    kube.ok("PUT", f"{path}/status", {**kube.get(path), "status": ingress})

    after = kube.merge(path, {"spec": {"type": "ClusterIP"}})

    lost = {
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "loadBalancerClass",
        "allocateLoadBalancerNodePorts",
    }
    assert not lost & set(after["spec"])
    assert node_ports(after["spec"]) == []
    assert after["status"] == {"loadBalancer": {}}


def test_an_external_name_has_no_address_and_gets_one_when_it_is_none_any_more(kube: Kube) -> None:
    make(kube)

    named = change(kube, type="ExternalName", externalName="db.example.com.")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(named)

    again = change(kube, type="ClusterIP")
    assert again["clusterIP"].startswith("10.")
    assert again["clusterIPs"] == [again["clusterIP"]]
    assert (again["ipFamilies"], again["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_what_a_replacement_does_not_say_is_carried_over(kube: Kube) -> None:
    before = make(kube, port(80), port(443), type="NodePort")
    more = service("web", port(81), port(80), {**port(443), "port": 444}, type="NodePort")

    after = kube.replace(f"{SERVICES}/web", more)["spec"]

    assert (after["clusterIP"], after["clusterIPs"]) == (before["clusterIP"], before["clusterIPs"])
    added, *kept = node_ports(after)
    assert kept == node_ports(before)
    assert added not in kept


def test_an_address_that_a_client_takes_out_comes_back(kube: Kube) -> None:
    before = make(kube)

    assert change(kube, clusterIP=None) == before


@pytest.mark.parametrize("address", ["10.96.7.7", "None"])
def test_an_address_stays_as_long_as_the_service_has_one(kube: Kube, address: str) -> None:
    make(kube)

    why = f'spec.clusterIPs[0]: Invalid value: []string{{"{address}"}}: may not change once set'
    assert refused_change(kube, clusterIP=address) == [why]


def test_what_the_stored_service_has_is_not_touched_by_a_change_that_is_refused(kube: Kube) -> None:
    make(kube)
    before = kube.get(f"{SERVICES}/web")

    refused_change(kube, type="NodePort", internalTrafficPolicy="Foo")

    assert kube.get(f"{SERVICES}/web") == before


def test_what_is_allocated_belongs_to_nobody(kube: Kube) -> None:
    kube.create(SERVICES, service())

    kube.merge(f"{SERVICES}/web", {"spec": {"type": "NodePort"}})

    found = str(owned(kube, f"{SERVICES}/web"))
    assert "f:type" in found
    assert [name for name in ("f:nodePort", "f:clusterIP", "f:ipFamilies") if name in found] == []


def test_protocols_of_one_port_share_its_node_port(kube: Kube) -> None:
    ports = {**port(53), "name": "tcp"}, {**port(53), "name": "udp", "protocol": "UDP"}

    first, second = node_ports(make(kube, *ports, type="NodePort"))

    assert first == second


def test_a_load_balancer_may_do_without_node_ports(kube: Kube) -> None:
    ports = port(80), port(81, nodePort=30100)

    spec = make(kube, *ports, type="LoadBalancer", allocateLoadBalancerNodePorts=False)

    assert node_ports(spec) == [30100]


def test_a_load_balancer_that_stays_local_has_a_port_for_its_checks(kube: Kube) -> None:
    spec = make(kube, type="LoadBalancer", externalTrafficPolicy="Local")
    checked = spec["healthCheckNodePort"]

    assert FIRST <= checked <= LAST
    assert checked not in node_ports(spec)
    why = "Forbidden: field is immutable"
    assert refused_change(kube, healthCheckNodePort=31000) == [f"spec.healthCheckNodePort: {why}"]
    assert "healthCheckNodePort" not in change(kube, externalTrafficPolicy="Cluster")


def test_a_port_for_checks_is_nobody_elses(kube: Kube) -> None:
    make(kube, port(nodePort=30100), name="a", type="NodePort")
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30100}

    answer = kube.refusal("POST", SERVICES, service("b", **local))

    assert (answer["code"], answer["message"]) == (
        500,
        f"Internal error occurred: failed to allocate requested HealthCheck NodePort 30100: {TAKEN}",
    )


@pytest.mark.parametrize(("number", "why"), [(30100, TAKEN), (80, OUT_OF_RANGE), (-1, OUT_OF_RANGE)])
def test_a_node_port_must_be_free_and_one_of_those_that_there_are(kube: Kube, number: int, why: str) -> None:
    make(kube, port(nodePort=30100), name="first", type="NodePort")
    make(kube)
    complaint = [f"spec.ports[0].nodePort: Invalid value: {number}: {why}"]

    assert refused(kube, service("a", port(nodePort=number), type="NodePort")) == complaint
    assert refused_change(kube, type="NodePort", ports=[port(nodePort=number)]) == complaint


def test_a_node_port_is_free_again_once_its_service_is_gone_or_has_another(kube: Kube) -> None:
    make(kube, port(nodePort=30100), type="NodePort")
    change(kube, ports=[port(nodePort=30101)])
    make(kube, port(nodePort=30100), name="other", type="NodePort")
    kube.delete(f"{SERVICES}/other")

    assert node_ports(change(kube, ports=[port(nodePort=30100)])) == [30100]


def test_a_node_port_is_given_to_one_port_of_a_service(kube: Kube) -> None:
    twice = [port(80, nodePort=30100), port(81, nodePort=30100)]
    complaint = f"spec.ports[1].nodePort: Invalid value: 30100: {TAKEN}"
    assert refused(kube, service("web", *twice, type="NodePort")) == [complaint]
    make(kube)

    merge = "application/merge-patch+json"
    patch = {"spec": {"type": "NodePort", "ports": twice}}
    answer = kube.send("PATCH", f"{SERVICES}/web", patch, content_type=merge).body

    assert (answer["code"], answer["message"]) == (500, "duplicate nodePort: {TCP 30100}")


def test_node_ports_end(kube: Kube) -> None:
    fixed = [port(number, nodePort=number) for number in range(30000, LAST)]
    make(kube, *fixed, name="most", type="NodePort")
    assert node_ports(make(kube, name="last", type="NodePort")) == [LAST]

    answer = kube.refusal("POST", SERVICES, service(type="NodePort"))
    assert answer["message"] == "Internal error occurred: failed to allocate a nodePort: range is full"

    change(kube, "most", ports=fixed[1:])
    assert node_ports(make(kube, type="NodePort")) == [30000]


def test_a_dry_run_allocates_for_show_only(kube: Kube) -> None:
    tried = kube.ok("POST", SERVICES, service(type="NodePort"), {"dryRun": "All"})
    (number,) = node_ports(tried["spec"])

    assert node_ports(make(kube, port(nodePort=number), name="b", type="NodePort")) == [number]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}),
        (
            {"type": "LoadBalancer"},
            {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True},
        ),
        ({"externalIPs": ["1.2.3.4"]}, {"externalTrafficPolicy": "Cluster"}),
        (
            {"sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
        ),
        ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, {"sessionAffinityConfig": None}),
        ({"ports": [{"port": 80, "targetPort": ""}]}, {"externalTrafficPolicy": None}),
        ({"type": "ExternalName", "externalName": "a.b"}, {"internalTrafficPolicy": None, "clusterIP": None}),
        ({"clusterIP": "None", "selector": {"a": "b"}}, {"ipFamilies": ["IPv4"], "clusterIPs": ["None"]}),
        ({"clusterIP": "None"}, {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}),
    ],
)
def test_what_a_service_does_not_say(kube: Kube, spec: Object, expected: Object) -> None:
    made = make(kube, **spec)

    assert {name: made.get(name) for name in expected} == expected
    assert [each["targetPort"] for each in made["ports"]] == [80]


_TWICE = (
    'Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), Port:80, '
    'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": [{**port(), "name": name} for name in "ab"]}, [f"spec.ports[1]: {_TWICE}"]),
        (
            {"type": "NodePort", "ports": [{**port(nodePort=30100), "name": name} for name in "ab"]},
            ["spec.ports[1].nodePort: Duplicate value: 30100", f"spec.ports[1]: {_TWICE}"],
        ),
        (
            {"ports": [port(nodePort=30100)]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        *(
            (
                {"type": kind, "clusterIP": "None"},
                [
                    'spec.clusterIPs[0]: Invalid value: "None": '
                    + f"may not be set to 'None' for {kind} services"
                ],
            )
            for kind in ("NodePort", "LoadBalancer")
        ),
        (
            {"ports": [port(targetPort="Web_-")]},
            [
                f'spec.ports[0].targetPort: Invalid value: "Web_-": {why}'
                for why in (
                    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                    "must not begin or end with a hyphen",
                )
            ],
        ),
        (
            {"externalIPs": ["here", "127.0.0.1"]},
            [
                f'spec.externalIPs[0]: Invalid value: "here": {NO_IP}',
                'spec.externalIPs[1]: Invalid value: "127.0.0.1": '
                "may not be in the loopback range (127.0.0.0/8, ::1/128)",
            ],
        ),
        (
            {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.7.7"},
            ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        ),
        (
            {"type": "NodePort", "externalTrafficPolicy": "Foo"},
            ['spec.externalTrafficPolicy: Unsupported value: "Foo": supported values: "Cluster", "Local"'],
        ),
        (
            {"externalTrafficPolicy": "Local"},
            [
                'spec.externalTrafficPolicy: Invalid value: "Local": '
                "may only be set for externally-accessible services"
            ],
        ),
        (
            {"internalTrafficPolicy": "Foo"},
            ['spec.internalTrafficPolicy: Unsupported value: "Foo": supported values: "Cluster", "Local"'],
        ),
        (
            {"ipFamilyPolicy": "Foo"},
            [
                'spec.ipFamilyPolicy: Unsupported value: "Foo": supported values: '
                '"PreferDualStack", "RequireDualStack", "SingleStack"'
            ],
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
                "this cluster is not configured for dual-stack services"
            ],
        ),
        (
            {"ipFamilies": ["IPv6"]},
            ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
        ),
        (
            {"ipFamilies": ["IPv5"]},
            ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'],
        ),
        (
            {"clusterIP": "fd00::1"},
            [
                'spec.clusterIPs[0]: Invalid value: []string{"fd00::1"}: '
                "IPv6 is not configured on this cluster"
            ],
        ),
        (
            {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.8"]},
            [
                'spec.clusterIPs: Invalid value: []string{"10.96.7.8"}: first value must match `clusterIP`',
            ],
        ),
        (
            {"clusterIPs": ["10.96.7.8"]},
            [
                'spec.clusterIPs: Invalid value: []string{"10.96.7.8"}: '
                "must be empty when `clusterIP` is not specified"
            ],
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: "
                "must be greater than 0 and less than 86400"
            ],
        ),
        (
            {"loadBalancerSourceRanges": ["x"]},
            [
                f"spec.LoadBalancerSourceRanges: {BALANCERS_ONLY}",
                'spec.LoadBalancerSourceRanges: Invalid value: "[x]": must be a list of IP ranges. '
                "For example, 10.240.0.0/24,10.250.0.0/24 ",
            ],
        ),
        (
            {"allocateLoadBalancerNodePorts": True, "loadBalancerClass": "a"},
            [
                f"spec.allocateLoadBalancerNodePorts: {BALANCERS_ONLY}",
                f"spec.loadBalancerClass: {BALANCERS_ONLY}",
            ],
        ),
        (
            {"type": "LoadBalancer", "healthCheckNodePort": 30100},
            [
                "spec.healthCheckNodePort: Invalid value: 30100: may only be set when `type` is "
                "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            ],
        ),
    ],
)
def test_what_makes_no_sense_in_a_service(kube: Kube, spec: Object, expected: list[str]) -> None:
    assert refused(kube, service(**spec)) == expected


def test_an_external_name_is_a_name_of_the_dns(kube: Kube) -> None:
    (cause,) = refused(kube, service(type="ExternalName", externalName="A b"))

    assert cause.startswith(
        'spec.externalName: Invalid value: "A b": a lowercase RFC 1123 subdomain must consist of lower case'
    )


def test_a_node_port_is_looked_at_before_the_name(kube: Kube) -> None:
    fixed = service("web", port(nodePort=30100), type="NodePort")
    kube.create(SERVICES, fixed)

    assert refused(kube, fixed) == [f"spec.ports[0].nodePort: Invalid value: 30100: {TAKEN}"]
    assert kube.refusal("POST", SERVICES, service())["reason"] == "AlreadyExists"
