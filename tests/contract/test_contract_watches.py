"""Watches: what they say, in which order, and from when on."""

from __future__ import annotations

import pytest
from api_client import Kube, Object
from manifests import config_map


def said(events: list[Object]) -> list[tuple[str, str]]:
    return [
        (each["type"], each["object"]["metadata"].get("name", ""))
        for each in events
        if each["type"] != "BOOKMARK"
    ]


def revision(kube: Kube) -> str:
    return str(kube.get("configmaps")["metadata"]["resourceVersion"])


def test_changes_since_a_revision_come_in_order(kube: Kube) -> None:
    since = revision(kube)
    kube.create("configmaps", config_map("a"), config_map("b"))
    kube.patch("configmaps/a", {"data": {"text": "1"}})
    kube.patch("configmaps/a", {"data": {"text": "1"}})
    kube.delete("configmaps/b")
    events = kube.watch("configmaps", seconds=1, resourceVersion=since)

    assert said(events) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    revisions = [int(each["object"]["metadata"]["resourceVersion"]) for each in events]
    assert revisions == sorted(set(revisions))
    assert all(each["object"]["kind"] == "ConfigMap" for each in events)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/api/v1/watch/namespaces/{}/configmaps", ["a", "b"]),
        ("/api/v1/watch/namespaces/{}/configmaps/a", ["a"]),
        ("/api/v1/watch/configmaps", ["a", "b"]),
        ("/apis/apps/v1/watch/namespaces/{}/deployments", []),
    ],
)
def test_paths_of_the_old_kind_watch_too(kube: Kube, path: str, seen: list[str]) -> None:
    kube.create(
        "configmaps", config_map("a", {"in": kube.namespace}), config_map("b", {"in": kube.namespace})
    )
    events = kube.watch(path.format(kube.namespace), seconds=1, labelSelector=f"in={kube.namespace}")

    assert sorted(said(events)) == [("ADDED", name) for name in seen]


def test_without_a_revision_it_begins_with_what_is_there(kube: Kube) -> None:
    kube.create("configmaps", config_map("a", {"tier": "front"}), config_map("b"))

    assert said(kube.watch("configmaps", seconds=1, labelSelector="tier")) == [("ADDED", "a")]


def test_what_begins_or_ceases_to_match_is_added_or_deleted(kube: Kube) -> None:
    since = revision(kube)
    kube.create("configmaps", config_map("a"))
    kube.patch("configmaps/a", {"metadata": {"labels": {"tier": "front"}}})
    kube.patch("configmaps/a", {"data": {"text": "1"}})
    kube.patch("configmaps/a", {"metadata": {"labels": None}})
    events = kube.watch("configmaps", seconds=1, resourceVersion=since, labelSelector="tier=front")

    assert said(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_one_object_is_watched_by_its_name(kube: Kube) -> None:
    since = revision(kube)
    kube.create("configmaps", config_map("a"), config_map("b"))
    events = kube.watch("configmaps", seconds=1, resourceVersion=since, fieldSelector="metadata.name=b")

    assert said(events) == [("ADDED", "b")]


def test_bookmarks_come_at_the_end_to_who_asks_for_them(kube: Kube) -> None:
    since = revision(kube)
    kube.create("configmaps", config_map("a"))
    events = kube.watch("configmaps", seconds=3, resourceVersion=since, allowWatchBookmarks="true")
    marks = [each["object"] for each in events if each["type"] == "BOOKMARK"]

    assert marks
    assert set(marks[-1]["metadata"]) - {"annotations"} <= {"resourceVersion", "creationTimestamp"}
    assert int(marks[-1]["metadata"]["resourceVersion"]) >= int(
        events[0]["object"]["metadata"]["resourceVersion"]
    )


def test_tables_come_through_watches_too(kube: Kube) -> None:
    kube.create("configmaps", config_map("a", {"tier": "front"}))

    assert kube.kubectl("get configmaps -l tier --no-headers -o custom-columns=:metadata.name") == "a\n"
    shown = kube.kubectl("get configmaps -l tier --watch --request-timeout=2s")
    assert shown.splitlines()[0].split() == ["NAME", "DATA", "AGE"]
    assert shown.splitlines()[1].split()[:2] == ["a", "0"]
