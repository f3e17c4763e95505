"""Bodies are read by the types of the API, whatever they are written in."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kube_driver import PODS, Kube, pod
from protobuf_encoder import delimited, encode, envelope, varint

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.decoding import protobuf
from pytest_selfrep.kubesim.decoding.reading import reader, struct_reader
from pytest_selfrep.kubesim.kinds import KINDS
from pytest_selfrep.kubesim.schema import ListOf, MapOf, Scalar, Struct, Type, struct, struct_of

PROTOBUF = "application/vnd.kubernetes.protobuf"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def send(kube: Kube, method: str, path: str, body: bytes, content_type: str = PROTOBUF) -> Response:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "content-type": content_type}
    return kube.cluster.handle(Request(method, path, {}, headers, body))


def read(name: str, value: Any) -> Any:
    return reader(struct(name))(value, [])


def test_what_a_type_has_not_is_left_out() -> None:
    assert read("core.v1.ContainerPort", {"containerPort": 80, "colour": "red"}) == {"containerPort": 80}


def test_null_is_as_if_it_were_not_there_but_empty_within_lists_and_maps() -> None:
    assert read("core.v1.Toleration", {"key": None, "value": "a"}) == {"value": "a"}
    assert read("meta.v1.LabelSelector", {"matchLabels": {"a": None}}) == {"matchLabels": {"a": ""}}
    assert read("core.v1.ExecAction", {"command": ["a", None]}) == {"command": ["a", ""]}
    assert read("core.v1.PodSpec", {"containers": [None]}) == {"containers": [{"resources": {}}]}


def test_zero_and_empty_values_are_left_out_unless_go_can_tell_them_from_nothing() -> None:
    spec = {"hostNetwork": False, "priority": 0, "hostname": "", "tolerations": [], "containers": []}
    assert read("core.v1.PodSpec", spec) == {"priority": 0, "containers": []}
    assert read("core.v1.Volume", {"name": "a", "emptyDir": {}}) == {"name": "a", "emptyDir": {}}


def test_what_go_has_by_value_is_there_even_if_it_is_left_out() -> None:
    assert read("apps.v1.Deployment", {}) == {
        "metadata": {},
        "spec": {"strategy": {}, "template": {"metadata": {}, "spec": {"containers": []}}},
    }


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        (
            "core.v1.ResourceQuotaSpec",
            {"hard": {"cpu": 1, "memory": "1024Mi"}},
            {"hard": {"cpu": "1", "memory": "1Gi"}},
        ),
        (
            "meta.v1.ManagedFieldsEntry",
            {"time": "2025-05-06T10:00:00.25+02:00"},
            {"time": "2025-05-06T08:00:00Z"},
        ),
        (
            "coordination.v1.LeaseSpec",
            {"renewTime": "2025-05-06T08:00:00.5Z"},
            {"renewTime": "2025-05-06T08:00:00.500000Z"},
        ),
        ("core.v1.TCPSocketAction", {"port": "http"}, {"port": "http"}),
    ],
)
def test_values_with_a_form_of_their_own_are_kept_in_their_canonical_form(
    name: str, value: Any, kept: Any
) -> None:
    assert read(name, value) == kept


def test_threads_that_read_a_type_for_the_first_time_read_all_of_it() -> None:
    container = {
        "name": "a",
        "image": "b",
        "command": ["c"],
        "volumeMounts": [{"name": "d", "mountPath": "/d"}],
    }
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            for _ in range(100):
                read_new = struct_reader(struct("core.v1.Container"))
                found = [threads.submit(read_new, container, []) for _ in range(4)]
                assert [each.result()["volumeMounts"] for each in found] == [container["volumeMounts"]] * 4
    finally:
        sys.setswitchinterval(interval)


def test_the_body_that_was_sent_is_left_alone() -> None:
    sent = {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"a": "b"}}}
    got = read("core.v1.Pod", sent)
    got["metadata"]["labels"]["c"] = "d"
    got["spec"]["nodeSelector"]["c"] = "d"
    assert sent == {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"a": "b"}}}


_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5),
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": st.sampled_from(["", "AA==", "aGVsbG8="]),
    "Time": st.sampled_from(["2025-05-06T08:00:00Z", "1969-12-31T23:59:59Z"]),
    "MicroTime": st.sampled_from(["2025-05-06T08:00:00.000001Z"]),
    "Quantity": st.sampled_from(["0", "100m", "1Gi", "-2"]),
    "IntOrString": st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from(["", "25%"])),
    "StringList": st.lists(st.text(max_size=3), min_size=1, max_size=2),
    "RawExtension": st.just({"a": [1, None, "x"]}),
    "FieldsV1": st.just({"f:a": {}}),
    "any": st.just({"a": 1}),
}


def values(type_: Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a type, of which only a few fields are there the deeper it goes."""
    match type_:
        case Scalar():
            return _LEAVES[type_.name]
        case ListOf():
            return st.lists(st.deferred(lambda: values(type_.item, depth + 1)), min_size=1, max_size=2)
        case MapOf():
            items = st.deferred(lambda: values(type_.value, depth + 1))
            return st.dictionaries(st.text(max_size=3), items, min_size=1, max_size=2)
    return objects(type_, depth)


@st.composite
def objects(draw: st.DrawFn, type_: Struct, depth: int) -> dict[str, Any]:
    fields = [field for field in type_.fields.values() if field.number]
    some = st.lists(st.sampled_from(fields), max_size=max(0, 4 - depth), unique_by=lambda field: field.name)
    return {field.name: draw(values(field.type, depth + 1)) for field in draw(some)} if fields else {}


NUMBERED = [kind for kind in KINDS if struct_of(kind).members[0].number]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_protobuf_says_the_same_as_json(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(NUMBERED))
    type_ = struct_of(kind)
    sent = {"kind": kind.kind, "apiVersion": kind.api_version, **data.draw(objects(type_, 0))}
    as_json = reader(type_)(sent, [])
    strange: list[str] = []
    assert reader(type_)(protobuf.decode(encode(as_json)), strange) == as_json
    assert not strange


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_after_the_magic_are_decoded_or_refused(data: bytes) -> None:
    for body in (b"k8s\0" + data, envelope("v1", "Pod", data)):
        try:
            assert isinstance(protobuf.decode(body), dict)
        except protobuf.Malformed:
            continue


def test_numbers_of_a_list_may_be_packed_into_one_field() -> None:
    context = delimited(4, varint(5) + varint(-1) + varint(300))
    raw = delimited(2, delimited(14, context))
    assert protobuf.decode(envelope("v1", "Pod", raw))["spec"] == {
        "securityContext": {"supplementalGroups": [5, -1, 300]}
    }


def test_objects_are_created_from_protobuf_and_answered_as_json(kube: Kube) -> None:
    sent = {**pod("a", automountServiceAccountToken=False), "kind": "Pod", "apiVersion": "v1"}
    answer = send(kube, "POST", PODS, encode(sent))
    assert (answer.status, answer.content_type) == (201, "application/json")
    kube.create(PODS, pod("b", automountServiceAccountToken=False))
    one, other = kube.pod("a"), kube.pod("b")
    assert one["spec"] == other["spec"]


def test_options_of_a_deletion_may_be_protobuf(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    assert send(kube, "DELETE", f"{CONFIG_MAPS}/a", encode(options)).status == 409
    assert send(kube, "DELETE", f"{CONFIG_MAPS}/a", encode({**options, "preconditions": {}})).status == 200


def test_what_is_no_options_of_a_deletion_is_refused_for_its_kind_whatever_is_in_it(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    refused = send(kube, "DELETE", f"{CONFIG_MAPS}/a", envelope("apps/v1", "ControllerRevision", b"\x07"))
    why = 'no kind "ControllerRevision" is registered for version "apps/v1" in scheme '
    assert (refused.status, refused.body["message"].startswith(why)) == (500, True)


def test_reviews_may_be_protobuf(kube: Kube) -> None:
    review = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = send(kube, "POST", path, encode(review))
    assert (answer.status, answer.body["status"]["allowed"]) == (201, True)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            b"x",
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (78)",
        ),
        (b"k8s\0", "empty body (6b387300)"),
        (b"k8s\0abc", "unexpected EOF (6b387300616263)"),
        (
            envelope("v1", "Foo", b""),
            'no kind "Foo" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30" '
            "(6b3873000a090a02763112034 ...)",
        ),
    ],
)
def test_malformed_protobuf_is_a_bad_request(kube: Kube, body: bytes, why: str) -> None:
    answer = send(kube, "POST", CONFIG_MAPS, body)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    head = "the object provided is unrecognized (must be of type ConfigMap): "
    assert answer.body["message"].startswith(head + why.partition(" (6b")[0])


def test_yaml_bodies_are_read_like_json(kube: Kube) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '1'\n"
    assert send(kube, "POST", CONFIG_MAPS, body, "application/yaml").status == 201
    assert kube.get(f"{CONFIG_MAPS}/a")["data"] == {"x": "1"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a: {b", "yaml: line "),
        (b"&a [*a]", "yaml: "),
        (
            b"a: &a [x, x, x, x, x, x, x, x, x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefghij"),
            "yaml: document contains excessive aliasing",
        ),
    ],
)
def test_yaml_that_cannot_be_read_is_a_bad_request(kube: Kube, body: bytes, why: str) -> None:
    answer = send(kube, "POST", CONFIG_MAPS, body, "application/yaml")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert f"(must be of type ConfigMap): {why}" in answer.body["message"]
