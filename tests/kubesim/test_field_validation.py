"""What becomes of fields that are unknown or there twice (``fieldValidation``)."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment, pod
from urllib3 import PoolManager

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.serving.server import serve

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PATH = f"{DEPLOYMENTS}/web"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
TWICE = b"""{"metadata": {"name": "a", "name": "b", "colour": 1}, "spec": {"containers": [
    {"name": "one", "image": "x"}, {"name": "two", "image": "x", "image": "y", "imag": "z"}
], "nodeSelector": {"a": "1", "a": "2"}}, "extra": {"deep": 1}}"""
PROBLEMS = [
    'duplicate field "metadata.name"',
    'unknown field "metadata.colour"',
    'duplicate field "spec.containers[1].image"',
    'unknown field "spec.containers[1].imag"',
    'duplicate field "spec.nodeSelector.a"',
    'unknown field "extra"',
]


def send(
    kube: Kube, method: str, path: str, body: bytes, content_type: str = "application/json", **query: str
) -> Response:
    token = kube.cluster.token_for()
    headers = {"authorization": f"Bearer {token}", "content-type": content_type}
    return kube.cluster.handle(Request(method, path, query, headers, body))


@pytest.fixture
def web(kube: Kube) -> Kube:
    kube.create(DEPLOYMENTS, deployment("web", 1))
    return kube


def test_by_default_the_client_is_warned_and_the_last_value_counts(kube: Kube) -> None:
    answer = send(kube, "POST", PODS, TWICE)
    assert answer.status == 201
    assert list(answer.warnings) == PROBLEMS
    assert answer.body["metadata"]["name"] == "b"
    assert "colour" not in answer.body["metadata"]
    assert "extra" not in answer.body


def test_strict_validation_refuses_with_all_that_is_wrong(kube: Kube) -> None:
    answer = send(kube, "POST", PODS, TWICE, fieldValidation="Strict")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"] == (
        f'Pod in version "v1" cannot be handled as a Pod: strict decoding error: {", ".join(PROBLEMS)}'
    )
    assert not answer.warnings


def test_without_validation_nothing_is_said(kube: Kube) -> None:
    answer = send(kube, "POST", PODS, TWICE, fieldValidation="Ignore")
    assert (answer.status, list(answer.warnings)) == (201, [])


def test_nothing_is_said_of_a_body_that_is_right(kube: Kube) -> None:
    for directive in ("Strict", "Warn"):
        answer = kube.send("POST", PODS, pod(directive.lower()), {"fieldValidation": directive})
        assert (answer.status, list(answer.warnings)) == (201, [])


def test_names_of_fields_are_case_sensitive(kube: Kube) -> None:
    answer = send(kube, "POST", PODS, b'{"Metadata": {}, "metadata": {"generateName": "a"}, "spec": {}}')
    assert list(answer.warnings) == ['unknown field "Metadata"']


@pytest.mark.parametrize(
    ("method", "path", "options"), [("POST", PODS, "CreateOptions"), ("PATCH", PATH, "PatchOptions")]
)
def test_another_directive_is_invalid(web: Kube, method: str, path: str, options: str) -> None:
    content_type = MERGE if method == "PATCH" else "application/json"
    answer = send(web, method, path, b"{}", content_type, fieldValidation="strict")
    why = 'Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn"'
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"] == f'{options}.meta.k8s.io "" is invalid: fieldValidation: {why}'
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldValueNotSupported", "message": why, "field": "fieldValidation"}
    ]


def test_a_warning_comes_before_a_refusal_for_another_reason(kube: Kube) -> None:
    answer = send(kube, "POST", PODS, b'{"metadata": {"name": "A_"}, "spec": {"foo": 1}}')
    assert answer.status == 422
    assert list(answer.warnings) == ['unknown field "spec.foo"']


def test_yaml_says_on_which_lines_a_key_is_set_again(kube: Kube) -> None:
    body = b"metadata:\n  name: a\n  name: b\ndata:\n  x: '1'\n  x: '2'\nfoo: 1\n"
    answer = send(kube, "POST", "/api/v1/namespaces/default/configmaps", body, YAML)
    assert answer.status == 201
    assert list(answer.warnings) == [
        'line 3: key "name" already set in map',
        'line 6: key "x" already set in map',
        'unknown field "foo"',
    ]


MERGED = '"{\\"kind\\":\\"Deployment\\"'


@pytest.mark.parametrize(
    ("content_type", "body", "quoted", "problems"),
    [
        (
            MERGE,
            b'{"spec": {"foo": 1, "replicas": 1, "replicas": 2}}',
            MERGED,
            ['duplicate field "spec.replicas"', 'unknown field "spec.foo"'],
        ),
        (
            STRATEGIC,
            b'{"spec": {"replicas": 1, "replicas": 2, "foo": {"a": null}}}',
            '"map[spec:map[foo:map[a:<nil>] replicas:2]]"',
            ['duplicate field "spec.replicas"', 'unknown field "spec.foo"'],
        ),
        (
            JSON_PATCH,
            b'[{"op": "add", "op": "add", "path": "/spec/template/spec/containers/0/foo", "value": 1}]',
            MERGED,
            [
                'json patch duplicate field "[0].op"',
                'unknown field "spec.template.spec.containers[0].foo"',
            ],
        ),
    ],
)
def test_patches_are_validated_like_objects(
    web: Kube, content_type: str, body: bytes, quoted: str, problems: list[str]
) -> None:
    warned = send(web, "PATCH", PATH, body, content_type)
    assert (warned.status, list(warned.warnings)) == (200, problems)
    strict = send(web, "PATCH", PATH, body, content_type, fieldValidation="Strict")
    assert (strict.status, strict.body["reason"]) == (422, "Invalid")
    assert strict.body["message"].startswith(f' "" is invalid: patch: Invalid value: {quoted}')
    assert strict.body["message"].endswith(f": strict decoding error: {', '.join(problems)}")
    assert [cause["field"] for cause in strict.body["details"]["causes"]] == ["patch"]
    ignored = send(web, "PATCH", PATH, body, content_type, fieldValidation="Ignore")
    assert (ignored.status, list(ignored.warnings)) == (200, [])


def test_an_applied_configuration_must_not_say_a_key_twice_in_strict_mode(kube: Kube) -> None:
    path = "/api/v1/namespaces/default/configmaps/a"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n"
    strict = send(kube, "PATCH", path, body, APPLY, fieldManager="me", fieldValidation="Strict")
    assert (strict.status, strict.body["message"]) == (
        400,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 7: key "x" already set in map',
    )
    warned = send(kube, "PATCH", path, body, APPLY, fieldManager="me")
    assert (warned.status, list(warned.warnings)) == (201, ['line 7: key "x" already set in map'])


def test_at_most_a_hundred_problems_are_told(kube: Kube) -> None:
    spec: dict[str, Any] = {f"x{number}": 1 for number in range(150)}
    answer = kube.send("POST", PODS, {"metadata": {"name": "a"}, "spec": spec})
    assert len(answer.warnings) == 100


def test_each_warning_is_a_header_of_its_own_with_its_quotes_escaped() -> None:
    response = Response(200, warnings=('unknown field "a\\b"', "two"))
    assert response.warning_headers() == ['299 - "unknown field \\"a\\\\b\\""', '299 - "two"']


def test_clients_of_the_server_get_every_warning_as_a_header(kube: Kube) -> None:
    served = serve(kube.cluster)
    try:
        headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "content-type": "application/json"}
        pool = PoolManager(ssl_context=ssl.create_default_context(cadata=served.ca_pem.decode()))
        body = b'{"metadata": {"name": "a"}, "one": 1, "two": 2}'
        path = "/api/v1/namespaces/default/configmaps"
        answer = pool.request("POST", f"{served.url}{path}", body=body, headers=headers)
    finally:
        served.close()
    assert answer.headers.getlist("Warning") == [
        '299 - "unknown field \\"one\\""',
        '299 - "unknown field \\"two\\""',
    ]
