"""Custom resources among the rest of a cluster: rights, budgets, autoscalers, apply, definitions that go."""

from __future__ import annotations

from typing import Any

import pytest
from definitions import DEFINITIONS, NAME, SCALE, SHIRTS, definition, shirt, version
from kube_driver import PODS, Kube, pod
from workloads import BUDGETS, SETTLED

from pytest_selfrep.kubesim.apiserver.http import Response

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
APPLY = "application/apply-patch+yaml"
NULLABLE = {
    "plain": {"type": "string"},
    "nullable": {"type": "string", "nullable": True},
    "filled": {"type": "string", "default": "x"},
    "both": {"type": "string", "nullable": True, "default": "y"},
    "within": {"type": "object", "properties": {"plain": {"type": "string"}}},
    "list": {"type": "array", "items": {"type": "string"}},
}
PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
    },
}


def define(kube: Kube, *versions: Any) -> None:
    kube.create(DEFINITIONS, definition("shirts", "Shirt", *versions))


def scalable(kube: Kube) -> None:
    define(kube, version(subresources={"status": {}, "scale": SCALE}))


def apply(kube: Kube, manager: str, spec: Any, at: str = "", **query: str) -> Response:
    sent = {**shirt(), "spec": spec} if not at else {**shirt(), "status": spec}
    sent = {name: value for name, value in sent.items() if name != "spec" or not at}
    return kube.send("PATCH", f"{SHIRTS}/red{at}", sent, {"fieldManager": manager, **query}, APPLY)


def owned_pods(kube: Kube, count: int) -> None:
    """Pods of the shirt ``red``, ready."""
    kube.create(SHIRTS, shirt(replicas=count))
    kube.merge(f"{SHIRTS}/red/status", {"status": {"replicas": count, "selector": "app=web"}})
    owner = kube.get(f"{SHIRTS}/red")
    reference = {"apiVersion": owner["apiVersion"], "kind": "Shirt", "name": "red", "controller": True}
    reference["uid"] = owner["metadata"]["uid"]
    for number in range(count):
        made = pod(f"web-{number}")
        made["metadata"] |= {"labels": {"app": "web"}, "ownerReferences": [reference]}
        made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
        kube.create(PODS, made)
    kube.advance(SETTLED)


def test_rights_to_custom_kinds_are_granted_by_their_names(kube: Kube) -> None:
    scalable(kube)
    rule = {"verbs": ["get", "create"], "apiGroups": ["stable.acme.io"], "resources": ["shirts"]}
    kube.create(f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "tailor"}, "rules": [rule]})
    group = "rbac.authorization.k8s.io"
    kube.create(
        f"{RBAC}/namespaces/default/rolebindings",
        {
            "metadata": {"name": "tailor"},
            "subjects": [{"kind": "User", "apiGroup": group, "name": "dana"}],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "tailor"},
        },
    )
    dana = Kube(kube.cluster, kube.cluster.token_for("dana"))
    assert dana.send("POST", SHIRTS, shirt()).status == 201
    assert dana.send("GET", f"{SHIRTS}/red").status == 200
    assert dana.refusal("GET", f"{SHIRTS}/red/scale")["message"] == (
        'shirts.stable.acme.io "red" is forbidden: User "dana" cannot get resource "shirts/scale" in API '
        'group "stable.acme.io" in the namespace "default"'
    )


def test_budgets_count_the_replicas_that_custom_owners_want(three_nodes: Kube) -> None:
    scalable(three_nodes)
    owned_pods(three_nodes, 4)
    budget = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": "50%"}
    three_nodes.create(BUDGETS, {"metadata": {"name": "web"}, "spec": budget})
    status = three_nodes.get(f"{BUDGETS}/web")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (4, 2)
    three_nodes.merge(f"{SHIRTS}/red", {"spec": {"replicas": 6}})
    status = three_nodes.get(f"{BUDGETS}/web")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (6, 1)


def test_autoscalers_scale_custom_resources(three_nodes: Kube) -> None:
    scalable(three_nodes)
    owned_pods(three_nodes, 2)
    target = {"apiVersion": "stable.acme.io/v1", "kind": "Shirt", "name": "red"}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    metrics = [{"type": "Resource", "resource": cpu}]
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": metrics}
    three_nodes.cluster.set_cpu("default", "app=web", 0.18)
    three_nodes.advance(30)
    three_nodes.create(AUTOSCALERS, {"metadata": {"name": "red"}, "spec": spec})
    three_nodes.advance(15)
    assert three_nodes.get(f"{SHIRTS}/red")["spec"]["replicas"] == 4
    assert three_nodes.get(f"{AUTOSCALERS}/red")["status"]["desiredReplicas"] == 4


@pytest.mark.parametrize(
    ("said", "warning"),
    [
        ({}, "stable.acme.io/v1beta1 Shirt is deprecated; use stable.acme.io/v1 Shirt"),
        ({"deprecationWarning": "wear hats"}, "wear hats"),
    ],
)
def test_requests_for_a_deprecated_version_are_warned(kube: Kube, said: Any, warning: str) -> None:
    define(kube, version(), version("v1beta1", storage=False, deprecated=True, **said))
    old = SHIRTS.replace("/v1/", "/v1beta1/")
    for answer in (
        kube.send("POST", old, {**shirt(), "apiVersion": "stable.acme.io/v1beta1"}),
        kube.send("GET", f"{old}/red"),
        kube.send("GET", old),
        kube.send("GET", f"{old}/none"),
    ):
        assert list(answer.warnings) == [warning]
    assert not kube.send("GET", SHIRTS).warnings


def test_null_is_kept_only_where_it_may_be(kube: Kube) -> None:
    define(kube, version(spec=NULLABLE))
    nulls: dict[str, Any] = {**dict.fromkeys(NULLABLE), "within": {"plain": None}}
    kept: dict[str, Any] = {"nullable": None, "filled": "x", "both": None, "within": {}}
    assert kube.create(SHIRTS, {**shirt(), "spec": nulls})["spec"] == kept
    kube.merge(f"{SHIRTS}/red", {"metadata": {"labels": {"a": "b"}}})
    assert kube.get(f"{SHIRTS}/red")["spec"] == kept
    applied = apply(kube, "me", {"nullable": None}, force="true")
    assert applied.body["spec"] == kept
    refused = kube.refusal("POST", SHIRTS, {**shirt("blue"), "spec": {"list": [None]}})
    assert "must be of type string" in refused["message"]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", "a-"),
        (r"^\d+(\.\d+)?(?:ms|s)$", "1.5s", "1.s"),
        (r"^[\w\-]+/[^/\s]+$", "a-b/c", "a/b/c"),
        (r"(?i)^get|post$", "GET", "put"),
        (r"^a.b\z", "axb", "a\nb"),
        (r"^(x+x+)+y$", "xxy", "x" * 4000),
        (r"^((a|a)*)*$", "aa", "a" * 4000 + "b"),
    ],
)
def test_patterns_are_checked_as_go_does_and_as_soon(kube: Kube, pattern: str, good: str, bad: str) -> None:
    define(kube, version(spec={"color": {"type": "string", "pattern": pattern}}))
    assert kube.send("POST", SHIRTS, {**shirt(), "spec": {"color": good}}).status == 201
    refused = kube.refusal("POST", SHIRTS, {**shirt("blue"), "spec": {"color": bad}})
    assert f"spec.color in body should match '{pattern}'" in refused["message"]


def test_patterns_that_cannot_be_checked_hold_nothing_up(kube: Kube) -> None:
    define(kube, version(spec={"color": {"type": "string", "pattern": r"^(?s:.+)+$"}}))
    assert kube.send("POST", SHIRTS, {**shirt(), "spec": {"color": "b" * 4000}}).status == 201


def test_lists_that_are_maps_are_merged_by_apply(kube: Kube) -> None:
    define(kube, version(spec={"ports": PORTS, "color": {"type": "string"}}))
    assert apply(kube, "one", {"ports": [{"name": "a", "port": 1}], "color": "red"}).status == 201
    assert apply(kube, "two", {"ports": [{"name": "b", "port": 2}]}).body["spec"]["ports"] == [
        {"name": "a", "port": 1},
        {"name": "b", "port": 2},
    ]
    refused = apply(kube, "two", {"ports": [{"name": "a", "port": 9}]})
    assert (refused.status, refused.body["message"]) == (
        409,
        'Apply failed with 1 conflict: conflict with "one": .spec.ports[name="a"].port',
    )
    forced = apply(kube, "two", {"ports": [{"name": "a", "port": 9}]}, force="true")
    assert forced.body["spec"]["ports"] == [{"name": "a", "port": 9}]


def test_status_is_applied_apart(kube: Kube) -> None:
    scalable(kube)
    apply(kube, "one", {"color": "red"})
    applied = apply(kube, "robot", {"replicas": 3}, "/status")
    assert (applied.status, applied.body["status"], applied.body["spec"]) == (
        200,
        {"replicas": 3},
        {"color": "red"},
    )


def test_nothing_is_made_while_its_definition_goes_not_even_by_apply(kube: Kube) -> None:
    define(kube)
    kube.create(SHIRTS, {**shirt(), "metadata": {"name": "red", "finalizers": ["acme.io/iron"]}})
    kube.delete(f"{DEFINITIONS}/{NAME}")
    query, new = {"fieldManager": "me"}, shirt("blue")
    for answer in (
        kube.send("POST", SHIRTS, new),
        kube.send("PATCH", f"{SHIRTS}/blue", new, query, APPLY),
    ):
        assert (answer.status, answer.body["message"]) == (
            405,
            "create not allowed while custom resource definition is terminating",
        )
    assert apply(kube, "me", {"color": "green"}, force="true").status == 200


@pytest.mark.parametrize("others", [False, True])
def test_whatever_is_asked_of_a_kind_whose_definition_is_gone_is_not_found(kube: Kube, others: bool) -> None:
    define(kube)
    if others:
        kube.create(DEFINITIONS, definition("hats", "Hat"))
    kube.create(SHIRTS, shirt())
    kube.delete(f"{DEFINITIONS}/{NAME}")
    red, merge = f"{SHIRTS}/red", "application/merge-patch+json"
    for answer in (
        kube.send("POST", SHIRTS, shirt()),
        kube.send("GET", SHIRTS),
        kube.send("GET", SHIRTS, query={"watch": "true"}),
        kube.send("GET", red),
        kube.send("PUT", red, shirt()),
        kube.send("PATCH", red, {"spec": {}}, {}, merge),
        apply(kube, "me", {"color": "green"}),
        kube.send("GET", f"{red}/status"),
        kube.send("DELETE", red),
        kube.send("DELETE", SHIRTS),
    ):
        assert answer.status == 404
