"""Ten thousand requests of every shape: each is answered as Kubernetes would, and the cluster stays whole."""

from __future__ import annotations

from collections import Counter

import orjson
from good_objects import GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kube_driver import Kube, Object
from request_shapes import HELD_BY, Sent, tame, wild

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.apiserver.routes import parse, verb_of
from pytest_selfrep.kubesim.cluster import Cluster

SEQUENCES = 1000
REQUESTS = 10
SETTLED = 400
"""Seconds after which all that controllers do has been done: grace periods, back-off, minReadySeconds."""
USER = "jane"
CLUSTER_READ = [{"apiGroups": ["", "apps", "batch"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
OWNERS = [path for path in GOOD if "/apps/" in path or "/batch/" in path]
WORKING = [
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["create", "delete", "patch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["a"]},
]


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.lists(st.one_of(tame(), tame(), wild()), min_size=REQUESTS, max_size=REQUESTS))
def test_every_request_is_answered_and_the_cluster_stays_whole(sequence: list[Sent]) -> None:
    kube, tokens = _cluster()
    for sent in sequence:
        kube.advance(sent.seconds)
        _send(kube, tokens[sent.by_user], sent)
    kube.advance(SETTLED)
    _counts_equal_the_objects(kube)
    _no_pod_is_orphaned(kube)


def _cluster() -> tuple[Kube, tuple[str, str]]:
    """Two nodes, and the tokens of the administrator and of a user with some rights."""
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    for number in (1, 3):
        kube.add_node(f"worker-{number}", number=number)
    for path, obj in GOOD.items():
        kube.create(path, obj)
    group = "/apis/rbac.authorization.k8s.io/v1"
    subject = [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}]
    for kind, path, rules in (
        ("ClusterRole", group, CLUSTER_READ),
        ("Role", f"{group}/namespaces/default", WORKING),
    ):
        kube.create(f"{path}/{kind.lower()}s", {"metadata": {"name": "mine"}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "mine"}
        binding = {"metadata": {"name": "mine"}, "roleRef": reference, "subjects": subject}
        kube.create(f"{path}/{kind.lower()}bindings", binding)
    return kube, (cluster.token_for(), cluster.token_for(USER))


def _send(kube: Kube, token: str, sent: Sent) -> None:
    cluster = kube.cluster
    headers = {**sent.headers, "authorization": f"Bearer {token}"}
    denied = sent.by_user and not _allowed(cluster, token, sent)
    before = cluster.store.revision
    response = cluster.handle(Request(sent.method, sent.path, sent.query, headers, sent.body))
    if response.stream is not None:
        response.stream.poll()
        response.stream.close()
    assert response.encode() is not None
    _is_well_formed(response)
    assert not denied or response.status == 403, "let through what `can-i` denies"
    assert cluster.store.revision >= before
    if response.status >= 400 or "dryRun" in sent.query:
        return
    _is_newer(response, before, sent)


def _allowed(cluster: Cluster, token: str, sent: Sent) -> bool:
    """What `kubectl auth can-i` would say."""
    target = parse(sent.path)
    verb = verb_of(sent.method, target, sent.query.get("watch") in ("true", "1"))
    if target.resource:
        asked: Object = {
            "resourceAttributes": {
                "verb": verb,
                "group": target.group,
                "version": target.version,
                "resource": target.resource,
                "subresource": target.subresource,
                "namespace": target.namespace,
                "name": target.name,
            }
        }
    else:
        asked = {"nonResourceAttributes": {"verb": verb, "path": sent.path}}
    review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": asked}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    headers = {"authorization": f"Bearer {token}"}
    answer = cluster.handle(Request("POST", path, {}, headers, orjson.dumps(review)))
    assert answer.status == 201
    # A list of one name may be allowed by that name: more than what is asked for here, so never denied.
    return bool(answer.body["status"]["allowed"]) or "fieldSelector" in sent.query


ANSWERED_WITH_500 = (
    "resourceVersion should not be set",
    "resourceVersion: Invalid value",
    "strconv.ParseUint",
    "couldn't get version/kind",
    "json: cannot unmarshal",
    "no kind ",
    "list element types are not identical",
    "map: map[",
    "unknown patch type",
    "expected a []interface {}",
    "The order in patch list",
    "yaml: ",
    "provided data does not appear to be a protobuf message",
)
"""What Kubernetes has no better code for."""


def _is_well_formed(response: Response) -> None:
    """Errors are Statuses that say what is wrong, and none is the server's own."""
    assert response.status != 500 or response.body["message"].startswith(ANSWERED_WITH_500)
    assert response.status < 501 or response.status in (501, 503, 504)
    if response.status < 400:
        return
    body = response.body
    if body == "404 page not found\n":
        return
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure")
    assert body["code"] == response.status
    assert body["message"]
    assert "Traceback" not in body["message"]


def _is_newer(response: Response, before: int, sent: Sent) -> None:
    """What was created has a resourceVersion beyond all that were there before."""
    body = response.body
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        return
    version = body["metadata"].get("resourceVersion")
    if sent.method == "POST" and version and body.get("kind") not in ("Scale", "Eviction", "Status"):
        assert int(version) > before


def _no_pod_is_orphaned(kube: Kube) -> None:
    """No object outlives the owner that it names, unless a client holds it back."""
    items = {item["metadata"]["uid"]: item for path in OWNERS for item in kube.get(path)["items"]}
    dependents = [*kube.get("/api/v1/pods")["items"], *kube.get("/apis/apps/v1/replicasets")["items"]]
    for each in dependents:
        if HELD_BY in each["metadata"].get("finalizers", []):
            continue
        for owner in each["metadata"].get("ownerReferences", []):
            if owner.get("controller"):
                assert owner["uid"] in items, each


def _counts_equal_the_objects(kube: Kube) -> None:
    pods = [
        each
        for each in kube.get("/api/v1/pods")["items"]
        if each["status"]["phase"] not in ("Failed", "Succeeded")
        and "deletionTimestamp" not in each["metadata"]
    ]
    owned = Counter(
        owner["uid"]
        for each in pods
        for owner in each["metadata"].get("ownerReferences", [])
        if owner.get("controller")
    )
    sets = kube.get("/apis/apps/v1/replicasets")["items"]
    for each in sets:
        assert each["status"]["replicas"] == owned[each["metadata"]["uid"]], each
    for deployment in kube.get("/apis/apps/v1/deployments")["items"]:
        meta, status = deployment["metadata"], deployment["status"]
        if status.get("observedGeneration") != meta["generation"]:
            continue  # one that is being deleted, whose status nobody writes any more
        mine = [
            s for s in sets if any(o["uid"] == meta["uid"] for o in s["metadata"].get("ownerReferences", []))
        ]
        assert status.get("replicas", 0) == sum(s["status"]["replicas"] for s in mine), deployment
