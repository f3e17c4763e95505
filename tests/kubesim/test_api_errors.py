"""Whatever a client sends, the answer is an object or a Status."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from good_objects import GOOD
from hypothesis import given, settings
from hypothesis import strategies as st
from kube_driver import PODS, Kube, deployment, pod

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.kinds import KINDS

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def raw(kube: Kube, method: str, path: str, body: bytes, content_type: str = "application/json") -> Response:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "content-type": content_type}
    return kube.cluster.handle(Request(method, path, {}, headers, body))


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"\xff\xfe", b'{"a": NaN}', b"not json"])
@pytest.mark.parametrize(("method", "path"), [("POST", PODS), ("PUT", f"{PODS}/a")])
def test_a_body_that_is_no_json_is_a_bad_request(kube: Kube, method: str, path: str, body: bytes) -> None:
    answer = raw(kube, method, path, body)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"].startswith("the object provided is unrecognized (must be of type Pod)")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"spec":', "unexpected end of JSON input"),
        (b'{"spec":}', "invalid character '}' looking for beginning of value"),
    ],
)
def test_malformed_json_is_refused_in_the_words_of_gos_decoder(kube: Kube, body: bytes, why: str) -> None:
    kube.add_pod("a")
    created = raw(kube, "POST", PODS, body).body["message"]
    patched = raw(kube, "PATCH", f"{PODS}/a", body, "application/merge-patch+json").body["message"]
    head = "the object provided is unrecognized (must be of type Pod): couldn't get version/kind"
    assert created == f"{head}; json parse error: {why} ({body.decode()})"
    assert patched == f"error decoding patch: {why}"


@pytest.mark.parametrize("levels", [101, 900, 5_000, 100_000])
@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
def test_a_body_nested_too_deeply_is_a_bad_request(kube: Kube, content_type: str, levels: int) -> None:
    body = b'{"a":' * levels + b"1" + b"}" * levels

    answer = raw(kube, "POST", PODS, body, content_type)

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"true"])
def test_a_body_that_is_no_object_is_a_bad_request(kube: Kube, body: bytes) -> None:
    answer = raw(kube, "POST", PODS, body)
    assert answer.status == 400
    assert answer.body["message"].startswith(
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; "
        "json parse error: "
        "json: cannot unmarshal "
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": "x"}, "string into Go struct field Pod.metadata of type v1.ObjectMeta"),
        ({"metadata": {"name": 7}}, "number into Go struct field ObjectMeta.metadata.name of type string"),
        (
            {"metadata": {"labels": ["a"]}},
            "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        ({"spec": "x"}, "string into Go struct field Pod.spec of type v1.PodSpec"),
        (
            {"spec": {"containers": {}}},
            "object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            {"spec": {"containers": ["x"]}},
            "string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            {"spec": {"terminationGracePeriodSeconds": True}},
            "bool into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            {"spec": {"priority": 1 << 31}},
            "number 2147483648 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            {"spec": {"containers": [{"env": [{"name": "a", "value": 1}]}]}},
            "number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            {"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": True}}}]}},
            "bool into Go struct field HTTPGetAction.spec.containers.livenessProbe.httpGet.port "
            "of type int32",
        ),
    ],
)
def test_a_field_of_the_wrong_type_is_named(kube: Kube, change: dict[str, Any], field: str) -> None:
    refused = kube.refusal("POST", PODS, {**pod("a"), **change})
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")
    assert refused["message"] == (
        f'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal {field}'
    )


@pytest.mark.parametrize("amount", ["1x", "", True, [], {}])
def test_an_amount_that_is_none_is_refused(kube: Kube, amount: Any) -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {"cpu": amount}}}]}
    refused = kube.refusal("POST", PODS, {**pod("a"), "spec": spec})
    assert refused["message"] == (
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


_LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("soon", f'parsing time "soon" as "{_LAYOUT}": cannot parse "soon" as "2006"'),
        ("2025", f'parsing time "2025" as "{_LAYOUT}": cannot parse "" as "-"'),
        ("2025-05-06", f'parsing time "2025-05-06" as "{_LAYOUT}": cannot parse "" as "T"'),
        (
            "2025-05-06T08:00:00",
            f'parsing time "2025-05-06T08:00:00" as "{_LAYOUT}": cannot parse "" as "Z07:00"',
        ),
        ("2025-13-06T08:00:00Z", 'parsing time "2025-13-06T08:00:00Z": month out of range'),
        ("2025-02-30T08:00:00Z", 'parsing time "2025-02-30T08:00:00Z": day out of range'),
        ("2025-05-06T08:00:00Zx", 'parsing time "2025-05-06T08:00:00Zx": extra text: "x"'),
        (7, "json: cannot unmarshal number into Go struct field Event.lastTimestamp of type string"),
    ],
)
def test_a_time_that_is_none_is_refused(kube: Kube, time: Any, why: str) -> None:
    event = {"metadata": {"name": "a"}, "lastTimestamp": time}
    refused = kube.refusal("POST", "/api/v1/namespaces/default/events", event)
    assert refused["code"] == 400
    assert refused["message"] == f'Event in version "v1" cannot be handled as a Event: {why}'


def test_an_object_of_another_kind_or_version_is_refused(kube: Kube) -> None:
    refused = kube.refusal("POST", PODS, deployment("web", 1))
    assert refused["code"] == 400
    assert refused["message"].startswith('Deployment in version "v1" cannot be handled as a Pod')
    assert refused["message"].endswith("converting (v1.Deployment) to (core.Pod): unknown conversion")
    old = {**deployment("web", 1), "apiVersion": "apps/v1beta1"}
    assert kube.refusal("POST", DEPLOYMENTS, old)["message"] == (
        'Deployment in version "v1beta1" cannot be handled as a Deployment: no kind "Deployment" is '
        'registered for version "apps/v1beta1" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    )


@pytest.mark.parametrize("content_type", ["application/cbor", "text/plain", "application/json-patch+json"])
def test_a_body_in_an_unknown_format_is_refused_with_those_that_are_known(
    kube: Kube, content_type: str
) -> None:
    answer = raw(kube, "POST", PODS, b"{}", content_type)
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert answer.body["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{PODS}/a"),
        ("PUT", PODS),
        ("PATCH", PODS),
        ("TRACE", PODS),
        ("DELETE", f"{PODS}/a/status"),
        ("PUT", f"{PODS}/a/eviction"),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("POST", "/apis/metrics.k8s.io/v1beta1/nodes"),
        ("POST", "/version"),
    ],
)
def test_a_verb_that_a_resource_does_not_have_is_not_allowed(kube: Kube, method: str, path: str) -> None:
    refused = kube.refusal(method, path, {})
    assert (refused["code"], refused["message"]) == (
        405,
        "the server does not allow this method on the requested resource",
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/widgets"),
        ("GET", "/api/v2/pods"),
        ("GET", "/apis/apps/v1beta1/deployments"),
        ("GET", f"{PODS}/a/nothing"),
        ("GET", f"{PODS}/a/log/more"),
        ("GET", f"{PODS}/a//log"),
        ("GET", "/api/v1//pods"),
        ("GET", "/apis//v1/pods"),
        ("GET", "/api/v1/namespaces/default//pods"),
        ("POST", "/api/v1/pods"),
        ("GET", "/api/v1/pods/a"),
        ("DELETE", "/api/v1/pods"),
    ],
)
def test_what_the_server_does_not_serve_is_not_found(kube: Kube, method: str, path: str) -> None:
    assert kube.refusal(method, path)["code"] == 404


def test_what_nobody_may_read_is_refused_before_it_is_not_found(kube: Kube) -> None:
    nobody = Kube(kube.cluster, kube.cluster.token_for("nobody"))
    answer = nobody.refusal("GET", f"{PODS}/a//log")
    why = 'User "nobody" cannot get resource "pods" in API group "" in the namespace "default"'
    assert (answer["code"], answer["message"]) == (403, f'pods "a" is forbidden: {why}')


def test_answers_are_compact_json_with_a_newline(kube: Kube) -> None:
    encoded = kube.send("GET", f"{PODS}/gone").encode()
    assert encoded == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
        b'"message":"pods \\"gone\\" not found","reason":"NotFound",'
        b'"details":{"name":"gone","kind":"pods"},"code":404}\n'
    )


scraps = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 99),
        st.floats(-2, 2),
        st.sampled_from(["", "a", "1Gi", "x y"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["name", "image", "cpu", "spec", "metadata", "template", "containers", "a"]),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=5,
)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A good object, and where it is created, in which one value somewhere is replaced by a scrap."""
    path = draw(st.sampled_from(list(GOOD)))
    whole = place = orjson.loads(orjson.dumps(GOOD[path]))
    while True:
        step = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[step], dict | list) or not place[step] or draw(st.integers(0, 4)) == 0:
            place[step] = draw(scraps)
            return path, whole
        place = place[step]


@pytest.mark.parametrize("path", GOOD)
def test_the_objects_that_are_spoiled_below_are_good(kube: Kube, path: str) -> None:
    kube.create(path, GOOD[path])


@settings(max_examples=200, deadline=None)
@given(spoiled())
def test_a_spoiled_object_is_stored_or_refused(case: tuple[str, dict[str, Any]]) -> None:
    path, obj = case
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    kube.add_node("worker-1")
    answer = kube.send("POST", path, obj)
    assert answer.status in (201, 400, 403, 404, 422), answer.body
    # What was stored must not upset those who come across it.
    kube.send("POST", DEPLOYMENTS, deployment("b", 1))
    kube.advance(70)
    for listed in (path, PODS, "/api/v1/nodes"):
        headers = {"authorization": f"Bearer {cluster.token_for()}", "accept": TABLE}
        assert cluster.handle(Request("GET", listed, {}, headers)).status == 200
        kube.send("GET", listed).encode()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(["spec", "status", "metadata", "data", "rules", "roleRef"]),
    scraps,
)
def test_any_kind_is_stored_or_refused_whatever_its_fields_are(kind: Any, field: str, value: Any) -> None:
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    path = f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    answer = kube.send("POST", path, {"metadata": {"name": "a"}, field: value})
    assert answer.status in (201, 400, 403, 404, 422), answer.body
    kube.advance(5)
    for accept in ("application/json", TABLE):
        headers = {"authorization": f"Bearer {cluster.token_for()}", "accept": accept}
        assert cluster.handle(Request("GET", path, {}, headers)).status == 200


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["merge-patch", "strategic-merge-patch", "json-patch"]),
    st.lists(st.sampled_from(["spec", "template", "metadata", "containers", "labels", "0", "x"]), max_size=4),
    scraps,
)
def test_any_patch_is_applied_or_refused(kind: str, steps: list[str], value: Any) -> None:
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    kube.create(DEPLOYMENTS, deployment("web", 1))
    patch: Any = [{"op": "add", "path": "/".join(["", *steps]), "value": value}]
    if kind != "json-patch":
        patch = value
        for step in reversed(steps):
            patch = {step: patch}
    for path in (f"{DEPLOYMENTS}/web", f"{DEPLOYMENTS}/web/scale", f"{DEPLOYMENTS}/web/status"):
        answer = kube.send("PATCH", path, patch, content_type=f"application/{kind}+json")
        assert answer.status in (200, 400, 404, 422), answer.body
    kube.advance(5)


segments = st.sampled_from(
    [
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "pods",
        "deployments",
        "a",
        "status",
        "scale",
        "log",
        "",
        "%",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", ""]),
    st.lists(segments, max_size=8).map(lambda parts: "/" + "/".join(parts)),
    st.dictionaries(
        st.sampled_from(
            ["limit", "watch", "continue", "labelSelector", "fieldSelector", "dryRun", "container"]
        ),
        st.sampled_from(["", "1", "-1", "true", "a=b", "x"]),
        max_size=2,
    ),
    st.one_of(st.none(), scraps),
)
def test_any_request_gets_an_answer(method: str, path: str, query: dict[str, str], body: Any) -> None:
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    kube.add_pod("a")
    answer = kube.send(method, path, body, query)
    assert 200 <= answer.status < 600
    assert answer.status < 400 or answer.body == "404 page not found\n" or answer.body["kind"] == "Status"
