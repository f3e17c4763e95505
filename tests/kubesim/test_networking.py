"""Ingresses, IngressClasses, NetworkPolicies, Endpoints and slices as objects: defaults, refusals, tables."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, Object
from test_table import shown

GROUP = "/apis/networking.k8s.io/v1"
HOME = f"{GROUP}/namespaces/default"
INGRESSES, POLICIES = f"{HOME}/ingresses", f"{HOME}/networkpolicies"
CLASSES = f"{GROUP}/ingressclasses"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
    r"is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def named(name: str = "a", **fields: Any) -> Object:
    return {"metadata": {"name": name}, **fields}


def causes(kube: Kube, path: str, **fields: Any) -> list[str]:
    answer = kube.refusal("POST", path, named(**fields))
    assert (answer["code"], answer["reason"]) == (422, "Invalid"), answer
    return [f"{each['field']}: {each['message']}" for each in answer["details"]["causes"]]


def ingress(**path: Any) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/a", "pathType": "Prefix", "backend": backend, **path}]
    return {"rules": [{"host": "a.example.com", "http": {"paths": paths}}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {},
            "spec: Invalid value: []networking.IngressRule(nil): either `defaultBackend` or `rules` must be "
            "specified",
        ),
        (
            ingress(pathType=None),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            ingress(pathType="Foo"),
            'spec.rules[0].http.paths[0].pathType: Unsupported value: "Foo": supported values: "Exact", '
            '"ImplementationSpecific", "Prefix"',
        ),
        (
            ingress(path="/a//b"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
        ),
        (
            ingress(path="a"),
            'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path',
        ),
        (
            ingress(backend={}),
            'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
        ),
        (
            ingress(backend={"service": {"name": "a", "port": {"number": 1, "name": "x"}}}),
            'spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both port name & port number',
        ),
        (
            ingress(backend={"service": {"name": "a", "port": {"number": 99999}}}),
            "spec.rules[0].http.paths[0].backend.service.port.number: Invalid value: 99999: must be between "
            "1 and 65535, inclusive",
        ),
        (
            {"rules": [{"host": "1.2.3.4"}]},
            'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        ),
        ({**ingress(), "tls": [{"hosts": ["_"]}]}, f'spec.tls[0].hosts[0]: Invalid value: "_": {SUBDOMAIN}'),
        (
            {**ingress(), "ingressClassName": "X Y"},
            f'spec.ingressClassName: Invalid value: "X Y": {SUBDOMAIN}',
        ),
    ],
)
def test_an_ingress_that_makes_no_sense_is_refused(kube: Kube, spec: Object, expected: str) -> None:
    assert causes(kube, INGRESSES, spec=spec) == [expected]


def test_a_new_ingress_takes_the_default_class_unless_it_names_one(kube: Kube) -> None:
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    kube.create(CLASSES, named("other", spec={"controller": "acme.io/other"}))
    kube.create(INGRESSES, named("before", spec=ingress()))
    marked = {"metadata": {"name": "usual", "annotations": default}, "spec": {"controller": "acme.io/usual"}}
    kube.create(CLASSES, marked)
    kube.create(INGRESSES, named("after", spec=ingress()))
    kube.create(INGRESSES, named("own", spec={**ingress(), "ingressClassName": "other"}))
    found = {
        each["metadata"]["name"]: each["spec"].get("ingressClassName")
        for each in kube.get(INGRESSES)["items"]
    }
    assert found == {"before": None, "after": "usual", "own": "other"}


def test_ingress_tables_say_hosts_class_and_ports(kube: Kube) -> None:
    kube.create(INGRESSES, named("a", spec={**ingress(), "tls": [{"secretName": "s"}]}))
    kube.create(
        INGRESSES, named("b", spec={"defaultBackend": {"service": {"name": "w", "port": {"name": "h"}}}})
    )
    kube.merge(
        f"{INGRESSES}/b/status",
        {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "x"}]}}},
    )
    assert shown(kube, INGRESSES) == [
        {
            "Name": "a",
            "Class": "<none>",
            "Hosts": "a.example.com",
            "Address": "",
            "Ports": "80, 443",
            "Age": "0s",
        },
        {"Name": "b", "Class": "<none>", "Hosts": "*", "Address": "1.2.3.4,x", "Ports": "80", "Age": "0s"},
    ]


def test_a_new_spec_is_a_new_generation_and_a_new_status_is_not(kube: Kube) -> None:
    created = kube.create(INGRESSES, named(spec=ingress()))
    assert (created["metadata"]["generation"], created["status"]) == (1, {"loadBalancer": {}})
    kube.merge(f"{INGRESSES}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}})
    assert kube.get(f"{INGRESSES}/a")["metadata"]["generation"] == 1
    kube.merge(f"{INGRESSES}/a", {"spec": {"ingressClassName": "x"}})
    assert kube.get(f"{INGRESSES}/a")["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "spec.controller: Required value"),
        (
            {"controller": "nope"},
            'spec.controller: Invalid value: "nope": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            {"controller": "a.io/b", "parameters": {"kind": "P", "name": "q", "scope": "Namespace"}},
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
        ),
    ],
)
def test_an_ingress_class_that_makes_no_sense_is_refused(kube: Kube, spec: Object, expected: str) -> None:
    assert causes(kube, CLASSES, spec=spec) == [expected]


def test_ingress_class_tables_say_controller_and_parameters(kube: Kube) -> None:
    parameters = {"apiGroup": "k.example.com", "kind": "P", "name": "q"}
    created = kube.create(CLASSES, named("a", spec={"controller": "k8s.io/nginx", "parameters": parameters}))
    assert created["spec"]["parameters"]["scope"] == "Cluster"
    assert shown(kube, CLASSES) == [
        {"Name": "a", "Controller": "k8s.io/nginx", "Parameters": "P.k.example.com/q", "Age": "0s"}
    ]
    refused = kube.refusal("PATCH", f"{CLASSES}/a", None)
    assert refused["code"] >= 400


def test_a_network_policy_says_what_it_is_about_by_default(kube: Kube) -> None:
    created = kube.create(POLICIES, named(spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}))
    assert created["spec"]["policyTypes"] == ["Ingress"]
    assert created["spec"]["ingress"] == [{"ports": [{"port": 80, "protocol": "TCP"}]}]
    labels = {"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]}
    assert kube.create(POLICIES, named("b", spec=labels))["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert [row["Pod-Selector"] for row in shown(kube, POLICIES)] == ["<none>", "app=web"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"ports": [{"port": 0}]},
            "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            {"ports": [{"protocol": "X"}]},
            'ports[0].protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"',
        ),
        (
            {"ports": [{"port": 90, "endPort": 80}]},
            "ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`",
        ),
        ({"from": [{}]}, "from[0]: Required value: must specify a peer"),
        (
            {"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]},
            "from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}}]},
            'from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/8": must be a strict subset of `cidr`',
        ),
    ],
)
def test_a_network_policy_that_makes_no_sense_is_refused(kube: Kube, rule: Object, expected: str) -> None:
    found = causes(kube, POLICIES, spec={"podSelector": {}, "ingress": [rule]})
    assert found == [f"spec.ingress[0].{expected}"]


def test_a_network_policy_has_two_types_at_most(kube: Kube) -> None:
    types = ["Ingress", "Egress", "Ingress"]
    assert causes(kube, POLICIES, spec={"podSelector": {}, "policyTypes": types}) == [
        'spec.policyTypes: Invalid value: []networking.PolicyType{"Ingress", "Egress", "Ingress"}: '
        "may not specify more than two policyTypes"
    ]


def test_endpoints_that_make_no_sense_are_refused(kube: Kube) -> None:
    subsets = [
        {
            "addresses": [{"ip": "127.0.0.1"}],
            "ports": [{"port": 0}, {"port": 3, "name": "a", "protocol": "Q"}, {"port": 4, "name": "A_"}],
        },
        {"ports": [{"port": 3}]},
    ]
    assert causes(kube, ENDPOINTS, subsets=subsets) == [
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range '
        "(127.0.0.0/8, ::1/128)",
        "subsets[0].ports[0].name: Required value",
        "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        'subsets[0].ports[1].protocol: Unsupported value: "Q": supported values: "SCTP", "TCP", "UDP"',
        f'subsets[0].ports[2].name: Invalid value: "A_": {LABEL}',
        "subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`",
    ]


def test_endpoints_tables_show_three_and_count_the_rest(kube: Kube) -> None:
    addresses = [{"ip": "10.9.0.1"}, {"ip": "10.9.0.2"}]
    ports = [{"port": 80 + index, "name": name} for index, name in enumerate("abcd")]
    kube.create(ENDPOINTS, named("many", subsets=[{"addresses": addresses, "ports": ports}]))
    kube.create(ENDPOINTS, named("none"))
    rows = {row["Name"]: row["Endpoints"] for row in shown(kube, ENDPOINTS)}
    assert rows["many"] == "10.9.0.1:80,10.9.0.2:80,10.9.0.1:81 + 5 more..."
    assert rows["none"] == "<none>"


def test_slices_that_make_no_sense_are_refused(kube: Kube) -> None:
    assert causes(kube, SLICES, addressType="Foo", endpoints=[{"addresses": []}]) == [
        'addressType: Unsupported value: "Foo": supported values: "FQDN", "IPv4", "IPv6"',
        "endpoints[0].addresses: Required value: must contain at least 1 address",
    ]
    ports = [{"name": "A_"}, {"port": 3}, {"port": 4}, {"name": "q", "protocol": "X"}]
    endpoints = [{"addresses": ["x"], "hostname": "A_"}]
    assert causes(kube, SLICES, addressType="IPv4", endpoints=endpoints, ports=ports) == [
        'endpoints[0].addresses[0]: Invalid value: "x": must be a valid IPv4 address',
        f'endpoints[0].hostname: Invalid value: "A_": {LABEL}',
        f'ports[0].name: Invalid value: "A_": {LABEL}',
        'ports[2].name: Duplicate value: ""',
        'ports[3].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
    ]


def test_slice_tables_show_ports_and_addresses(kube: Kube) -> None:
    endpoints = [{"addresses": [f"10.9.0.{index}"]} for index in range(1, 6)]
    kube.create(SLICES, named(addressType="IPv4", endpoints=endpoints, ports=[{"port": 80}, {"name": "b"}]))
    kube.create(SLICES, named("b", addressType="IPv4", endpoints=[]))
    rows = {row["Name"]: row for row in shown(kube, SLICES)}
    assert (rows["a"]["AddressType"], rows["b"]["Ports"], rows["b"]["Endpoints"]) == (
        "IPv4",
        "<unset>",
        "<unset>",
    )
    assert rows["a"]["Ports"] == "80,b"
    assert rows["a"]["Endpoints"] == "10.9.0.1,10.9.0.2,10.9.0.3 + 2 more..."
