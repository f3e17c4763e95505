"""Acting as somebody else: who may, as whom, and who is on record."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, Object

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.auth.impersonation import REPEATED

RBAC = "/apis/rbac.authorization.k8s.io/v1"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
SECRETS = "/api/v1/namespaces/default/secrets"


def ask(kube: Kube, sender: str, path: str, method: str = "GET", **headers: str) -> Response:
    said = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    token = kube.cluster.token_for(sender)
    said |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = b'{"metadata": {"name": "made"}}' if method == "POST" and path != WHOAMI else b"{}"
    return kube.cluster.handle(Request(method, path, {}, said, body if method == "POST" else b""))


def identity(kube: Kube, sender: str = "kubernetes-admin", **headers: str) -> Any:
    answer = ask(kube, sender, WHOAMI, "POST", **headers)
    assert isinstance(answer.body, dict)
    return answer.body["status"]["userInfo"]


def allow(kube: Kube, user: str, *rules: Object) -> None:
    kube.create(f"{RBAC}/clusterroles", {"metadata": {"name": user}, "rules": list(rules)})
    binding = {
        "metadata": {"name": user},
        "subjects": [{"kind": "User", "name": user}],
        "roleRef": {"kind": "ClusterRole", "name": user},
    }
    kube.create(f"{RBAC}/clusterrolebindings", binding)


def test_an_administrator_is_whom_they_want_to_be(kube: Kube) -> None:
    assert identity(kube, Impersonate_User="bob") == {
        "username": "bob",
        "groups": ["system:authenticated"],
    }
    several = REPEATED.join(("ops", "dev"))
    found = identity(
        kube,
        Impersonate_User="bob",
        Impersonate_Group=several,
        Impersonate_Uid="u-1",
        **{"Impersonate_Extra_acme.io%2Fscope": "all"},
    )
    assert found == {
        "username": "bob",
        "uid": "u-1",
        "groups": ["ops", "dev", "system:authenticated"],
        "extra": {"acme.io/scope": ["all"]},
    }


def test_service_accounts_come_with_their_groups(kube: Kube) -> None:
    assert identity(kube, Impersonate_User="system:serviceaccount:shop:web") == {
        "username": "system:serviceaccount:shop:web",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    }


def test_nobody_in_particular_has_nobodys_groups(kube: Kube) -> None:
    assert ask(kube, "kubernetes-admin", "/healthz", Impersonate_User="system:anonymous").status == 200
    assert ask(kube, "kubernetes-admin", "/api", Impersonate_User="system:anonymous").status == 403


def test_who_is_impersonated_has_that_users_rights_only(kube: Kube) -> None:
    answer = ask(kube, "kubernetes-admin", SECRETS, Impersonate_User="bob")
    assert isinstance(answer.body, dict)
    assert answer.body["message"] == (
        'secrets is forbidden: User "bob" cannot list resource "secrets" in API group "" '
        'in the namespace "default"'
    )
    masters = ask(
        kube, "kubernetes-admin", SECRETS, Impersonate_User="bob", Impersonate_Group="system:masters"
    )
    assert masters.status == 200


@pytest.mark.parametrize(
    ("headers", "named", "what"),
    [
        (
            {"Impersonate_User": "bob"},
            'users "bob"',
            'resource "users" in API group "" at the cluster scope',
        ),
        (
            {"Impersonate_User": "system:serviceaccount:shop:web"},
            'serviceaccounts "web"',
            'resource "serviceaccounts" in API group "" in the namespace "shop"',
        ),
        (
            {"Impersonate_User": "root", "Impersonate_Group": "ops"},
            'groups "ops"',
            'resource "groups" in API group "" at the cluster scope',
        ),
        (
            {"Impersonate_User": "root", "Impersonate_Extra_scope": "all"},
            'userextras.authentication.k8s.io "all"',
            'resource "userextras/scope" in API group "authentication.k8s.io" at the cluster scope',
        ),
        (
            {"Impersonate_User": "root", "Impersonate_Uid": "u"},
            'uids.authentication.k8s.io "u"',
            'resource "uids" in API group "authentication.k8s.io" at the cluster scope',
        ),
    ],
)
def test_each_part_of_an_identity_must_be_allowed(
    kube: Kube, headers: dict[str, str], named: str, what: str
) -> None:
    allow(
        kube,
        "ann",
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["root"]},
    )
    answer = ask(kube, "ann", "/api", **headers)
    assert isinstance(answer.body, dict)
    assert (answer.status, answer.body["message"]) == (
        403,
        f'{named} is forbidden: User "ann" cannot impersonate {what}',
    )


def test_a_role_allows_it(kube: Kube) -> None:
    allow(
        kube,
        "ann",
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users", "groups"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scope"]},
    )
    found = identity(
        kube, "ann", Impersonate_User="bob", Impersonate_Group="ops", Impersonate_Extra_scope="all"
    )
    assert (found["username"], found["extra"]) == ("bob", {"scope": ["all"]})


def test_nobody_can_be_impersonated_without_a_name(kube: Kube) -> None:
    answer = ask(kube, "kubernetes-admin", "/api", Impersonate_Group="g")
    assert isinstance(answer.body, dict)
    assert (answer.status, answer.body["message"]) == (
        500,
        "Internal Server Error: requested [{Group  g    }] without impersonating a user",
    )


def test_the_record_names_who_really_asked(kube: Kube) -> None:
    allow(kube, "ann", {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users", "groups"]})
    first = kube.cluster.audit.length
    headers = {"Impersonate_User": "bob", "Impersonate_Group": "system:masters"}
    assert ask(kube, "ann", SECRETS, "POST", **headers).status == 201
    ask(kube, "ann", SECRETS, "POST", Impersonate_User="bob")
    ask(kube, "ann", SECRETS)
    entries = [(each.user, each.impersonated, each.code) for each in kube.cluster.audit.since(first)]
    assert entries[0] == ("ann", "bob", 201)
    assert ("ann", "bob", 403) in entries
    assert entries[-1] == ("ann", "", 403)
