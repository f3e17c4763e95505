"""What goes with an object that is deleted, and what it waits for."""

from __future__ import annotations

import pytest
from kube_driver import Kube
from workloads import CORE, DEPLOYMENTS, REPLICA_SETS, config_map, deploy, live_pods, names

MAPS = f"{CORE}/configmaps"
BACKGROUND = {"propagationPolicy": "Background"}
FOREGROUND = {"propagationPolicy": "Foreground"}
ORPHAN = {"propagationPolicy": "Orphan"}


def test_pods_go_with_their_deployment(kube: Kube) -> None:
    deploy(kube)
    kube.delete(f"{DEPLOYMENTS}/web", BACKGROUND)
    assert kube.get(REPLICA_SETS)["items"] == []
    assert kube.pods() == []


def test_running_pods_get_their_grace_period(three_nodes: Kube) -> None:
    deploy(three_nodes)
    three_nodes.advance(30)
    three_nodes.delete(f"{DEPLOYMENTS}/web")
    assert len(three_nodes.pods()) == 3
    assert live_pods(three_nodes) == []
    three_nodes.advance(31)
    assert three_nodes.pods() == []


def test_orphans_stay_and_are_adopted_by_a_successor(kube: Kube) -> None:
    deploy(kube)
    before = names(kube.pods())
    kube.delete(f"{DEPLOYMENTS}/web", ORPHAN)
    assert not kube.exists(f"{DEPLOYMENTS}/web")
    (orphan,) = kube.get(REPLICA_SETS)["items"]
    assert "ownerReferences" not in orphan["metadata"]
    assert names(kube.pods()) == before
    created = deploy(kube)
    (adopted,) = kube.get(REPLICA_SETS)["items"]
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
    assert names(kube.pods()) == before


def test_in_the_foreground_the_owner_waits_for_its_pods(three_nodes: Kube) -> None:
    kube = three_nodes
    deploy(kube)
    kube.advance(30)
    kube.delete(f"{DEPLOYMENTS}/web", FOREGROUND)
    waiting = kube.get(f"{DEPLOYMENTS}/web")["metadata"]
    assert waiting["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in waiting
    assert len(kube.get(REPLICA_SETS)["items"]) == 1
    kube.advance(31)
    assert not kube.exists(f"{DEPLOYMENTS}/web")
    assert kube.get(REPLICA_SETS)["items"] == []
    assert kube.pods() == []


def test_a_foreground_owner_without_dependents_goes_at_once(kube: Kube) -> None:
    kube.create(MAPS, config_map("alone"))
    kube.delete(f"{MAPS}/alone", FOREGROUND)
    assert not kube.exists(f"{MAPS}/alone")


def test_dependents_of_dependents_go_too(kube: Kube) -> None:
    first = kube.create(MAPS, config_map("first"))
    second = kube.create(MAPS, config_map("second", first))
    kube.create(MAPS, config_map("third", second))
    kube.delete(f"{MAPS}/first")
    assert not kube.exists(f"{MAPS}/third")


@pytest.mark.parametrize("options", [BACKGROUND, FOREGROUND], ids=["background", "foreground"])
def test_what_has_another_owner_stays_with_that_one(kube: Kube, options: dict[str, str]) -> None:
    first = kube.create(MAPS, config_map("first"))
    second = kube.create(MAPS, config_map("second"))
    kube.create(MAPS, config_map("shared", first, second))
    kube.delete(f"{MAPS}/first", options)
    assert not kube.exists(f"{MAPS}/first")
    (left,) = kube.get(f"{MAPS}/shared")["metadata"]["ownerReferences"]
    assert left["name"] == "second"
    kube.delete(f"{MAPS}/second", options)
    assert not kube.exists(f"{MAPS}/shared")


def test_what_names_an_owner_that_never_was_is_collected(kube: Kube) -> None:
    owner = kube.create(MAPS, config_map("owner"))
    other = {**owner, "metadata": {"name": "owner", "uid": "00000000-0000-4000-8000-000000000000"}}
    kube.create(MAPS, config_map("stray", other))
    assert not kube.exists(f"{MAPS}/stray")


def test_owners_of_kinds_that_are_not_served_are_left_alone(kube: Kube) -> None:
    owner = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "uid": "00000000-0000-4000-8000-000000000000"},
    }
    kube.create(MAPS, config_map("widget-settings", owner))
    assert kube.exists(f"{MAPS}/widget-settings")


def test_a_finalizer_holds_an_object_until_it_is_removed(kube: Kube) -> None:
    kube.create(MAPS, config_map("held", finalizers=["acme.io/backup"]))
    kube.delete(f"{MAPS}/held")
    assert "deletionTimestamp" in kube.get(f"{MAPS}/held")["metadata"]
    kube.merge(f"{MAPS}/held", {"metadata": {"finalizers": None}})
    assert not kube.exists(f"{MAPS}/held")


def test_a_finalizer_of_a_dependent_holds_its_foreground_owner(kube: Kube) -> None:
    owner = kube.create(MAPS, config_map("owner"))
    kube.create(MAPS, config_map("held", owner, finalizers=["acme.io/backup"]))
    kube.delete(f"{MAPS}/owner", FOREGROUND)
    assert kube.exists(f"{MAPS}/owner")
    kube.merge(f"{MAPS}/held", {"metadata": {"finalizers": None}})
    assert not kube.exists(f"{MAPS}/held")
    assert not kube.exists(f"{MAPS}/owner")
