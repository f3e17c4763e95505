"""What somebody may do, how much of it, and in which words more is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from api_client import Kube, Object, until
from manifests import config_map, idle_pod, pod, workload

READ = {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list"]}


def account(kube: Kube, *rules: Object) -> Kube:
    """A service account ``agent`` that may do what the rules say."""
    kube.create("serviceaccounts", {"metadata": {"name": "agent"}})
    kube.create("roles.rbac", {"metadata": {"name": "agent"}, "rules": list(rules)})
    kube.create(
        "rolebindings.rbac",
        {
            "metadata": {"name": "agent"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"},
            "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": kube.namespace}],
        },
    )
    agent = kube.as_account("agent")
    until(lambda: agent.send("GET", "configmaps").code, lambda code: code == 200)
    return agent


@pytest.fixture(scope="module")
def agent(shared: Kube) -> Kube:
    """One that may read pods and ConfigMaps."""
    return account(shared, READ)


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        (
            "POST",
            "configmaps",
            'cannot create resource "configmaps" in API group "" in the namespace "<namespace>"',
        ),
        ("GET", "secrets", 'cannot list resource "secrets" in API group "" in the namespace "<namespace>"'),
        ("GET", "secrets/a", 'cannot get resource "secrets" in API group "" in the namespace "<namespace>"'),
        ("DELETE", "pods/a", 'cannot delete resource "pods" in API group "" in the namespace "<namespace>"'),
        (
            "DELETE",
            "pods",
            'cannot deletecollection resource "pods" in API group "" in the namespace "<namespace>"',
        ),
        (
            "GET",
            "pods/a/log",
            'cannot get resource "pods/log" in API group "" in the namespace "<namespace>"',
        ),
        (
            "POST",
            "pods/a/exec",
            'cannot create resource "pods/exec" in API group "" in the namespace "<namespace>"',
        ),
        (
            "PATCH",
            "deployments.apps/a/scale",
            'cannot patch resource "deployments/scale" in API group "apps" in the namespace "<namespace>"',
        ),
        (
            "PUT",
            "deployments.apps/a",
            'cannot update resource "deployments" in API group "apps" in the namespace "<namespace>"',
        ),
        ("GET", "/api/v1/nodes", 'cannot list resource "nodes" in API group "" at the cluster scope'),
        ("GET", "/api/v1/pods", 'cannot list resource "pods" in API group "" at the cluster scope'),
        (
            "GET",
            "/api/v1/namespaces/default/pods",
            'cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            "POST",
            "/api/v1/namespaces",
            'cannot create resource "namespaces" in API group "" at the cluster scope',
        ),
        ("GET", "gadgets", 'cannot list resource "gadgets" in API group "" in the namespace "<namespace>"'),
        (
            "GET",
            "/apis/example.com/v1/gadgets/a",
            'cannot get resource "gadgets" in API group "example.com" at the cluster scope',
        ),
    ],
)
def test_what_is_not_allowed_is_refused(agent: Kube, method: str, path: str, what: str) -> None:
    code, reason, message = agent.refusal(method, path, {})
    _, _, words = message.partition(" is forbidden: ")

    assert (code, reason) == (403, "Forbidden")
    assert words == f'User "system:serviceaccount:<namespace>:agent" {what}'


def test_watching_is_a_right_of_its_own(agent: Kube) -> None:
    assert agent.refusal("GET", "pods", watch="true")[2] == (
        'pods is forbidden: User "system:serviceaccount:<namespace>:agent" cannot watch resource "pods" '
        'in API group "" in the namespace "<namespace>"'
    )


def test_paths_that_are_no_resources_need_rights_too(agent: Kube) -> None:
    assert agent.refusal("GET", "/logs") == (
        403,
        "Forbidden",
        'forbidden: User "system:serviceaccount:<namespace>:agent" cannot get path "/logs"',
    )
    assert agent.get("/version")["major"] is not None
    assert agent.send("GET", "/healthz").body == "ok"


def test_an_unknown_token_is_nobody(agent: Kube) -> None:
    code, reason, message = _stranger(agent).refusal("GET", "pods")

    assert (code, reason, message) == (401, "Unauthorized", "Unauthorized")


def _stranger(kube: Kube) -> Kube:
    return replace(kube, link=replace(kube.link, token="not.a.token"))


def test_who_may_do_what_can_be_asked(agent: Kube) -> None:
    assert agent.kubectl("auth can-i list pods") == "yes\n"
    assert agent.kubectl("auth can-i get configmaps/a") == "yes\n"
    assert agent.kubectl("auth can-i '*' pods", fails=True) == ""
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"namespace": agent.namespace, "verb": "delete", "resource": "pods"}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    answer = agent.ok("POST", path, {**review, "spec": {"resourceAttributes": attributes}})
    assert answer["status"] == {"allowed": False}


def test_a_reason_is_given_for_what_is_allowed(agent: Kube) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"namespace": agent.namespace, "verb": "get", "resource": "pods"}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    status = agent.ok("POST", path, {**review, "spec": {"resourceAttributes": attributes}})["status"]

    assert status["allowed"]
    assert agent.plain(status["reason"]) == (
        'RBAC: allowed by RoleBinding "agent/<namespace>" of Role "agent" '
        'to ServiceAccount "agent/<namespace>"'
    )


def test_nobody_grants_what_they_do_not_have(kube: Kube) -> None:
    grants = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}
    agent = account(kube, READ, grants)
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}

    code, reason, message = agent.refusal(
        "POST", "roles.rbac", {"metadata": {"name": "more"}, "rules": [rule]}
    )

    assert (code, reason) == (403, "Forbidden")
    assert message.startswith(
        'roles.rbac.authorization.k8s.io "more" is forbidden: user '
        '"system:serviceaccount:<namespace>:agent" (groups=['
    )
    assert message.endswith(
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    agent.create("roles.rbac", {"metadata": {"name": "same"}, "rules": [READ]})


def test_rights_end_with_their_binding(kube: Kube) -> None:
    agent = account(kube, READ)
    kube.delete("rolebindings.rbac/agent")

    until(lambda: agent.send("GET", "configmaps").code, lambda code: code == 403)


def limited(kube: Kube, **hard: str) -> None:
    spec = {"hard": {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}}
    kube.create("resourcequotas", {"metadata": {"name": "few"}, "spec": spec})
    kube.eventually("resourcequotas/few", lambda quota: quota.get("status", {}).get("used"))


def claim(name: str, size: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name}, "spec": spec}


def asking(name: str, requests: Object, limits: Object | None = None) -> Object:
    made = idle_pod(name)
    made["spec"]["containers"][0]["resources"] = {
        "requests": requests,
        **({"limits": limits} if limits else {}),
    }
    return made


def test_more_than_the_quota_is_refused(kube: Kube) -> None:
    limited(kube, pods="2", requests_cpu="1", requests_memory="1Gi")
    kube.create("pods", asking("a", {"cpu": "600m", "memory": "256Mi"}))

    assert kube.refusal("POST", "pods", asking("b", {"cpu": "500m", "memory": "1Gi"})) == (
        403,
        "Forbidden",
        'pods "b" is forbidden: exceeded quota: few, requested: requests.cpu=500m,requests.memory=1Gi, '
        "used: requests.cpu=600m,requests.memory=256Mi, limited: requests.cpu=1,requests.memory=1Gi",
    )
    assert kube.refusal("POST", "pods", idle_pod("c"))[2].startswith(
        'pods "c" is forbidden: failed quota: few: must specify requests.cpu'
    )
    used = kube.eventually("resourcequotas/few", lambda quota: quota["status"]["used"]["pods"] == "1")
    assert used["status"] == {
        "hard": {"pods": "2", "requests.cpu": "1", "requests.memory": "1Gi"},
        "used": {"pods": "1", "requests.cpu": "600m", "requests.memory": "256Mi"},
    }
    kube.delete("pods/a")
    kube.eventually("resourcequotas/few", lambda quota: quota["status"]["used"]["pods"] == "0")


def test_quotas_count_objects_of_any_kind(kube: Kube) -> None:
    limited(kube, count__deployments_apps="1", secrets="0", count__roles_rbac_authorization_k8s_io="0")
    kube.create("deployments.apps", workload("a", replicas=0))

    assert kube.refusal("POST", "deployments.apps", workload("b", replicas=0))[2] == (
        'deployments.apps "b" is forbidden: exceeded quota: few, requested: count/deployments.apps=1, '
        "used: count/deployments.apps=1, limited: count/deployments.apps=1"
    )
    assert kube.refusal("POST", "roles.rbac", {"metadata": {"name": "a"}, "rules": []})[2] == (
        'roles.rbac.authorization.k8s.io "a" is forbidden: exceeded quota: few, requested: '
        "count/roles.rbac.authorization.k8s.io=1, used: count/roles.rbac.authorization.k8s.io=0, "
        "limited: count/roles.rbac.authorization.k8s.io=0"
    )


def test_limit_ranges_fill_in_and_refuse(kube: Kube) -> None:
    limit = {
        "type": "Container",
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "100m"},
        "max": {"cpu": "1"},
        "min": {"cpu": "50m"},
        "maxLimitRequestRatio": {"cpu": "5"},
    }
    kube.create("limitranges", {"metadata": {"name": "sizes"}, "spec": {"limits": [limit]}})
    until(
        lambda: kube.send("POST", "pods", idle_pod("a"), dryRun="All").body["spec"]["containers"][0][
            "resources"
        ],
        bool,
    )
    filled = kube.create("pods", idle_pod("a"))

    assert filled["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m"},
        "requests": {"cpu": "100m"},
    }
    assert filled["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container web; "
        "cpu limit for container web"
    }
    assert kube.refusal("POST", "pods", asking("b", {"cpu": "2"}, {"cpu": "2"})) == (
        403,
        "Forbidden",
        'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
    )
    assert kube.refusal("POST", "pods", asking("b", {"cpu": "10m"}, {"cpu": "20m"}))[2] == (
        'pods "b" is forbidden: minimum cpu usage per Container is 50m, but request is 10m'
    )
    assert kube.refusal("POST", "pods", asking("b", {"cpu": "100m"}, {"cpu": "800m"}))[2] == (
        'pods "b" is forbidden: cpu max limit to request ratio per Container is 5, '
        "but provided ratio is 8.000000"
    )


def test_limit_ranges_bound_claims(kube: Kube) -> None:
    limit = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    kube.create("limitranges", {"metadata": {"name": "sizes"}, "spec": {"limits": [limit]}})
    claims = "persistentvolumeclaims"
    until(lambda: kube.send("POST", claims, claim("small", "1Mi"), dryRun="All").code, (403).__eq__)

    assert kube.refusal("POST", claims, claim("small", "1Mi")) == (
        403,
        "Forbidden",
        'persistentvolumeclaims "small" is forbidden: minimum storage usage per PersistentVolumeClaim '
        "is 1Gi, but request is 1Mi",
    )
    assert kube.refusal("POST", claims, claim("large", "3Gi"))[2] == (
        'persistentvolumeclaims "large" is forbidden: maximum storage usage per PersistentVolumeClaim '
        "is 2Gi, but request is 3Gi"
    )
    assert kube.create(claims, claim("right", "2Gi"))


def test_tokens_speak_for_their_account_until_it_goes(kube: Kube) -> None:
    agent = account(kube, READ)
    asked = kube.ok("POST", "serviceaccounts/agent/token", {"spec": {"expirationSeconds": 3600}})

    assert (asked["kind"], asked["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
    assert asked["spec"]["expirationSeconds"] == 3600
    assert len(asked["status"]["token"].split(".")) == 3
    assert "kube-root-ca.crt" in agent.names("configmaps")
    kube.delete("serviceaccounts/agent")
    until(lambda: agent.send("GET", "configmaps").code, lambda code: code == 401)


def eviction(kube: Kube, name: str) -> Object:
    """In the version that the server names in its discovery."""
    resources = kube.get("/api/v1")["resources"]
    found = next(each for each in resources if each["name"] == "pods/eviction")
    version = f"{found['group']}/{found['version']}"
    return {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name}}


def test_a_budget_stands_against_evictions(kube: Kube) -> None:
    kube.create("pods", pod("web"))
    kube.eventually("pods/web", lambda each: each["status"].get("phase") == "Running")
    policy = kube.get("/apis/policy")["preferredVersion"]["groupVersion"]
    budgets = f"/apis/{policy}/namespaces/{kube.namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    kube.create(budgets, {"metadata": {"name": "keep"}, "spec": spec})
    budget = kube.eventually(
        f"{budgets}/keep", lambda each: each.get("status", {}).get("currentHealthy") == 1
    )
    counts = {
        name: budget["status"][name] for name in ("disruptionsAllowed", "desiredHealthy", "expectedPods")
    }

    assert counts == {"disruptionsAllowed": 0, "desiredHealthy": 1, "expectedPods": 1}
    answer = kube.send("POST", "pods/web/eviction", eviction(kube, "web"))
    assert (answer.code, answer.body["reason"]) == (429, "TooManyRequests")
    assert answer.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.body["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget keep needs 1 healthy pods and has 1 currently",
        }
    ]
    kube.delete(f"{budgets}/keep")
    until(
        lambda: kube.send("POST", "pods/web/eviction", eviction(kube, "web")).code, lambda code: code == 201
    )
    kube.gone("pods/web")


def test_config_maps_can_be_frozen(kube: Kube) -> None:
    kube.create("configmaps", {**config_map("a", text="1"), "immutable": True})

    assert kube.refusal("PUT", "configmaps/a", {**config_map("a", text="2"), "immutable": True}) == (
        422,
        "Invalid",
        'ConfigMap "a" is invalid: data: Forbidden: field is immutable when `immutable` is set',
    )
