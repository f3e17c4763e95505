"""Requests that no good client sends: each is refused, or taken, as Kubernetes would, and soon."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from good_objects import GOOD
from kube_driver import PODS, Kube, deployment, pod

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.apiserver.watch import MAX_BACKLOG
from pytest_selfrep.kubesim.controllers.base import Controller, Queue
from pytest_selfrep.kubesim.controllers.common import Backoff
from pytest_selfrep.kubesim.controllers.cron import parse
from pytest_selfrep.kubesim.controllers.daemonset import DaemonSetController
from pytest_selfrep.kubesim.objects import Key
from pytest_selfrep.kubesim.schema import struct_for

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVICES = "/api/v1/namespaces/default/services"
SECRETS = "/api/v1/namespaces/default/secrets"
REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets"
SECONDS = 3.0
"""Far more than any refusal takes, far less than anything that goes wrong without bound."""
LONG = "9" * 5000
LONE = "\udcff"
"""What Python makes of a byte that is no text."""
DEEP = 100_000
MOST_DATA = 1024 * 1024


def _sent(
    kube: Kube,
    method: str,
    path: str,
    body: bytes = b"",
    content_type: str = "application/json",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    known = {"authorization": f"Bearer {kube.cluster.token_for()}", "content-type": content_type}
    began = time.monotonic()
    response = kube.cluster.handle(Request(method, path, query or {}, {**known, **(headers or {})}, body))
    assert response.encode() is not None
    assert time.monotonic() - began < SECONDS
    return response


def _refused(response: Response, code: int) -> str:
    """The message of a Status with that code."""
    body = response.body
    assert (response.status, body["kind"], body["status"], body["code"]) == (code, "Status", "Failure", code)
    return str(body["message"])


@pytest.mark.parametrize("parameter", ["limit", "timeoutSeconds"])
@pytest.mark.parametrize(
    ("text", "why"),
    [(LONG, "value out of range"), ("9223372036854775808", "value out of range")]
    + [(text, "invalid syntax") for text in ("x", "1.5", " 1", "1_0", "٣", "--1")],
)
def test_numbers_in_queries_are_those_that_go_reads(kube: Kube, parameter: str, text: str, why: str) -> None:
    query = {parameter: text, "watch": "true" if parameter == "timeoutSeconds" else "false"}
    said = _refused(_sent(kube, "GET", PODS, query=query), 400)
    assert said == f'strconv.ParseInt: parsing "{text}": {why}'


def test_a_number_with_a_plus_is_a_number(kube: Kube) -> None:
    assert _sent(kube, "GET", PODS, query={"limit": "+1"}).status == 200


def test_a_revision_beyond_all_numbers_is_refused(kube: Kube) -> None:
    said = _sent(kube, "GET", PODS, query={"resourceVersion": LONG}).body["message"]
    why = f'strconv.ParseUint: parsing "{LONG}": value out of range'
    assert said == f'resourceVersion: Invalid value: "{LONG}": {why}'


@pytest.mark.parametrize("field", ["tailLines", "sinceSeconds", "limitBytes"])
def test_a_log_is_asked_for_with_numbers(three_nodes: Kube, field: str) -> None:
    three_nodes.add_pod("web")
    three_nodes.advance(10)
    path = f"{PODS}/web/log"
    assert "value out of range" in _refused(_sent(three_nodes, "GET", path, query={field: LONG}), 400)
    assert "must be greater than" in _refused(_sent(three_nodes, "GET", path, query={field: "-1"}), 422)


@pytest.mark.parametrize("name", ["authorization", "impersonate-user", "user-agent"])
def test_bytes_that_are_no_text_in_headers_do_no_harm(kube: Kube, name: str) -> None:
    value = f"Bearer a.{LONE}.{LONE}" if name == "authorization" else LONE
    code = 401 if name == "authorization" else 201
    body = orjson.dumps({"metadata": {"generateName": "a-"}})
    assert _sent(kube, "POST", CONFIG_MAPS, body, headers={name: value}).status in (code, 403)


def test_bytes_that_are_no_text_in_paths_and_queries_are_shown_as_such(kube: Kube) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in _refused(_sent(kube, "GET", f"{PODS}/{LONE}"), 404)
    said = _refused(_sent(kube, "GET", PODS, query={"labelSelector": LONE}), 400)
    assert "\N{REPLACEMENT CHARACTER}" in said


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + step, 98 + step, b",".join([b"*%c" % (97 + step)] * 9)) for step in range(12)
)
MERGES = b"a: &a {x: y}\n" + b"".join(
    b"%c: &%c {<<: [%s]}\n" % (98 + step, 98 + step, b",".join([b"*%c" % (97 + step)] * 9))
    for step in range(12)
)
YAML = {
    "alias bomb": BOMB,
    "merge bomb": MERGES,
    "merge of itself": b"a: &a\n" + b"  <<: [*a, *a]\n  k: v\n" * 40,
    "long text, often": b"s: &s " + b"x" * 10_000 + b"\nl: [" + b"*s," * 10_000 + b"]",
    "number to base 60": b"a: 1" + b":11" * 300_000,
    "alias of itself": b"a: &a [*a]",
    "deep": b"a: " + b"[" * DEEP + b"]" * DEEP,
    "python object": b"!!python/object/apply:os.system ['true']",
    "unknown tag": b"a: !foo bar",
    "bad binary": b"a: !!binary z",
    "bad integer": b"a: !!int z",
    "long integer": b"a: " + b"9" * 10_000,
    "bad time": b"a: 2020-13-45",
    "lone surrogate": b'a: "\\ud800"',
    "not text": b"a: \xff",
    "control character": b"a: \x07",
    "mapping as key": b"? {a: b}\n: c",
    "bad merge": b"<<: [1, 2]",
    "long and deep": b"- " * 30_000 + b"a",
    "several documents": b"a: b\n---\nc: d",
}


@pytest.mark.parametrize("body", YAML.values(), ids=YAML)
def test_yaml_that_makes_no_object_is_refused(kube: Kube, body: bytes) -> None:
    _refused(_sent(kube, "POST", CONFIG_MAPS, body, "application/yaml"), 400)
    applied = _sent(
        kube, "PATCH", f"{CONFIG_MAPS}/a", body, "application/apply-patch+yaml", {"fieldManager": "m"}
    )
    _refused(applied, 400)


JSON = {
    "deep": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "not a number": b'{"a":NaN}',
    "two values": b"{}{}",
    "a list": b"[1,2]",
    "metadata of another type": b'{"metadata":1}',
    "name of another type": b'{"metadata":{"name":{}}}',
    "number beyond all": b'{"data":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("body", JSON.values(), ids=JSON)
def test_json_that_makes_no_object_is_refused(kube: Kube, body: bytes) -> None:
    _refused(_sent(kube, "POST", CONFIG_MAPS, body), 400)


ENVELOPE = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod"
"""A runtime.Unknown whose object is still to come (field 2)."""
PROTOBUF = {
    "nothing": b"k8s\0",
    "length beyond the end": ENVELOPE + b"\x12\xff\xff\xff\xff\x0f",
    "length of 64 bits": ENVELOPE + b"\x12" + b"\xff" * 9 + b"\x01",
    "number without end": ENVELOPE + b"\x12" + b"\xff" * 20,
    "group": ENVELOPE + b"\x12\x02\x0b\x0c",
    "number for a message": ENVELOPE + b"\x12\x02\x08\x01",
    "field 0": ENVELOPE + b"\x12\x02\x02\x00",
    "unknown wire type": ENVELOPE + b"\x12\x01\x0f",
    "no kind": b"k8s\0\x12\x00",
    "kind that is a path": b"k8s\0\x0a\x11\x0a\x0a../../x/v1\x12\x03Pod\x12\x00",
}


@pytest.mark.parametrize("body", PROTOBUF.values(), ids=PROTOBUF)
def test_protobuf_that_makes_no_object_is_refused(kube: Kube, body: bytes) -> None:
    _refused(_sent(kube, "POST", PODS, body, "application/vnd.kubernetes.protobuf"), 400)


OPERATIONS = {
    "a million levels": [{"op": "add", "path": "/a" * 1_000_000, "value": 1}],
    "into itself": [{"op": "move", "from": "/spec", "path": "/spec/template"}],
    "the whole into itself": [{"op": "copy", "from": "", "path": f"/{name}"} for name in range(30)],
    "a test of what is missing": [{"op": "test", "path": "/nope", "value": 1}],
    "an index beyond all numbers": [
        {"op": "add", "path": f"/spec/template/spec/containers/{LONG}", "value": {}}
    ],
    "an index in another script": [{"op": "add", "path": "/spec/template/spec/containers/²", "value": {}}],
    "no operation": [{}],
    "types of another kind": [{"op": 1, "path": 2}],
}


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
def test_json_patches_that_make_no_sense_are_refused(kube: Kube, operations: list[object]) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 0))
    sent = _sent(kube, "PATCH", f"{DEPLOYMENTS}/web", orjson.dumps(operations), "application/json-patch+json")
    assert sent.status in (400, 413, 422)
    _refused(sent, sent.status)


def test_an_apply_patch_names_its_type_in_text(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    body = orjson.dumps({"apiVersion": -1, "kind": [], "metadata": {"name": "a"}})
    sent = _sent(
        kube, "PATCH", f"{CONFIG_MAPS}/a", body, "application/apply-patch+yaml", {"fieldManager": "m"}
    )
    _refused(sent, 400)


@pytest.mark.parametrize("version", ["../../x/v1", "x" * 300 + "/v1", "a\0b/v1", "/etc/v1"])
def test_no_type_is_looked_for_outside_the_schemas(version: str) -> None:
    group, _, number = version.rpartition("/")
    with pytest.raises(LookupError):
        struct_for(group, number, "Pod")


@pytest.mark.parametrize("text", ["1e999999999", "1e-" + LONG, LONG, "1e" + LONG, "0." + LONG])
def test_quantities_beyond_measure_are_refused(kube: Kube, text: str) -> None:
    body = orjson.dumps(pod("web", cpu=text))
    assert "quantities must match the regular expression" in _refused(_sent(kube, "POST", PODS, body), 400)


@pytest.mark.parametrize("text", [f"{LONG} * * * *", f"*/{LONG} * * * *", "*/00 * * * *", "² * * * *"])
def test_schedules_beyond_measure_are_refused_in_go_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"out of range|should be a positive number|failed to parse int"):
        parse(text)


def test_a_time_zone_is_no_path(kube: Kube) -> None:
    path = "/apis/batch/v1/namespaces/default/cronjobs"
    for zone in ("../../etc/passwd", "/etc/passwd", "a\0b", "x" * 300, "Europe"):
        spec = {**GOOD[path]["spec"], "timeZone": zone}
        _refused(_sent(kube, "POST", path, orjson.dumps({"metadata": {"name": "a"}, "spec": spec})), 422)


@pytest.mark.parametrize("items", [[None], [{}]])
def test_containers_without_a_name_are_refused_whatever_else_is_in_force(
    kube: Kube, items: list[object]
) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.create("/api/v1/namespaces", {"metadata": {"name": "strict", "labels": labels}})
    hard = {"limits.cpu": "1"}
    kube.create(
        "/api/v1/namespaces/strict/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    )
    kube.create("/api/v1/namespaces/strict/limitranges", GOOD["/api/v1/namespaces/default/limitranges"])
    spec = {
        "containers": items,
        "volumes": [{"hostPath": {"path": "/"}}],
        "securityContext": {"sysctls": [{}]},
    }
    body = orjson.dumps({"metadata": {"name": "web"}, "spec": spec})
    refusal = _sent(kube, "POST", "/api/v1/namespaces/strict/pods", body)
    assert refusal.status in (403, 422)
    _refused(refusal, refusal.status)


@pytest.mark.parametrize("path", [PODS, DEPLOYMENTS, REPLICA_SETS])
def test_conditions_without_a_type_do_no_harm(three_nodes: Kube, path: str) -> None:
    three_nodes.add_pod("web")
    three_nodes.create(DEPLOYMENTS, deployment("app", 2))
    three_nodes.advance(30)
    name = three_nodes.get(path)["items"][0]["metadata"]["name"]
    body = orjson.dumps({"status": {"conditions": [None, {}]}})
    assert (
        _sent(three_nodes, "PATCH", f"{path}/{name}/status", body, "application/merge-patch+json").status
        == 200
    )
    three_nodes.advance(60)
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    assert _sent(three_nodes, "GET", path, headers={"accept": table}).status == 200


def test_annotations_of_controllers_may_say_anything(three_nodes: Kube) -> None:
    three_nodes.create(DEPLOYMENTS, deployment("app", 2))
    three_nodes.advance(30)
    nonsense = {
        "deployment.kubernetes.io/revision": LONG,
        "deployment.kubernetes.io/max-replicas": "²",
        "deployment.kubernetes.io/desired-replicas": "--1",
        "controller.kubernetes.io/pod-deletion-cost": "--1",
        "batch.kubernetes.io/job-completion-index": "x",
    }
    for path in (DEPLOYMENTS, REPLICA_SETS, PODS):
        for item in three_nodes.get(path)["items"]:
            three_nodes.merge(f"{path}/{item['metadata']['name']}", {"metadata": {"annotations": nonsense}})
    for replicas in (3, 1):
        three_nodes.merge(f"{DEPLOYMENTS}/app", {"spec": {"replicas": replicas}})
        three_nodes.advance(60)
    assert three_nodes.get(f"{DEPLOYMENTS}/app")["status"]["readyReplicas"] == 1


def test_a_watch_that_nobody_reads_ends_instead_of_growing(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, {"metadata": {"name": "a"}})
    watch = _sent(kube, "GET", CONFIG_MAPS, query={"watch": "true"}).stream
    assert watch is not None
    for count in range(MAX_BACKLOG + 10):
        kube.merge(f"{CONFIG_MAPS}/a", {"data": {"count": str(count)}})
    assert watch.closed
    assert len(watch.poll()) <= MAX_BACKLOG + 2


def test_a_year_of_failures_overflows_nothing(kube: Kube) -> None:
    delays: list[float] = []

    class Recording(Queue):
        def add_after(self, controller: Controller, key: Key, delay: float) -> None:
            delays.append(delay)

    queue = Recording(kube.cluster.store, kube.cluster.clock)
    backoff, controller = Backoff(queue), DaemonSetController.__new__(DaemonSetController)
    for _ in range(2000):
        backoff.retry(controller, Key("default", "agent"))
    assert delays[-1] == backoff.most


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (CONFIG_MAPS, {"data": {"a": "é" * (MOST_DATA // 2), "b": "x"}}, "[]"),
        (SECRETS, {"stringData": {"a": "x" * (MOST_DATA + 1)}}, "data"),
    ],
)
def test_data_beyond_a_mebibyte_is_refused_counted_in_bytes(
    kube: Kube, path: str, body: dict[str, object], field: str
) -> None:
    refusal = _sent(kube, "POST", path, orjson.dumps({"metadata": {"name": "a"}, **body}))
    _refused(refusal, 422)
    assert refusal.body["message"].endswith(
        f'"a" is invalid: {field}: Too long: may not be more than 1048576 bytes'
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONFIG_MAPS, {"data": {"a": "x" * MOST_DATA}}),
        (SECRETS, {"data": {"a": base64.b64encode(b"x" * MOST_DATA).decode()}}),
    ],
)
def test_data_of_a_mebibyte_is_taken_counted_without_its_encoding(
    kube: Kube, path: str, body: dict[str, object]
) -> None:
    sent = orjson.dumps({"metadata": {"name": "a"}, **body})
    assert _sent(kube, "POST", path, sent).status == 201


@pytest.mark.parametrize("seconds", [-1.0, 1e9, float("inf"), float("nan")])
def test_time_beyond_measure_does_not_pass(kube: Kube, seconds: float) -> None:
    before = kube.cluster.clock.now
    with pytest.raises(ValueError, match="is not from 0 to 31622400 seconds"):
        kube.cluster.advance(seconds)
    assert kube.cluster.clock.now == before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a":-}', "'}' in numeric literal"),
        (b'{"a":01}', "'1' after object key:value pair"),
        (b'{"a":1.x}', "'x' after decimal point in numeric literal"),
        (b'{"a":"\x01"}', r"'\x01' in string literal"),
        (b'{"a":"\\q"}', "'q' in string escape code"),
        (b'{"a":1,}', "'}' looking for beginning of object key string"),
        (b"{'a':1}", r"'\'' looking for beginning of object key string"),
        (b'{"a" 1}', "'1' after object key"),
        (b'{"a":[1 2]}', "'2' after array element"),
        (b'{"a":tru}', "'}' in literal true (expecting 'e')"),
        (b'{"a":NaN}', "'N' looking for beginning of value"),
        (b'{"a":[],"b":{}} x', "'x' after top-level value"),
        (b"\xef\xbb\xbf{}", "'\u00ef' looking for beginning of value"),
        (b"[" * 20_000, "'[' exceeded max depth"),
    ],
)
def test_what_is_wrong_with_json_is_said_in_go_words(kube: Kube, text: bytes, why: str) -> None:
    said = _refused(_sent(kube, "POST", CONFIG_MAPS, text), 400)
    assert f"json parse error: invalid character {why} (" in said


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"a\\ud800", "a\ufffd"),
        (b"\\ud800\\ud83d\\ude00", "\ufffd\U0001f600"),
        (b"\\\\ud800\\udc00", "\\ud800\ufffd"),
        (b"a\xff\xfe", "a\ufffd\ufffd"),
    ],
)
def test_what_is_no_text_is_replaced(kube: Kube, text: bytes, read: str) -> None:
    created = _sent(kube, "POST", CONFIG_MAPS, b'{"metadata":{"name":"a"},"data":{"a":"' + text + b'"}}')
    assert created.body["data"]["a"] == read


MANY = 15_000
WIDE: dict[str, Any] = {
    "ports": [{"containerPort": 80}] * MANY,
    "ports of hosts": [
        {"containerPort": 80, "hostPort": 1 + each % 60_000, "hostIP": f"10.0.{each >> 8}.{each & 255}"}
        for each in range(MANY)
    ],
    "named ports": [{"containerPort": 80 + each, "name": f"a{each}"} for each in range(MANY)],
}


@pytest.mark.parametrize("ports", WIDE)
def test_a_pod_with_very_many_ports_takes_no_longer_than_it_should(kube: Kube, ports: str) -> None:
    made = pod("a")
    made["spec"]["containers"][0]["ports"] = WIDE[ports]
    response = _sent(kube, "POST", PODS, orjson.dumps(made))
    assert response.status == 201
    assert sum(map(len, response.warnings)) < 5000


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("hostAliases", [{"ip": f"10.{each >> 8}.{each & 255}.1"} for each in range(MANY)]),
        ("imagePullSecrets", [{"name": f"a{each}"} for each in range(MANY)]),
        ("volumes", [{"name": f"a{each}", "emptyDir": {}} for each in range(MANY)]),
        ("containers", [{"name": f"a{each}", "image": "a"} for each in range(MANY)]),
    ],
)
def test_a_pod_that_is_very_wide_takes_no_longer_than_it_should(kube: Kube, field: str, items: Any) -> None:
    made = pod("a")
    made["spec"][field] = items
    assert _sent(kube, "POST", PODS, orjson.dumps(made)).status == 201


def test_a_service_with_very_many_ports_takes_no_longer_than_it_should(kube: Kube) -> None:
    ports = [{"name": f"a{each}", "port": 1 + each} for each in range(MANY)]
    body = {"metadata": {"name": "a"}, "spec": {"ports": ports}}
    assert _sent(kube, "POST", SERVICES, orjson.dumps(body)).status == 201


def test_warnings_are_told_once_and_end_when_there_are_too_many(kube: Kube) -> None:
    made = pod("a")
    made["spec"]["containers"][0]["env"] = [{"name": "a" * 100, "value": "b"}] * 100
    told = _sent(kube, "POST", PODS, orjson.dumps(made)).warnings
    assert told[0].startswith("spec.containers[0].env[1]: hides previous definition")
    assert max(map(len, told)) <= 256
    assert 4096 <= sum(map(len, told)) < 4096 + 256
