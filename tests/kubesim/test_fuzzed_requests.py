"""Ten thousand requests of every shape: each is answered as Kubernetes would, and the cluster stays whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import orjson
from access_reading import SELF_REVIEWS, Asked, asked_by
from feature_shapes import featured
from good_objects import CUSTOM, GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kube_driver import Kube, Object
from request_shapes import tame, wild
from request_values import HELD_BY, Sent

from pytest_selfrep.kubesim.apiserver.http import Request, Response, Session, Stream
from pytest_selfrep.kubesim.cluster import Cluster

SEQUENCES = 1000
REQUESTS = 10
SETTLED = 400
"""Seconds after which all that controllers do has been done: grace periods, back-off, minReadySeconds."""
USER, OTHER = "jane", "bob"
GROUPS_READ = ["", "apps", "batch", "stable.acme.io"]
CLUSTER_READ = [
    {"apiGroups": GROUPS_READ, "resources": ["*"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": [OTHER]},
]
OWNERS = [path for path in GOOD if "/apps/" in path or "/batch/" in path or "replicationcontroller" in path]
WORKING = [
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["create", "delete", "patch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]},
    {"apiGroups": ["stable.acme.io"], "resources": ["shirts"], "verbs": ["create", "patch"]},
]
NAMED = [
    {"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["*"], "resourceNames": ["a"]},
    {"apiGroups": [""], "resources": ["pods/log", "services/proxy"], "verbs": ["get"]},
]
BOUND = (
    ("ClusterRole", "mine", CLUSTER_READ, USER),
    ("Role", "mine", WORKING, USER),
    ("Role", "named", NAMED, OTHER),
)


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.lists(st.one_of(tame(), tame(), wild(), featured()), min_size=REQUESTS, max_size=REQUESTS))
def test_every_request_is_answered_and_the_cluster_stays_whole(sequence: list[Sent]) -> None:
    kube, tokens = _cluster()
    streams = []
    for sent in sequence:
        kube.advance(sent.seconds)
        streams += _send(kube, tokens[sent.by_user], sent)
    kube.advance(SETTLED)
    for stream in streams:
        _ends(stream)
    _counts_equal_the_objects(kube)
    _no_pod_is_orphaned(kube)
    kube.cluster.close()


def _cluster() -> tuple[Kube, tuple[str, str]]:
    """Two nodes, and the tokens of the administrator and of a user with some rights."""
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    for number in (1, 3):
        kube.add_node(f"worker-{number}", number=number)
    for path, obj in {**GOOD, **CUSTOM}.items():
        kube.create(path, obj)
    group = "/apis/rbac.authorization.k8s.io/v1"
    for kind, name, rules, user in BOUND:
        path = group if kind == "ClusterRole" else f"{group}/namespaces/default"
        kube.create(f"{path}/{kind.lower()}s", {"metadata": {"name": name}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        kube.create(f"{path}/{kind.lower()}bindings", binding)
    return kube, (cluster.token_for(), cluster.token_for(USER))


def _send(kube: Kube, token: str, sent: Sent) -> list[Stream]:
    """The stream that a request opens, if it does."""
    cluster = kube.cluster
    headers = {**sent.headers, "authorization": f"Bearer {token}"}
    asked = asked_by(sent.method, sent.path, sent.query)
    limited = sent.by_user or any(name.startswith("impersonate-") for name in headers)
    refused = _refusal(cluster, headers, asked) if limited else 0
    before = cluster.store.revision
    response = cluster.handle(
        Request(sent.method, sent.path, sent.query, headers, sent.body, managed_fields=True)
    )
    assert response.encode() is not None
    _is_well_formed(response)
    if refused:
        assert response.status == refused, "let through what `can-i` denies"
    else:
        assert not _refused(response, asked), "refuses what `can-i` allows"
    assert cluster.store.revision >= before
    if response.session is not None:
        _converses(response.session)
    if response.stream is not None:
        _told(response.stream)
        return [response.stream]
    if response.status < 400 and "dryRun" not in sent.query:
        _is_newer(response, before, sent)
    return []


def _refusal(cluster: Cluster, headers: Mapping[str, str], asked: Asked) -> int:
    """The code for those to whom `kubectl auth can-i` says no; 0 for all others."""
    said = {name: value for name, value in headers.items() if name.startswith(("impersonate-", "authoriz"))}
    answer = cluster.handle(Request("POST", SELF_REVIEWS, {}, said, orjson.dumps(asked.review())))
    if answer.status in (403, 500):
        return answer.status  # nobody may act as the one whom the headers name
    assert answer.status == 201
    return 0 if answer.body["status"]["allowed"] else 403


def _refused(response: Response, asked: Asked) -> bool:
    """Whether a response says that this may not be done."""
    return response.status == 403 and f" cannot {asked}" in response.body["message"]


def _told(stream: Stream) -> list[Object]:
    """What a stream has to say, which is to be events or lines."""
    items = list(stream.poll())
    for item in items:
        assert isinstance(item, str) or orjson.dumps(item)
        assert isinstance(item, str) or item["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
    return [item for item in items if not isinstance(item, str)]


def _ends(stream: Stream) -> None:
    """What a watch has still to tell is in the order in which it happened."""
    versions = [
        int(event["object"]["metadata"]["resourceVersion"])
        for event in _told(stream)
        if event["type"] != "ERROR"
    ]
    assert versions == sorted(versions)
    stream.end()
    _told(stream)
    stream.close()


def _converses(session: Session) -> None:
    session.start()
    for message in (b"", b"\x00", b"\x00echo a\n", b"\x04{", b"\x04null", b"\xff\x00", b"\x02" * 9):
        session.receive(message)
        assert all(isinstance(each, bytes) for each in session.poll())
    session.close()


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
    "proto: ",
    "unexpected EOF",
    "Internal Server Error: requested [",
    "failed to create typed patch object",
    "Component not found: ",
    "Internal error occurred: the spec replicas field ",
)
"""What Kubernetes has no better code for."""
PLAIN = ((404, "404 page not found\n"), (406, ""))
"""What is said without a Status: of paths that nobody knows, and of media types by documents of OpenAPI."""


def _is_well_formed(response: Response) -> None:
    """Errors are Statuses that say what is wrong, and none is the server's own."""
    assert response.status != 500 or response.body["message"].startswith(ANSWERED_WITH_500)
    assert response.status < 501 or response.status in (501, 503, 504)
    if response.status < 400:
        return
    body = response.body
    if isinstance(body, str):
        assert (response.status, body) in PLAIN
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


def _charged(kube: Kube) -> int:
    """How many pods count for a quota: all that are not over."""
    pods = kube.get("/api/v1/namespaces/default/pods")["items"]
    return sum(each["status"]["phase"] not in ("Failed", "Succeeded") for each in pods)


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
    for each in (*sets, *kube.get("/api/v1/replicationcontrollers")["items"]):
        assert each["status"]["replicas"] == owned[each["metadata"]["uid"]], each
    for quota in kube.get("/api/v1/namespaces/default/resourcequotas")["items"]:
        if "pods" in quota["spec"].get("hard", {}):
            assert quota["status"]["used"]["pods"] == str(_charged(kube)), quota
    for deployment in kube.get("/apis/apps/v1/deployments")["items"]:
        meta, status = deployment["metadata"], deployment["status"]
        if status.get("observedGeneration") != meta["generation"]:
            continue  # one that is being deleted, whose status nobody writes any more
        mine = [
            s for s in sets if any(o["uid"] == meta["uid"] for o in s["metadata"].get("ownerReferences", []))
        ]
        assert status.get("replicas", 0) == sum(s["status"]["replicas"] for s in mine), deployment
