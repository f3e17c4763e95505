"""Requests that are refused, with which code, reason and words."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import pytest
from api_client import JSON, PATCHES, Kube
from refusals import OBJECTS, Refusal, refusals

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ADDRESS = re.compile(r"0x[0-9a-f]{10}")
"""Of a part of an object, which Go prints instead of it."""


@pytest.fixture(scope="module")
def there(shared: Kube) -> Kube:
    """A namespace with a ConfigMap ``web``."""
    shared.create("configmaps", OBJECTS["settings"])
    return shared


def rows() -> list[object]:
    return [
        pytest.param(
            each,
            id=f"{each.request}: {each.message or each.reason}"[:90],
            marks=[pytest.mark.since(each.since)] if each.since else [],
        )
        for each in refusals()
    ]


@pytest.mark.parametrize("refusal", rows())
def test_a_refusal_has_its_code_its_reason_and_its_words(there: Kube, refusal: Refusal) -> None:
    verb, _, target = refusal.request.partition(" ")
    method, _, kind = verb.partition(":")
    content_type = PATCHES.get(kind or "merge", kind) if method == "PATCH" else kind or JSON
    path, _, query = target.partition("?")

    answer = there.refusal(method, path, refusal.body, content_type=content_type, **dict(parse_qsl(query)))

    assert answer[:2] == (refusal.code, refusal.reason)
    assert refusal.message in (UID.sub("<uid>", ADDRESS.sub("<address>", answer[2])), None)


@pytest.mark.parametrize(
    "path", ["/apis/example.com", "/apis/example.com/v1", "/apis/example.com/v1/gadgets"]
)
def test_of_an_unknown_group_there_is_no_page(shared: Kube, path: str) -> None:
    answer = shared.send("GET", path)

    assert (answer.code, answer.body) == (404, "404 page not found\n")


@pytest.mark.parametrize("kind", ["json", "strategic"])
def test_a_patch_of_null_changes_nothing(there: Kube, kind: str) -> None:
    before = there.get("configmaps/web")

    answer = there.send("PATCH", "configmaps/web", b"null", content_type=PATCHES[kind])

    assert (answer.code, answer.body) == (200, before)


def test_a_label_of_null_is_an_empty_one(kube: Kube) -> None:
    made = kube.create("configmaps", {"metadata": {"name": "a", "labels": {"a": None}}})

    assert made["metadata"]["labels"] == {"a": ""}


def test_a_refusal_names_the_fields_that_are_wrong(there: Kube) -> None:
    answer = there.send("POST", "configmaps", {"metadata": {"name": "A"}, "data": {"a b": ""}})

    assert answer.body["details"]["name"] == "A"
    assert answer.body["details"]["kind"] == "ConfigMap"
    assert [(each["reason"], each["field"]) for each in answer.body["details"]["causes"]] == [
        ("FieldValueInvalid", "metadata.name"),
        ("FieldValueInvalid", "data[a b]"),
    ]
