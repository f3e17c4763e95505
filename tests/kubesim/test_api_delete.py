"""Deleting: options, grace, finalizers, collections."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}}


def job(name: str) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


def test_deleting_answers_with_a_status_that_names_what_is_gone(kube: Kube) -> None:
    made = kube.create(DEPLOYMENTS, deployment("web", 0))
    assert kube.delete(f"{DEPLOYMENTS}/web") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": "web",
            "group": "apps",
            "kind": "deployments",
            "uid": made["metadata"]["uid"],
        },
    }
    assert kube.refusal("GET", f"{DEPLOYMENTS}/web")["code"] == 404


def test_deleting_a_pod_or_service_answers_with_the_object(kube: Kube) -> None:
    kube.add_pod("a")
    assert kube.delete(f"{PODS}/a")["kind"] == "Pod"
    assert kube.delete("/api/v1/namespaces/default/services/kubernetes")["kind"] == "Service"


def test_a_pod_without_a_node_goes_at_once(kube: Kube) -> None:
    kube.add_pod("a")
    kube.delete(f"{PODS}/a")
    assert not kube.exists(f"{PODS}/a")


def test_a_running_pod_is_given_its_grace_period(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", terminationGracePeriodSeconds=20)
    three_nodes.advance(30)
    answer = three_nodes.delete(f"{PODS}/a")
    meta = answer["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 20
    clock = three_nodes.cluster.clock
    assert clock.seconds_at(meta["deletionTimestamp"]) == pytest.approx(clock.now + 20, abs=1)
    three_nodes.advance(60)
    assert not three_nodes.exists(f"{PODS}/a")


def test_a_shorter_grace_period_may_be_asked_for_later_and_a_longer_one_not(three_nodes: Kube) -> None:
    three_nodes.add_pod("a", terminationGracePeriodSeconds=60)
    three_nodes.advance(30)
    three_nodes.delete(f"{PODS}/a")
    shorter = three_nodes.delete(f"{PODS}/a", {"gracePeriodSeconds": 5})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    longer = three_nodes.delete(f"{PODS}/a", {"gracePeriodSeconds": 50})
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5


def test_a_grace_period_of_zero_deletes_at_once(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    three_nodes.advance(30)
    three_nodes.ok("DELETE", f"{PODS}/a", query={"gracePeriodSeconds": "0"})
    assert not three_nodes.exists(f"{PODS}/a")


def test_finalizers_hold_an_object_until_the_last_is_taken_away(kube: Kube) -> None:
    path = f"{CONFIG_MAPS}/held"
    kube.create(CONFIG_MAPS, config_map("held", finalizers=["acme.io/a", "acme.io/b"]))
    answer = kube.delete(path)
    assert answer["metadata"]["deletionTimestamp"] == kube.cluster.clock.timestamp()
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
    kube.merge(path, {"metadata": {"finalizers": ["acme.io/b"]}})
    assert kube.exists(path)
    kube.merge(path, {"metadata": {"finalizers": []}})
    assert not kube.exists(path)


def test_no_finalizer_is_added_to_what_is_being_deleted(kube: Kube) -> None:
    path = f"{CONFIG_MAPS}/held"
    made = kube.create(CONFIG_MAPS, config_map("held", finalizers=["acme.io/a"]))
    kube.delete(path)
    made["metadata"]["finalizers"].append("acme.io/b")
    del made["metadata"]["resourceVersion"]
    refused = kube.refusal("PUT", path, made)
    assert refused["code"] == 422
    assert "no new finalizers can be added if the object is being deleted" in refused["message"]


def test_a_second_delete_of_a_held_object_changes_nothing(kube: Kube) -> None:
    path = f"{CONFIG_MAPS}/held"
    kube.create(CONFIG_MAPS, config_map("held", finalizers=["acme.io/a"]))
    assert kube.delete(path) == kube.delete(path)


@pytest.mark.parametrize(
    ("preconditions", "words"),
    [
        ({"uid": "0"}, "the UID in the precondition (0) does not match the UID in record"),
        ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match"),
    ],
)
def test_preconditions_protect_another_object_than_the_client_meant(
    kube: Kube, preconditions: dict[str, str], words: str
) -> None:
    kube.create(CONFIG_MAPS, config_map("a"))
    refused = kube.refusal("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": preconditions})
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert words in refused["message"]
    assert kube.exists(f"{CONFIG_MAPS}/a")


def test_preconditions_that_hold_let_a_deletion_through(kube: Kube) -> None:
    meta = kube.create(CONFIG_MAPS, config_map("a"))["metadata"]
    wanted = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    kube.delete(f"{CONFIG_MAPS}/a", {"preconditions": wanted})
    assert not kube.exists(f"{CONFIG_MAPS}/a")


def test_an_unknown_propagation_policy_is_invalid(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("a"))
    refused = kube.refusal("DELETE", f"{CONFIG_MAPS}/a", {"propagationPolicy": "Sideways"})
    assert (refused["code"], refused["message"]) == (
        422,
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": '
        'supported values: "Foreground", "Background", "Orphan", "nil"',
    )


def test_two_ways_of_saying_the_policy_exclude_each_other(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("a"))
    options = {"propagationPolicy": "Orphan", "orphanDependents": True}
    refused = kube.refusal("DELETE", f"{CONFIG_MAPS}/a", options)
    assert "orphanDependents and deletionPropagation cannot be both set" in refused["message"]


def replica_sets(kube: Kube) -> list[str]:
    found = kube.get("/apis/apps/v1/namespaces/default/replicasets")["items"]
    return [item["metadata"]["name"] for item in found]


@pytest.mark.parametrize("policy", [None, "Background", "Foreground"])
def test_dependents_go_with_their_owner(kube: Kube, policy: str | None) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 2))
    kube.delete(f"{DEPLOYMENTS}/web", {"propagationPolicy": policy} if policy else None)
    kube.advance(5)
    assert not kube.exists(f"{DEPLOYMENTS}/web")
    assert replica_sets(kube) == []
    assert kube.pods() == []


@pytest.mark.parametrize("options", [{"propagationPolicy": "Orphan"}, {"orphanDependents": True}])
def test_orphaned_dependents_stay_and_forget_their_owner(kube: Kube, options: dict[str, Any]) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 2))
    kube.delete(f"{DEPLOYMENTS}/web", options)
    kube.advance(5)
    assert not kube.exists(f"{DEPLOYMENTS}/web")
    (name,) = replica_sets(kube)
    left = kube.get(f"/apis/apps/v1/namespaces/default/replicasets/{name}")
    assert not left["metadata"].get("ownerReferences")
    assert len(kube.pods()) == 2


def test_a_foreground_deletion_leaves_its_owner_visible_while_a_dependent_is_held(kube: Kube) -> None:
    owner = kube.create(CONFIG_MAPS, config_map("owner"))
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    kube.create(CONFIG_MAPS, config_map("part", ownerReferences=[reference], finalizers=["acme.io/a"]))
    kube.delete(f"{CONFIG_MAPS}/owner", {"propagationPolicy": "Foreground"})
    meta = kube.get(f"{CONFIG_MAPS}/owner")["metadata"]
    assert meta["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in meta
    kube.merge(f"{CONFIG_MAPS}/part", {"metadata": {"finalizers": None}})
    kube.advance(5)
    assert not kube.exists(f"{CONFIG_MAPS}/owner")


def test_a_job_deleted_without_a_policy_leaves_its_pods_behind(kube: Kube) -> None:
    kube.create(JOBS, job("j"))
    kube.delete(f"{JOBS}/j")
    kube.advance(5)
    assert not kube.exists(f"{JOBS}/j")
    assert len(kube.pods()) == 1


def test_a_collection_is_deleted_through_its_selector_and_listed_in_the_answer(kube: Kube) -> None:
    for name, app in (("a", "web"), ("b", "web"), ("c", "db")):
        kube.create(CONFIG_MAPS, config_map(name, labels={"app": app}))
    answer = kube.ok("DELETE", CONFIG_MAPS, query={"labelSelector": "app=web"})
    assert answer["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "b"]
    left = [item["metadata"]["name"] for item in kube.get(CONFIG_MAPS)["items"]]
    assert "c" in left
    assert not {"a", "b"} & set(left)


def test_a_namespace_that_is_going_may_be_deleted_again(kube: Kube) -> None:
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube.create("/api/v1/namespaces/shop/configmaps", config_map("a", finalizers=["acme.io/a"]))
    first = kube.delete("/api/v1/namespaces/shop")
    assert "deletionGracePeriodSeconds" not in first["metadata"]
    second = kube.delete("/api/v1/namespaces/shop")
    assert second["metadata"]["deletionTimestamp"] == first["metadata"]["deletionTimestamp"]


def test_a_namespace_empties_itself_and_goes(kube: Kube) -> None:
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube.create("/api/v1/namespaces/shop/configmaps", config_map("a", finalizers=["acme.io/a"]))
    answer = kube.delete("/api/v1/namespaces/shop")
    assert (answer["kind"], answer["status"]["phase"]) == ("Namespace", "Terminating")
    kube.advance(10)
    assert kube.exists("/api/v1/namespaces/shop")
    kube.merge("/api/v1/namespaces/shop/configmaps/a", {"metadata": {"finalizers": None}})
    kube.advance(60)
    assert not kube.exists("/api/v1/namespaces/shop")
