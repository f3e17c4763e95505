"""The roles that a cluster starts with, and roles that are made of others."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import Cluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLES = f"{RBAC}/clusterroles"
BINDINGS = f"{RBAC}/clusterrolebindings"
PART_OF = "rbac.authorization.k8s.io/aggregate-to-"
READ = ["get", "list", "watch"]


def role(name: str, *rules: dict[str, Any], labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "rules": list(rules)}


def rule(*verbs: str, group: str = "", resource: str = "pods") -> dict[str, Any]:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": [resource]}


def aggregated(name: str, *selectors: dict[str, Any]) -> dict[str, Any]:
    return {**role(name), "aggregationRule": {"clusterRoleSelectors": list(selectors)}}


def rules_of(kube: Kube, name: str) -> list[dict[str, Any]]:
    return list(kube.get(f"{ROLES}/{name}").get("rules") or [])


def allows(rules: list[dict[str, Any]], verb: str, resource: str, group: str = "") -> bool:
    return any(
        verb in each["verbs"] and group in each["apiGroups"] and resource in each["resources"]
        for each in rules
    )


def test_the_roles_of_users_are_made_of_parts(kube: Kube) -> None:
    for name in ("admin", "edit", "view"):
        found = kube.get(f"{ROLES}/{name}")
        selector = {"matchLabels": {f"{PART_OF}{name}": "true"}}
        assert found["aggregationRule"] == {"clusterRoleSelectors": [selector]}
        assert found["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}
        assert found["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
    part, whole = rules_of(kube, "system:aggregate-to-view"), rules_of(kube, "view")
    assert whole == [*part, *rules_of(kube, "system:aggregated-metrics-reader")]
    assert [each for each in whole if each not in rules_of(kube, "edit")] == []
    assert [each for each in rules_of(kube, "edit") if each not in rules_of(kube, "admin")] == []


@pytest.mark.parametrize(
    ("verb", "resource", "group", "weakest"),
    [
        ("list", "pods", "", "view"),
        ("get", "pods/log", "", "view"),
        ("get", "endpointslices", "discovery.k8s.io", "view"),
        ("list", "pods", "metrics.k8s.io", "view"),
        ("get", "secrets", "", "edit"),
        ("create", "pods/exec", "", "edit"),
        ("create", "pods/eviction", "", "edit"),
        ("create", "serviceaccounts/token", "", "edit"),
        ("update", "leases", "coordination.k8s.io", "edit"),
        ("create", "rolebindings", "rbac.authorization.k8s.io", "admin"),
        ("create", "endpoints", "", ""),
        ("create", "resourcequotas", "", ""),
        ("list", "nodes", "", ""),
    ],
)
def test_who_of_the_users_roles_may_do_what(
    kube: Kube, verb: str, resource: str, group: str, weakest: str
) -> None:
    names = ("view", "edit", "admin")
    may = [name for name in names if allows(rules_of(kube, name), verb, resource, group)]
    assert may == ([*names[names.index(weakest) :]] if weakest else [])


def test_system_roles_are_those_of_a_real_cluster(kube: Kube) -> None:
    names = {each["metadata"]["name"] for each in kube.get(ROLES)["items"]}
    assert {
        "cluster-admin",
        "system:auth-delegator",
        "system:basic-user",
        "system:controller:deployment-controller",
        "system:discovery",
        "system:kube-scheduler",
        "system:monitoring",
        "system:node",
        "system:node-proxier",
        "system:public-info-viewer",
        "system:service-account-issuer-discovery",
    } <= names
    assert len(names) == 66
    (paths,) = rules_of(kube, "system:service-account-issuer-discovery")
    assert paths == {
        "verbs": ["get"],
        "nonResourceURLs": ["/.well-known/openid-configuration", "/openid/v1/jwks"],
    }
    binding = kube.get(f"{BINDINGS}/system:controller:job-controller")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "job-controller", "namespace": "kube-system"}
    ]
    assert "subjects" not in kube.get(f"{BINDINGS}/system:node")
    in_system = kube.get(f"{RBAC}/namespaces/kube-system/roles")["items"]
    assert "extension-apiserver-authentication-reader" in [each["metadata"]["name"] for each in in_system]


def test_what_every_cluster_begins_with_can_be_watched_changed_and_deleted(kube: Kube) -> None:
    view = kube.get(f"{ROLES}/view")
    earlier = kube.get(
        ROLES, resourceVersion=view["metadata"]["resourceVersion"], resourceVersionMatch="Exact"
    )
    assert earlier["items"][-1]["metadata"] == view["metadata"]
    token = {"authorization": f"Bearer {kube.cluster.token_for()}"}
    asked = Request("GET", f"{ROLES}/view", {}, token, managed_fields=True)
    shown = kube.cluster.handle(asked).body
    assert isinstance(shown, dict)
    assert [each["manager"] for each in shown["metadata"]["managedFields"]] == ["kube-apiserver"]
    kube.merge(f"{ROLES}/system:monitoring", {"metadata": {"labels": {"mine": "yes"}}})
    kube.delete(f"{ROLES}/system:heapster")
    other = Cluster(seed=3)
    fresh = Kube(other, other.token_for())
    assert "mine" not in fresh.get(f"{ROLES}/system:monitoring")["metadata"]["labels"]
    assert fresh.exists(f"{ROLES}/system:heapster")
    assert not kube.exists(f"{ROLES}/system:heapster")


def test_a_role_with_the_label_of_a_part_becomes_part_of_it(kube: Kube) -> None:
    shown = rule(*READ, group="example.com", resource="crontabs")
    kube.create(ROLES, role("crontabs", shown, labels={f"{PART_OF}view": "true"}))
    assert all(shown in rules_of(kube, name) for name in ("view", "edit", "admin"))
    kube.merge(f"{ROLES}/crontabs", {"metadata": {"labels": None}})
    assert not any(shown in rules_of(kube, name) for name in ("view", "edit", "admin"))


def test_an_aggregated_role_of_a_user_has_the_rules_of_all_it_selects_each_once(kube: Kube) -> None:
    kube.create(ROLES, role("b", rule("get"), rule("list"), labels={"part": "yes"}))
    kube.create(ROLES, role("a", rule("list"), rule("watch"), labels={"also": "yes"}))
    whole = aggregated("whole", {"matchLabels": {"part": "yes"}}, {"matchLabels": {"also": "yes"}})
    kube.create(ROLES, whole)
    assert rules_of(kube, "whole") == [rule("list"), rule("watch"), rule("get")]
    kube.replace(f"{ROLES}/whole", {**whole, "rules": [rule("delete")]})
    assert rules_of(kube, "whole") == [rule("list"), rule("watch"), rule("get")]
    kube.delete(f"{ROLES}/a")
    assert rules_of(kube, "whole") == [rule("get"), rule("list")]


def test_aggregated_rights_hold_at_once(kube: Kube) -> None:
    kube.create(ROLES, aggregated("whole", {"matchLabels": {"part": "yes"}}))
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "whole"}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "dana"}
    kube.create(BINDINGS, {"metadata": {"name": "dana"}, "subjects": [subject], "roleRef": ref})
    dana = Kube(kube.cluster, kube.cluster.token_for("dana"))
    assert dana.send("GET", "/api/v1/nodes").status == 403
    kube.create(ROLES, role("nodes", rule(*READ, resource="nodes"), labels={"part": "yes"}))
    assert dana.send("GET", "/api/v1/nodes").status == 200


def test_an_aggregation_rule_must_select_something(kube: Kube) -> None:
    refusal = kube.refusal("POST", ROLES, aggregated("whole"))
    assert refusal["message"] == (
        'ClusterRole.rbac.authorization.k8s.io "whole" is invalid: aggregationRule.clusterRoleSelectors: '
        "Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
    )
    wrong = {"matchExpressions": [{"key": "part", "operator": "Like", "values": ["yes"]}]}
    refusal = kube.refusal("POST", ROLES, aggregated("whole", wrong))
    assert "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator" in refusal["message"]


def test_only_who_may_do_everything_uses_aggregation_rules(kube: Kube) -> None:
    written = rule("create", "update", group="rbac.authorization.k8s.io", resource="clusterroles")
    kube.create(ROLES, role("writer", written))
    kube.create(ROLES, aggregated("whole", {"matchLabels": {"part": "yes"}}))
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "dana"}
    kube.create(BINDINGS, {"metadata": {"name": "dana"}, "subjects": [subject], "roleRef": ref})
    dana = Kube(kube.cluster, kube.cluster.token_for("dana"))
    why = "must have cluster-admin privileges to use an aggregationRule"
    refusal = dana.refusal("POST", ROLES, aggregated("more", {"matchLabels": {"part": "yes"}}))
    assert (refusal["code"], refusal["message"]) == (
        403,
        f'clusterroles.rbac.authorization.k8s.io "more" is forbidden: {why}',
    )
    assert why in dana.refusal("PUT", f"{ROLES}/whole", role("whole"))["message"]
    assert dana.send("POST", ROLES, role("empty")).status == 201
