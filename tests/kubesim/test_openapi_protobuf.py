"""The Swagger document in protobuf, as bytes: what is where by gnostic's numbers, and who is sent it."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.openapi.protobuf import encoded

NEW = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
OLD = NEW.replace("v2.v1.0", "v2@v1.0")


def ask(kube: Kube, accept: str, **headers: str) -> Response:
    sent = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": accept}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return kube.cluster.handle(Request("GET", "/openapi/v2", {}, sent))


def varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while data[place] > 0x7F:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1


def members(data: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(data):
        tag, place = varint(data, place)
        if tag & 7 == 0:
            value, place = varint(data, place)
            yield tag >> 3, value
            continue
        length, place = (8, place) if tag & 7 == 1 else varint(data, place)
        yield tag >> 3, data[place : place + length]
        place += length
        assert place <= len(data)


def numbered(data: bytes) -> dict[int, list[Any]]:
    found = defaultdict(list)
    for number, value in members(data):
        found[number].append(value)
    return found


def only(data: bytes, *path: int) -> Any:
    """What is in fields within fields, each of which is there once."""
    value: Any = data
    for number in path:
        (value,) = numbered(value)[number]
    return value


def entries(data: bytes, *path: int) -> dict[str, bytes]:
    """The map at a path: the last number is that of its entries."""
    *outer, last = path
    found = numbered(only(data, *outer))[last]
    return {only(each, 1).decode(): only(each, 2) for each in found}


def schema(**said: Any) -> bytes:
    made: bytes = entries(encoded({"definitions": {"a": said}}), 9, 1)["a"]
    return made


def test_the_document_has_the_paths_and_types_of_its_json(kube: Kube) -> None:
    document, whole = ask(kube, OLD).encode(), kube.get("/openapi/v2")
    assert only(document, 1) == b"2.0"
    assert (only(document, 2, 1), only(document, 2, 2)) == (b"Kubernetes", b"v1.32.4")
    assert list(entries(document, 8, 2)) == list(whole["paths"])
    types = entries(document, 9, 1)
    assert list(types) == list(whole["definitions"])
    deployment = types["io.k8s.api.apps.v1.Deployment"]
    assert only(deployment, 22, 1) == b"object"
    assert only(entries(deployment, 25, 1)["spec"], 1) == b"#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    known = entries(deployment, 31)["x-kubernetes-group-version-kind"]
    assert only(known, 2) == b"- group: apps\n  kind: Deployment\n  version: v1\n"
    containers = entries(types["io.k8s.api.core.v1.PodSpec"], 25, 1)["containers"]
    assert only(containers, 23, 1, 1) == b"#/definitions/io.k8s.api.core.v1.Container"
    assert only(entries(containers, 31)["x-kubernetes-patch-merge-key"], 2) == b"name\n"
    strings = entries(types["io.k8s.api.core.v1.PodSpec"], 25, 1)["nodeSelector"]
    assert only(strings, 21, 1, 22, 1) == b"string"


def test_operations_are_described_with_parameters_and_answers(kube: Kube) -> None:
    path = entries(ask(kube, OLD).encode(), 8, 2)["/api/v1/namespaces/{namespace}/pods/{name}"]
    assert sorted(numbered(path)) == [2, 3, 5, 8, 9]
    patch = numbered(only(path, 8))
    assert patch[5] == [b"patchCoreV1NamespacedPod"]
    assert b"application/apply-patch+yaml" in patch[7]
    body, query = (only(each, 1) for each in patch[8][:2])
    assert (only(body, 1, 2), only(body, 1, 4)) == (b"body", 1)
    assert (only(query, 2, 3, 4), only(query, 2, 3, 2)) == (b"dryRun", b"query")
    answers = entries(only(path, 8), 9, 1)
    assert only(answers["200"], 1, 2, 1, 1) == b"#/definitions/io.k8s.api.core.v1.Pod"
    name = only(numbered(path)[9][0], 1, 2, 4)
    assert (only(name, 4), only(name, 2), only(name, 1)) == (b"name", b"path", 1)


def test_a_token_secures_all(kube: Kube) -> None:
    document = ask(kube, OLD).encode()
    assert entries(document, 12, 1) == {"BearerToken": b""}
    token = entries(document, 13, 1)["BearerToken"]
    assert [only(token, 2, number) for number in (1, 2, 3)] == [b"apiKey", b"authorization", b"header"]


def test_what_custom_resources_say_of_numbers_and_texts_is_told() -> None:
    number = numbered(schema(type="integer", minimum=-1.5, maximum=10, exclusiveMaximum=True, multipleOf=0))
    assert struct.unpack("<d", number[9][0]) == (-1.5,)
    assert struct.unpack("<d", number[7][0]) == (10,)
    assert number[8] == [1]
    # What is nothing is not written.
    assert 6 not in number
    text = numbered(schema(type="string", pattern="^ä+$", maxLength=300, enum=["a", "no", 3, None]))
    assert (text[13], text[11]) == (["^ä+$".encode()], [300])
    assert [yaml.safe_load(only(each, 2)) for each in text[20]] == ["a", "no", 3, None]
    assert yaml.safe_load(only(schema(default={"a": [1, "b"]}), 5, 2)) == {"a": [1, "b"]}


def test_what_a_message_cannot_say_is_left_out() -> None:
    assert schema(externals="x", properties={}) == b"\xca\x01\x00"


@pytest.mark.parametrize("accept", [NEW, OLD, f"{OLD},application/json;q=0.5", f"{OLD};q=1, */*"])
def test_who_prefers_protobuf_is_sent_it(kube: Kube, accept: str) -> None:
    answer = ask(kube, accept)
    assert (answer.status, answer.content_type) == (200, NEW)
    assert answer.encode() is ask(kube, NEW).encode()
    again = ask(kube, accept, if_none_match=answer.headers["ETag"])
    assert (again.status, again.encode()) == (304, b"")
    assert answer.headers["ETag"] != ask(kube, "application/json").headers["ETag"]


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", f"application/json,{OLD}"])
def test_all_others_are_sent_json(kube: Kube, accept: str) -> None:
    assert ask(kube, accept).content_type == "application/json"
