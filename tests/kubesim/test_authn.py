"""Bearer tokens: whose they are, and when they end."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from kube_driver import NODES, PODS, Kube, Object
from workloads import CORE

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.cluster import Cluster

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def user_of(cluster: Cluster, token: str) -> Any:
    return Kube(cluster, token).create(WHOAMI, {})["status"]["userInfo"]


def status_of(cluster: Cluster, authorization: str | None) -> int:
    headers = {} if authorization is None else {"authorization": authorization}
    return cluster.handle(Request("GET", "/version", {}, headers)).status


def cluster_answer(cluster: Cluster, path: str, headers: dict[str, str]) -> Response:
    return cluster.handle(Request("GET", path, {}, headers))


def request_token(kube: Kube, account: str = "web", **spec: Any) -> Any:
    return kube.create(f"{ACCOUNTS}/{account}/token", {"spec": spec})


@pytest.fixture
def web(kube: Kube) -> Kube:
    kube.create(ACCOUNTS, {"metadata": {"name": "web"}})
    return kube


@pytest.mark.parametrize(
    "authorization",
    ["Bearer nonsense", "Bearer a.b.c", "Bearer .", "Bearer \u00e9.\u00e9.\u00e9", "bearer  x"],
)
def test_with_an_invalid_token_everything_is_unauthorized(kube: Kube, authorization: str) -> None:
    answer = kube.cluster.handle(Request("GET", "/version", {}, {"authorization": authorization}))
    assert answer.status == 401
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi"])
def test_without_a_token_one_is_anonymous(kube: Kube, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = kube.cluster.handle(Request("GET", "/api/v1/pods", {}, headers))
    assert (answer.status, answer.body["message"]) == (
        403,
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        "at the cluster scope",
    )
    root = cluster_answer(kube.cluster, "/", headers)
    assert root.body["message"] == 'forbidden: User "system:anonymous" cannot get path "/"'


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
def test_anybody_may_know_version_and_health(kube: Kube, path: str) -> None:
    assert cluster_answer(kube.cluster, path, {}).status == 200


def test_to_discover_the_api_one_must_be_somebody(kube: Kube) -> None:
    assert cluster_answer(kube.cluster, "/apis", {}).status == 403
    token = kube.cluster.token_for("ann")
    assert cluster_answer(kube.cluster, "/apis", {"authorization": f"Bearer {token}"}).status == 200


def test_the_administrator_is_a_master(kube: Kube) -> None:
    user = user_of(kube.cluster, kube.cluster.token_for())
    assert user == {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}


def test_named_users_have_the_groups_they_were_given_and_are_no_masters(kube: Kube) -> None:
    user = user_of(kube.cluster, kube.cluster.token_for("ann", ("ops",)))
    assert user == {"username": "ann", "groups": ["ops", "system:authenticated"]}


def test_a_service_accounts_token_says_who_it_is(web: Kube) -> None:
    account = web.get(f"{ACCOUNTS}/web")
    user = user_of(web.cluster, web.cluster.token_for("system:serviceaccount:default:web"))
    (credential,) = user.pop("extra")["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("JTI=")
    assert user == {
        "username": "system:serviceaccount:default:web",
        "uid": account["metadata"]["uid"],
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    }


def test_a_token_bound_to_a_pod_says_which_and_where(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "a"}
    token = request_token(three_nodes, "default", boundObjectRef=bound)["status"]["token"]
    extra, prefix = user_of(three_nodes.cluster, token)["extra"], "authentication.kubernetes.io"
    assert extra[f"{prefix}/pod-name"] == ["a"]
    assert extra[f"{prefix}/pod-uid"] == [three_nodes.pod("a")["metadata"]["uid"]]
    assert extra[f"{prefix}/node-name"] == ["worker-1"]


def test_there_is_no_token_for_an_account_that_does_not_exist(kube: Kube) -> None:
    with pytest.raises(LookupError, match="no service account gone in namespace default"):
        kube.cluster.token_for("system:serviceaccount:default:gone")


def test_a_token_request_issues_a_token_with_an_end(web: Kube) -> None:
    answer = request_token(web, expirationSeconds=700)
    assert (answer["kind"], answer["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
    clock = web.cluster.clock
    assert answer["status"]["expirationTimestamp"] == clock.timestamp(clock.now + 700)
    token = f"Bearer {answer['status']['token']}"
    web.advance(699)
    assert status_of(web.cluster, token) == 200
    web.advance(1)
    assert status_of(web.cluster, token) == 401


def test_a_token_looks_like_a_signed_jwt_of_the_cluster(web: Kube) -> None:
    header, claims, signature = request_token(web)["status"]["token"].split(".")
    decoded = [orjson.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    assert decoded[0]["alg"] == "RS256"
    assert decoded[1]["sub"] == "system:serviceaccount:default:web"
    assert decoded[1]["exp"] - decoded[1]["iat"] == 3600
    assert decoded[1]["kubernetes.io"]["namespace"] == "default"
    assert len(base64.urlsafe_b64decode(signature + "==")) == 256


def test_a_token_that_was_tampered_with_is_not_accepted(web: Kube) -> None:
    web.create(ACCOUNTS, {"metadata": {"name": "other"}})
    mine, other = (request_token(web, name)["status"]["token"].split(".") for name in ("web", "other"))
    assert status_of(web.cluster, f"Bearer {'.'.join(mine)}") == 200
    assert status_of(web.cluster, f"Bearer {'.'.join([*other[:2], mine[2]])}") == 401


def test_a_token_of_another_cluster_is_not_accepted(web: Kube) -> None:
    other = Cluster(seed=1)
    assert status_of(other, f"Bearer {request_token(web)['status']['token']}") == 401
    assert status_of(other, f"Bearer {web.cluster.token_for()}") == 401


def test_a_token_for_another_audience_is_not_one_for_the_api(web: Kube) -> None:
    answer = request_token(web, audiences=["vault"])
    assert status_of(web.cluster, f"Bearer {answer['status']['token']}") == 401


def test_a_token_ends_with_its_account_and_a_new_account_of_that_name_does_not_revive_it(web: Kube) -> None:
    token = f"Bearer {request_token(web)['status']['token']}"
    web.delete(f"{ACCOUNTS}/web")
    assert status_of(web.cluster, token) == 401
    web.create(ACCOUNTS, {"metadata": {"name": "web"}})
    assert status_of(web.cluster, token) == 401


@pytest.mark.parametrize(
    ("kind", "path"), [("Pod", f"{PODS}/a"), ("Secret", f"{CORE}/secrets/a"), ("Node", f"{NODES}/a")]
)
def test_a_token_ends_with_what_it_is_bound_to(web: Kube, kind: str, path: str) -> None:
    def make() -> None:
        if kind == "Pod":
            web.add_pod("a", serviceAccountName="web")
        elif kind == "Secret":
            web.create(f"{CORE}/secrets", {"metadata": {"name": "a"}})
        else:
            web.add_node("a")

    make()
    bound = {"apiVersion": "v1", "kind": kind, "name": "a"}
    issued = request_token(web, boundObjectRef=bound)["status"]["token"]
    token = f"Bearer {issued}"
    claims = orjson.loads(base64.urlsafe_b64decode(issued.split(".")[1] + "=="))
    uid = web.get(path)["metadata"]["uid"]
    assert claims["kubernetes.io"][kind.lower()] == {"name": "a", "uid": uid}
    assert status_of(web.cluster, token) == 200
    web.delete(path)
    assert status_of(web.cluster, token) == 401
    make()
    assert status_of(web.cluster, token) == 401


def test_a_token_bound_to_a_node_says_which(web: Kube) -> None:
    web.add_node("a")
    token = request_token(web, boundObjectRef={"apiVersion": "v1", "kind": "Node", "name": "a"})["status"][
        "token"
    ]
    extra, prefix = user_of(web.cluster, token)["extra"], "authentication.kubernetes.io"
    assert extra[f"{prefix}/node-name"] == ["a"]
    assert extra[f"{prefix}/node-uid"] == [web.get(f"{NODES}/a")["metadata"]["uid"]]


@pytest.mark.parametrize(
    ("bound", "code", "message"),
    [
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            {"apiVersion": "apps/v1", "kind": "Pod", "name": "a"},
            400,
            "cannot bind token to object of type apps/v1, Kind=Pod",
        ),
        (
            {"apiVersion": "v1", "kind": "Pod", "name": "a"},
            400,
            'cannot bind token for serviceaccount "web" to pod running with different serviceaccount name.',
        ),
        ({"apiVersion": "v1", "kind": "Secret", "name": "gone"}, 404, 'secrets "gone" not found'),
        ({"apiVersion": "v1", "kind": "Node", "name": "gone"}, 404, 'nodes "gone" not found'),
        (
            {"kind": "Secret", "name": "a", "uid": "other"},
            409,
            'Operation cannot be fulfilled on Secret "a": the UID in the bound object reference (other) '
            "does not match the UID in record. The object might have been deleted and then recreated",
        ),
    ],
)
def test_a_token_is_not_bound_to_just_anything(web: Kube, bound: Object, code: int, message: str) -> None:
    web.add_pod("a")
    web.create(f"{CORE}/secrets", {"metadata": {"name": "a"}})
    answer = web.refusal("POST", f"{ACCOUNTS}/web/token", {"spec": {"boundObjectRef": bound}})
    assert (answer["code"], answer["message"]) == (code, message)


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"expirationSeconds": 60}, 422),
        ({"expirationSeconds": 1 << 40}, 422),
        ({"expirationSeconds": "long"}, 400),
        ({"audiences": "vault"}, 400),
    ],
)
def test_a_token_request_that_cannot_be_met_is_refused(web: Kube, spec: dict[str, Any], code: int) -> None:
    assert web.refusal("POST", f"{ACCOUNTS}/web/token", {"spec": spec})["code"] == code
