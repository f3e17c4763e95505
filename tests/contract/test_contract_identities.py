"""Who somebody is, whom they may act as, and what can be asked about rights and tokens."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from api_client import Kube, Object, until
from manifests import idle_pod

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
READ: Object = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def acting(kube: Kube, **headers: str) -> Kube:
    """The same, as somebody else: ``user``, ``group``, ``uid``, ``extra_scopes``."""
    further = tuple((f"Impersonate-{name.replace('_', '-').title()}", said) for name, said in headers.items())
    return replace(kube, link=replace(kube.link, further=further))


def bound(kube: Kube, name: str, subject: Object, *rules: Object) -> None:
    """A role with the rules, given to somebody in the namespace."""
    kube.create("roles.rbac", {"metadata": {"name": name}, "rules": list(rules)})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    kube.create("rolebindings.rbac", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})


@pytest.fixture(scope="module")
def agent(shared: Kube) -> Kube:
    """A service account that may read pods, act as the account ``helper``, and list as the user jane may."""
    for name in ("agent", "helper"):
        shared.create("serviceaccounts", {"metadata": {"name": name}})
    accounts = {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "resourceNames": ["helper"],
        "verbs": ["impersonate"],
    }
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": shared.namespace}
    bound(shared, "agent", subject, READ, accounts)
    secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    jane = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"jane-{shared.namespace}"}
    bound(shared, "jane", jane, secrets)
    helper = {"kind": "ServiceAccount", "name": "helper", "namespace": shared.namespace}
    bound(shared, "helper", helper, {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]})
    made = shared.as_account("agent")
    until(lambda: made.send("GET", "pods").code, lambda code: code == 200)
    until(lambda: acting(made, user=account(made, "helper")).send("GET", "services").code, _is_ok)
    return made


def _is_ok(code: int) -> bool:
    return code == 200


def account(kube: Kube, name: str) -> str:
    return f"system:serviceaccount:{kube.namespace}:{name}"


def review(kube: Kube, kind: str, spec: Object, **given: Any) -> Any:
    """What a review says of rights."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    root = AUTHORIZATION
    if kind.startswith("Local"):
        root += f"/namespaces/{kube.namespace}"
        body["metadata"] = {"namespace": kube.namespace}
    return kube.ok("POST", f"{root}/{kind.lower()}s", body, **given)["status"]


def test_the_administrator_acts_as_anybody(shared: Kube, agent: Kube) -> None:
    jane = acting(shared, user=f"jane-{shared.namespace}")

    assert jane.send("GET", "secrets").code == 200
    assert jane.refusal("GET", "pods") == (
        403,
        "Forbidden",
        'pods is forbidden: User "jane-<namespace>" cannot list resource "pods" in API group "" '
        'in the namespace "<namespace>"',
    )


def test_groups_come_with_it(shared: Kube) -> None:
    masters = acting(shared, user="nobody", group="system:masters")

    assert acting(shared, user="nobody").send("GET", "pods").code == 403
    assert masters.send("GET", "pods").code == 200


def test_an_account_is_in_the_groups_of_accounts(shared: Kube, agent: Kube) -> None:
    assert acting(shared, user=account(shared, "agent")).send("GET", "pods").code == 200


def test_who_may_acts_as_one_account_and_no_other(agent: Kube) -> None:
    helper = acting(agent, user=account(agent, "helper"))

    assert helper.send("GET", "services").code == 200
    assert helper.refusal("GET", "pods")[2] == (
        'pods is forbidden: User "system:serviceaccount:<namespace>:helper" cannot list resource "pods" '
        'in API group "" in the namespace "<namespace>"'
    )
    assert acting(agent, user=account(agent, "default")).refusal("GET", "services") == (
        403,
        "Forbidden",
        'serviceaccounts "default" is forbidden: User "system:serviceaccount:<namespace>:agent" cannot '
        'impersonate resource "serviceaccounts" in API group "" in the namespace "<namespace>"',
    )


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        (
            {"user": "jane"},
            'users "jane" is forbidden: User "system:serviceaccount:<namespace>:agent" cannot impersonate '
            'resource "users" in API group "" at the cluster scope',
        ),
        (
            {"user": "<helper>", "group": "system:masters"},
            'groups "system:masters" is forbidden: User "system:serviceaccount:<namespace>:agent" cannot '
            'impersonate resource "groups" in API group "" at the cluster scope',
        ),
        (
            {"user": "<helper>", "extra_scopes": "all"},
            'userextras.authentication.k8s.io "all" is forbidden: '
            'User "system:serviceaccount:<namespace>:agent" cannot impersonate resource "userextras/scopes" '
            'in API group "authentication.k8s.io" at the cluster scope',
        ),
        pytest.param(
            {"user": "<helper>", "uid": "1"},
            'uids.authentication.k8s.io "1" is forbidden: User "system:serviceaccount:<namespace>:agent" '
            'cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope',
            marks=pytest.mark.since("1.22"),
        ),
    ],
)
def test_who_may_not_is_refused(agent: Kube, headers: dict[str, str], refused: str) -> None:
    said = {name: value.replace("<helper>", account(agent, "helper")) for name, value in headers.items()}

    assert acting(agent, **said).refusal("GET", "services") == (403, "Forbidden", refused)


def test_a_group_without_a_user_is_nobody(shared: Kube) -> None:
    answer = acting(shared, group="system:masters").send("GET", "pods")

    assert answer.code == 500
    assert "requested [{Group  system:masters    }] without impersonating a user" in str(answer.body)


@pytest.mark.since("1.28")
def test_one_can_ask_who_one_is(shared: Kube, agent: Kube) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    own = agent.ok("POST", f"{AUTHENTICATION}/selfsubjectreviews", body)["status"]["userInfo"]
    jane = acting(shared, user="jane", extra_scopes="all")
    other = jane.ok("POST", f"{AUTHENTICATION}/selfsubjectreviews", body)["status"]["userInfo"]

    assert own["username"] == account(agent, "agent")
    assert set(own["groups"]) == {
        "system:serviceaccounts",
        f"system:serviceaccounts:{agent.namespace}",
        "system:authenticated",
    }
    assert other == {"username": "jane", "groups": ["system:authenticated"], "extra": {"scopes": ["all"]}}


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "list", "resource": "pods"}, True),
        ({"verb": "delete", "resource": "pods"}, False),
        ({"verb": "list", "resource": "pods", "namespace": "default"}, False),
        ({"verb": "list", "resource": "pods", "namespace": ""}, False),
        ({"verb": "get", "resource": "pods", "subresource": "log"}, False),
        ({"verb": "impersonate", "resource": "serviceaccounts", "name": "helper"}, True),
        ({"verb": "impersonate", "resource": "serviceaccounts", "name": "agent"}, False),
        ({"verb": "impersonate", "resource": "serviceaccounts"}, False),
        ({"verb": "list", "resource": "pods", "group": "apps"}, False),
    ],
)
def test_one_can_ask_what_one_may(agent: Kube, attributes: Object, allowed: bool) -> None:
    spec = {"resourceAttributes": {"namespace": agent.namespace, **attributes}}
    status = review(agent, "SelfSubjectAccessReview", spec)

    assert status["allowed"] == allowed
    assert bool(status.get("reason")) == allowed
    assert "denied" not in status


@pytest.mark.parametrize(("path", "allowed"), [("/healthz", True), ("/version", True), ("/metrics", False)])
def test_one_can_ask_for_paths(agent: Kube, path: str, allowed: bool) -> None:
    spec = {"nonResourceAttributes": {"path": path, "verb": "get"}}

    assert review(agent, "SelfSubjectAccessReview", spec)["allowed"] == allowed


@pytest.mark.parametrize("kind", ["SubjectAccessReview", "LocalSubjectAccessReview"])
def test_the_administrator_asks_for_others(shared: Kube, agent: Kube, kind: str) -> None:
    attributes = {"namespace": shared.namespace, "verb": "list", "resource": "secrets"}
    jane = {"user": f"jane-{shared.namespace}", "resourceAttributes": attributes}
    joe = {"user": "joe", "resourceAttributes": attributes}

    assert review(shared, kind, jane)["allowed"]
    assert shared.plain(review(shared, kind, jane)["reason"]) == (
        'RBAC: allowed by RoleBinding "jane/<namespace>" of Role "jane" to User "jane-<namespace>"'
    )
    assert review(shared, kind, joe) == {"allowed": False}
    assert review(shared, kind, {**joe, "groups": ["system:masters"]})["allowed"]


def test_others_may_not_ask_for_others(agent: Kube) -> None:
    assert agent.refusal("POST", f"{AUTHORIZATION}/subjectaccessreviews", {}) == (
        403,
        "Forbidden",
        "subjectaccessreviews.authorization.k8s.io is forbidden: "
        'User "system:serviceaccount:<namespace>:agent" cannot create resource "subjectaccessreviews" '
        'in API group "authorization.k8s.io" at the cluster scope',
    )


@pytest.mark.parametrize(
    ("kind", "spec", "wrong"),
    [
        (
            "SelfSubjectAccessReview",
            {},
            'spec.resourceAttributes: Invalid value: "null": '
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        (
            "SelfSubjectAccessReview",
            {
                "resourceAttributes": {"verb": "get", "resource": "pods"},
                "nonResourceAttributes": {"verb": "get", "path": "/"},
            },
            'spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:"/", '
            'Verb:"get"}: cannot be specified in combination with resourceAttributes',
        ),
        (
            "SubjectAccessReview",
            {"resourceAttributes": {"verb": "get", "resource": "pods"}},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
    ],
)
def test_a_review_must_ask_one_thing(shared: Kube, kind: str, spec: Object, wrong: str) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    code, reason, message = shared.refusal("POST", f"{AUTHORIZATION}/{kind.lower()}s", body)

    assert (code, reason) == (422, "Invalid")
    assert message == f'.authorization.k8s.io "" is invalid: {wrong}'


def test_one_can_ask_for_all_that_one_may(agent: Kube) -> None:
    status = review(agent, "SelfSubjectRulesReview", {"namespace": agent.namespace})
    selfs = {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
    paths = {path for rule in status["nonResourceRules"] for path in rule["nonResourceURLs"]}

    assert status["incomplete"] is False
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in status["resourceRules"]
    assert {
        "verbs": ["impersonate"],
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "resourceNames": ["helper"],
    } in status["resourceRules"]
    assert any(selfs <= set(rule["resources"]) for rule in status["resourceRules"])
    assert {"/healthz", "/version", "/openapi/*"} <= paths
    elsewhere = review(agent, "SelfSubjectRulesReview", {"namespace": "default"})["resourceRules"]
    assert not any("pods" in rule["resources"] for rule in elsewhere)


def test_all_that_one_may_is_asked_for_a_namespace(agent: Kube) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {}}

    assert agent.refusal("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", body) == (
        400,
        "BadRequest",
        "no namespace on request",
    )


def token_review(kube: Kube, token: str, **spec: object) -> Any:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, **spec}}
    return kube.ok("POST", f"{AUTHENTICATION}/tokenreviews", body)["status"]


def test_a_token_tells_whose_it_is(shared: Kube, agent: Kube) -> None:
    status = token_review(shared, agent.link.token)
    user = status["user"]

    assert status["authenticated"] is True
    assert "error" not in status
    assert user["username"] == account(shared, "agent")
    assert user["uid"] == shared.get("serviceaccounts/agent")["metadata"]["uid"]
    assert user["groups"] == [
        "system:serviceaccounts",
        f"system:serviceaccounts:{shared.namespace}",
        "system:authenticated",
    ]
    assert len(status["audiences"]) >= 1


def test_a_token_that_is_none_is_nobodys(shared: Kube) -> None:
    status = token_review(shared, "not.a.token")

    assert status["user"] == {}
    assert "authenticated" not in status
    assert "invalid bearer token" in status["error"]


def test_a_token_is_for_an_audience(shared: Kube, agent: Kube) -> None:
    spec = {"spec": {"audiences": ["vault"]}}
    token = shared.ok("POST", "serviceaccounts/agent/token", spec)["status"]["token"]

    assert token_review(shared, token, audiences=["vault", "other"])["audiences"] == ["vault"]
    assert "authenticated" not in token_review(shared, token)
    assert "authenticated" not in token_review(shared, token, audiences=["other"])


@pytest.mark.parametrize(
    "kind", ["Pod", "Secret", pytest.param("Node", marks=pytest.mark.since("1.31"))], ids=str.lower
)
def test_kubectl_binds_a_token_to_an_object(kube: Kube, kind: str) -> None:
    kube.create("serviceaccounts", {"metadata": {"name": "robot"}})
    kube.admits(idle_pod("a", serviceAccountName="robot"))
    if kind == "Node":
        path = f"/api/v1/nodes/{kube.get('/api/v1/nodes')['items'][0]['metadata']['name']}"
    else:
        path = f"{kind.lower()}s/a"
        secret: Object = {"metadata": {"name": "a"}}
        kube.create(path[:-2], idle_pod("a", serviceAccountName="robot") if kind == "Pod" else secret)
    meta = kube.get(path)["metadata"]

    options = f"--bound-object-kind={kind} --bound-object-name={meta['name']}"
    token = kube.kubectl(f"create token robot {options} --bound-object-uid={meta['uid']}")

    claims = orjson.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["kubernetes.io"]
    assert claims[kind.lower()] == {"name": meta["name"], "uid": meta["uid"]}
    assert token_review(kube, token.strip())["authenticated"] is True
    assert "does not match the UID in record" in kube.kubectl(
        f"create token robot {options} --bound-object-uid=other", fails=True
    )


def test_a_token_must_be_sent(shared: Kube) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}

    assert shared.refusal("POST", f"{AUTHENTICATION}/tokenreviews", body) == (
        400,
        "BadRequest",
        "token is required for TokenReview in authentication",
    )
