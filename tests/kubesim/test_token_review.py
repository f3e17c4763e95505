"""Reviews: whose a token is, who one is oneself, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube, Object

from pytest_selfrep.kubesim.auth.authn import ISSUER

AUTHENTICATION, AUTHORIZATION = "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1"
TOKENS = f"{AUTHENTICATION}/tokenreviews"
SUBJECTS = f"{AUTHORIZATION}/subjectaccessreviews"
LOCAL = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = {"verb": "get", "resource": "pods", "namespace": "default"}


def token(kube: Kube, **spec: Any) -> str:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    return str(kube.create(path, {"spec": spec})["status"]["token"])


def review(kube: Kube, path: str, **spec: Any) -> Any:
    return kube.create(path, {"spec": spec})["status"]


def test_a_good_token_is_recognised(kube: Kube) -> None:
    status = review(kube, TOKENS, token=token(kube))
    assert (status["authenticated"], status["audiences"]) == (True, [ISSUER])
    assert status["user"]["username"] == "system:serviceaccount:default:default"


def test_a_users_token_is_recognised(kube: Kube) -> None:
    status = review(kube, TOKENS, token=kube.cluster.token_for("ann", ("ops",)))
    assert status["user"] == {"username": "ann", "groups": ["ops", "system:authenticated"]}


def test_a_token_is_good_for_the_audiences_it_was_made_for(kube: Kube) -> None:
    made = token(kube, audiences=["vault", "bank"])
    assert review(kube, TOKENS, token=made, audiences=["x", "vault"])["audiences"] == ["vault"]
    assert review(kube, TOKENS, token=made) == {
        "user": {},
        "error": '[invalid bearer token, token audiences ["vault" "bank"] is invalid for the target '
        f'audiences ["{ISSUER}"]]',
    }


def test_nonsense_is_no_token(kube: Kube) -> None:
    assert review(kube, TOKENS, token="nonsense") == {"user": {}, "error": "invalid bearer token"}
    assert kube.refusal("POST", TOKENS, {"spec": {}})["message"] == (
        "token is required for TokenReview in authentication"
    )


def test_a_review_says_which_binding_allows_it(kube: Kube) -> None:
    binding = {
        "metadata": {"name": "readers"},
        "subjects": [
            {"kind": "User", "name": "ann"},
            {"kind": "ServiceAccount", "name": "default", "namespace": "default"},
        ],
        "roleRef": {"kind": "ClusterRole", "name": "view"},
    }
    kube.create(f"{RBAC}/namespaces/default/rolebindings", binding)
    said = 'RBAC: allowed by RoleBinding "readers/default" of ClusterRole "view" to'
    assert review(kube, SUBJECTS, user="ann", resourceAttributes=PODS) == {
        "allowed": True,
        "reason": f'{said} User "ann"',
    }
    account = "system:serviceaccount:default:default"
    status = review(kube, LOCAL, user=account, resourceAttributes=PODS)
    assert status["reason"] == f'{said} ServiceAccount "default/default"'
    assert review(kube, SUBJECTS, user="bob", resourceAttributes=PODS) == {"allowed": False}
    path = {"verb": "get", "path": "/healthz"}
    group = review(kube, SUBJECTS, groups=["system:unauthenticated"], nonResourceAttributes=path)
    assert group["reason"].endswith('to Group "system:unauthenticated"')


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {},
            '[spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or '
            'resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or '
            "group must be specified]",
        ),
        (
            {"resourceAttributes": PODS},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            {
                "user": "a",
                "resourceAttributes": PODS,
                "nonResourceAttributes": {"path": "/", "verb": "get"},
            },
            'spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:"/", '
            'Verb:"get"}: cannot be specified in combination with resourceAttributes',
        ),
    ],
)
def test_a_review_that_asks_nothing_clear_is_refused(kube: Kube, spec: Object, expected: str) -> None:
    answer = kube.refusal("POST", SUBJECTS, {"spec": spec})
    assert (answer["code"], answer["message"]) == (
        422,
        f'.authorization.k8s.io "" is invalid: {expected}',
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"user": "a", "resourceAttributes": {**PODS, "namespace": "other"}},
            'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
        ),
        (
            {"user": "a", "nonResourceAttributes": {"path": "/", "verb": "get"}},
            'spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:"/", '
            'Verb:"get"}: disallowed on this kind of request',
        ),
    ],
)
def test_a_local_review_is_about_its_namespace(kube: Kube, spec: Object, expected: str) -> None:
    assert kube.refusal("POST", LOCAL, {"spec": spec})["message"].endswith(f"is invalid: {expected}")
