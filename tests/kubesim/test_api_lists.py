"""Lists: pieces, revisions, and what items look like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.store import LOG_LENGTH

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def make(kube: Kube, *names: str) -> None:
    for name in names:
        kube.create(CONFIG_MAPS, {"metadata": {"name": name}})


def names(answer: dict[str, Any]) -> list[str]:
    """All but the CA bundle, which is in every namespace and comes last."""
    found = [item["metadata"]["name"] for item in answer["items"]]
    return [name for name in found if name != "kube-root-ca.crt"]


def test_a_list_is_sorted_and_its_items_do_not_repeat_kind_and_version(kube: Kube) -> None:
    make(kube, "b", "a")
    answer = kube.get(CONFIG_MAPS)
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert answer["metadata"] == {"resourceVersion": str(kube.cluster.store.revision)}
    assert names(answer) == ["a", "b"]
    assert all("kind" not in item and "apiVersion" not in item for item in answer["items"])


def test_of_an_option_that_is_there_twice_the_first_counts(kube: Kube) -> None:
    make(kube, "a", "b")
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}"}
    once = Request("GET", CONFIG_MAPS, [("limit", "1"), ("limit", "x")], headers)
    assert names(kube.cluster.handle(once).body) == ["a"]
    assert kube.cluster.handle(replace(once, query=[("limit", "x"), ("limit", "1")])).status == 400


@pytest.mark.parametrize("option", ["limit", "timeoutSeconds"])
def test_an_empty_number_is_no_number(kube: Kube, option: str) -> None:
    refused = kube.refusal("GET", CONFIG_MAPS, query={option: "", "watch": "1"})
    assert (refused["code"], refused["message"]) == (400, 'strconv.ParseInt: parsing "": invalid syntax')


def test_a_namespace_without_a_name_is_all_namespaces(kube: Kube) -> None:
    assert names(kube.get("/api/v1/namespaces//configmaps")) == names(kube.get("/api/v1/configmaps"))


def test_a_list_without_a_namespace_is_one_of_all_namespaces(kube: Kube) -> None:
    make(kube, "a")
    kube.create("/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "b"}})
    found = [
        (i["metadata"]["namespace"], i["metadata"]["name"]) for i in kube.get("/api/v1/configmaps")["items"]
    ]
    found = [each for each in found if each[1] != "kube-root-ca.crt"]
    assert found == [("default", "a"), ("kube-system", "b")]


def test_a_list_may_be_read_in_pieces(kube: Kube) -> None:
    make(kube, "a", "b", "c")
    first = kube.get(CONFIG_MAPS, limit="2")
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 2
    rest = kube.get(CONFIG_MAPS, limit="2", **{"continue": first["metadata"]["continue"]})
    assert names(rest) == ["c"]
    assert "continue" not in rest["metadata"]


def test_pieces_show_the_list_as_it_was_when_it_was_begun(kube: Kube) -> None:
    make(kube, "a", "b", "d")
    first = kube.get(CONFIG_MAPS, limit="1")
    make(kube, "c")
    kube.delete(f"{CONFIG_MAPS}/d")
    kube.merge(f"{CONFIG_MAPS}/b", {"data": {"new": "yes"}})
    rest = kube.get(CONFIG_MAPS, **{"continue": first["metadata"]["continue"]})
    assert names(rest) == ["b", "d"]
    assert "data" not in rest["items"][0]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_an_exact_revision_shows_the_past(kube: Kube) -> None:
    make(kube, "a")
    then = kube.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    make(kube, "b")
    past = kube.get(CONFIG_MAPS, resourceVersion=then, resourceVersionMatch="Exact")
    assert names(past) == ["a"]
    assert names(kube.get(CONFIG_MAPS, resourceVersion=then)) == ["a", "b"]
    assert names(kube.get(CONFIG_MAPS, resourceVersion="0")) == ["a", "b"]


def test_a_revision_too_long_ago_has_expired(kube: Kube) -> None:
    make(kube, "a", "b")
    token = kube.get(CONFIG_MAPS, limit="1")["metadata"]["continue"]
    then = str(kube.cluster.store.revision)
    for count in range(LOG_LENGTH + 1):
        kube.merge(f"{CONFIG_MAPS}/a", {"data": {"count": str(count)}})
    for query in ({"continue": token}, {"resourceVersion": then, "resourceVersionMatch": "Exact"}):
        refused = kube.refusal("GET", CONFIG_MAPS, query=query)
        assert (refused["code"], refused["reason"]) == (410, "Expired")


@pytest.mark.parametrize("path", [CONFIG_MAPS, f"{CONFIG_MAPS}/a"])
def test_a_revision_of_the_future_times_out(kube: Kube, path: str) -> None:
    make(kube, "a")
    refused = kube.refusal("GET", path, query={"resourceVersion": "1000000"})
    assert (refused["code"], refused["reason"]) == (504, "Timeout")
    assert refused["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "many"},
        {"continue": "!!!"},
        {"continue": "e30"},
        {"continue": "nonsense"},
        {"continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"},
        {"labelSelector": "a in"},
        {"fieldSelector": "spec.colour=red"},
    ],
)
def test_a_query_that_cannot_be_understood_is_a_bad_request(kube: Kube, query: dict[str, str]) -> None:
    refused = kube.refusal("GET", CONFIG_MAPS, query=query)
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")
