"""Watches."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Stream
from pytest_selfrep.kubesim.store import LOG_LENGTH

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def watch(kube: Kube, path: str = CONFIG_MAPS, **query: str) -> Stream:
    answer = kube.send("GET", path, query={"watch": "true", **query})
    assert answer.status == 200
    assert answer.stream is not None
    return answer.stream


def seen(stream: Stream) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in stream.poll()]


def make(kube: Kube, name: str, **metadata: Any) -> Any:
    return kube.create(CONFIG_MAPS, {"metadata": {"name": name, **metadata}})


def test_a_watch_begins_with_what_is_there_and_goes_on_with_what_happens(kube: Kube) -> None:
    make(kube, "a")
    stream = watch(kube)
    assert ("ADDED", "a") in seen(stream)
    make(kube, "b")
    kube.merge(f"{CONFIG_MAPS}/a", {"data": {"x": "y"}})
    kube.delete(f"{CONFIG_MAPS}/b")
    assert seen(stream) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert seen(stream) == []
    assert not stream.closed


def test_events_carry_whole_objects_with_their_kind(kube: Kube) -> None:
    stream = watch(kube, resourceVersion=kube.get(CONFIG_MAPS)["metadata"]["resourceVersion"])
    made = make(kube, "a")
    assert list(stream.poll()) == [{"type": "ADDED", "object": made}]


def test_a_watch_from_a_list_misses_nothing_in_between(kube: Kube) -> None:
    make(kube, "a")
    revision = kube.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    make(kube, "b")
    kube.delete(f"{CONFIG_MAPS}/a")
    stream = watch(kube, resourceVersion=revision)
    make(kube, "c")
    assert seen(stream) == [("ADDED", "b"), ("DELETED", "a"), ("ADDED", "c")]


def test_a_deletion_has_a_revision_of_its_own(kube: Kube) -> None:
    made = make(kube, "a")
    stream = watch(kube, resourceVersion=made["metadata"]["resourceVersion"])
    kube.delete(f"{CONFIG_MAPS}/a")
    (event,) = stream.poll()
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_other_namespaces_and_kinds_are_not_seen(kube: Kube) -> None:
    stream = watch(kube, resourceVersion=str(kube.cluster.store.revision))
    kube.create("/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "a"}})
    kube.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "a"}})
    assert seen(stream) == []


def test_what_enters_a_selector_is_added_and_what_leaves_it_deleted(kube: Kube) -> None:
    stream = watch(kube, labelSelector="app=web")
    make(kube, "a", labels={"app": "db"})
    assert seen(stream) == []
    kube.merge(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "web"}}})
    kube.merge(f"{CONFIG_MAPS}/a", {"data": {"x": "y"}})
    kube.merge(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "db"}}})
    kube.delete(f"{CONFIG_MAPS}/a")
    events = list(stream.poll())
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[2]["object"]["metadata"]["labels"] == {"app": "web"}


def test_one_object_may_be_watched_by_its_name(kube: Kube) -> None:
    stream = watch(kube, fieldSelector="metadata.name=a")
    make(kube, "a")
    make(kube, "b")
    assert seen(stream) == [("ADDED", "a")]


def test_a_revision_that_is_forgotten_ends_the_watch_with_410(kube: Kube) -> None:
    made = make(kube, "a")
    for count in range(LOG_LENGTH + 1):
        kube.merge(f"{CONFIG_MAPS}/a", {"data": {"count": str(count)}})
    stream = watch(kube, resourceVersion=made["metadata"]["resourceVersion"])
    (event,) = stream.poll()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: ")
    assert stream.closed


def test_bookmarks_come_once_a_minute_when_asked_for(kube: Kube) -> None:
    revision = str(kube.cluster.store.revision)
    marked = watch(kube, resourceVersion=revision, allowWatchBookmarks="true")
    plain = watch(kube, resourceVersion=revision)
    kube.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "elsewhere"}})
    kube.advance(61)
    (event,) = marked.poll()
    assert event["type"] == "BOOKMARK"
    assert event["object"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "resourceVersion": str(kube.cluster.store.revision),
            "creationTimestamp": None,
        },
    }
    assert seen(marked) == seen(plain) == []


def test_a_streaming_list_marks_where_it_ends(kube: Kube) -> None:
    make(kube, "a")
    query = {
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    events = list(watch(kube, **query).poll())
    assert events[-1]["type"] == "BOOKMARK"
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_ends_when_its_time_is_over(kube: Kube) -> None:
    revision = str(kube.cluster.store.revision)
    stream = watch(kube, resourceVersion=revision, timeoutSeconds="5", allowWatchBookmarks="true")
    kube.advance(4)
    assert not stream.closed
    kube.advance(1)
    assert stream.closed
    assert [event["type"] for event in stream.poll()] == ["BOOKMARK"]


def test_whoever_serves_a_watch_is_woken_for_every_event(kube: Kube) -> None:
    stream = watch(kube, resourceVersion=str(kube.cluster.store.revision))
    woken: list[int] = []
    stream.on_ready(lambda: woken.append(1))
    make(kube, "a")
    assert woken == [1]


def test_a_closed_watch_takes_no_note_of_anything(kube: Kube) -> None:
    stream = watch(kube, resourceVersion=str(kube.cluster.store.revision))
    stream.close()
    make(kube, "a")
    assert stream.closed
    assert list(stream.poll()) == []


def test_tables_in_a_watch_name_their_columns_once(kube: Kube) -> None:
    from pytest_selfrep.kubesim.apiserver.http import Request

    headers = {
        "authorization": f"Bearer {kube.cluster.token_for()}",
        "accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
    }
    query = {"watch": "true", "resourceVersion": str(kube.cluster.store.revision)}
    stream = kube.cluster.handle(Request("GET", CONFIG_MAPS, query, headers)).stream
    assert stream is not None
    make(kube, "a")
    make(kube, "b")
    first, second = (event["object"] for event in stream.poll())
    assert first["kind"] == second["kind"] == "Table"
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second["columnDefinitions"]
    assert second["rows"][0]["cells"] == ["b", 0, "0s"]


@pytest.mark.parametrize("query", [{"timeoutSeconds": "x"}, {"labelSelector": "a in"}])
def test_a_watch_that_cannot_be_understood_is_a_bad_request(kube: Kube, query: dict[str, str]) -> None:
    answer = kube.send("GET", CONFIG_MAPS, query={"watch": "true", **query})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
