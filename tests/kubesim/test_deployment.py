"""Deployments: rollouts, scaling, revisions and what they report."""

from __future__ import annotations

import re

import pytest
from kube_driver import Kube, Object, deployment
from workloads import (
    DEPLOYMENTS,
    REPLICA_SETS,
    SETTLED,
    condition,
    deploy,
    images,
    is_ready,
    live_pods,
    names,
    quota,
    scale,
    set_image,
    workload,
)

WEB = f"{DEPLOYMENTS}/web"
OLD, NEW = "registry.acme.io/web:1.4", "registry.acme.io/web:1.5"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def replica_sets(kube: Kube) -> list[Object]:
    """Oldest revision first."""
    found = kube.get(REPLICA_SETS)["items"]
    return sorted(found, key=lambda each: int(revision(each)))


def revision(obj: Object) -> str:
    return str(obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def sizes(kube: Kube) -> list[int]:
    return [each["spec"]["replicas"] for each in replica_sets(kube)]


def test_pods_are_named_after_deployment_template_hash_and_a_suffix(kube: Kube) -> None:
    deploy(kube)
    (replica_set,) = replica_sets(kube)
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{8,10}", digest)
    assert replica_set["metadata"]["name"] == f"web-{digest}"
    for name in names(live_pods(kube)):
        assert re.fullmatch(rf"web-{digest}-[bcdfghjklmnpqrstvwxz2456789]{{5}}", name)


def test_equal_templates_have_equal_hashes_and_others_do_not(kube: Kube) -> None:
    deploy(kube, "web")
    set_image(kube, NEW)
    set_image(kube, OLD)
    assert len(replica_sets(kube)) == 2


def test_pods_belong_to_the_replica_set_and_it_to_the_deployment(kube: Kube) -> None:
    created = deploy(kube)
    (replica_set,) = replica_sets(kube)
    (owner,) = replica_set["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": created["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    owners = {each["metadata"]["ownerReferences"][0]["uid"] for each in live_pods(kube)}
    assert owners == {replica_set["metadata"]["uid"]}


def test_the_status_follows_the_pods(kube: Kube) -> None:
    deploy(kube)
    status = kube.get(WEB)["status"]
    assert status["replicas"] == status["updatedReplicas"] == status["unavailableReplicas"] == 3
    assert "readyReplicas" not in status
    assert condition(kube.get(WEB), "Available")["reason"] == "MinimumReplicasUnavailable"
    kube.advance(SETTLED)
    done = kube.get(WEB)
    assert done["status"]["readyReplicas"] == done["status"]["availableReplicas"] == 3
    assert "unavailableReplicas" not in done["status"]
    assert done["status"]["observedGeneration"] == done["metadata"]["generation"] == 1
    assert condition(done, "Available")["message"] == "Deployment has minimum availability."
    progressing = condition(done, "Progressing")
    assert progressing["reason"] == "NewReplicaSetAvailable"
    (replica_set,) = replica_sets(kube)
    name = replica_set["metadata"]["name"]
    assert progressing["message"] == f'ReplicaSet "{name}" has successfully progressed.'


def test_scaling_is_reported_in_events(kube: Kube) -> None:
    deploy(kube, replicas=1)
    scale(kube, 4)
    scale(kube, 0)
    (replica_set,) = names(replica_sets(kube))
    assert kube.events("web") == [
        ("ScalingReplicaSet", f"Scaled up replica set {replica_set} from 0 to 1"),
        ("ScalingReplicaSet", f"Scaled up replica set {replica_set} from 1 to 4"),
        ("ScalingReplicaSet", f"Scaled down replica set {replica_set} from 4 to 0"),
    ]


def test_scaling_makes_no_new_revision(kube: Kube) -> None:
    deploy(kube, replicas=1)
    scale(kube, 3)
    kube.advance(SETTLED)
    assert len(live_pods(kube)) == 3
    assert [revision(each) for each in replica_sets(kube)] == ["1"]


def test_a_rolling_update_never_has_more_or_fewer_pods_than_it_may(kube: Kube) -> None:
    deploy(kube, replicas=4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}})
    kube.advance(SETTLED)
    set_image(kube, NEW)
    most, least = 0, 99
    for _ in range(200):
        pods = live_pods(kube)
        most, least = max(most, len(pods)), min(least, sum(map(is_ready, pods)))
        kube.advance(0.25)
    assert (most, least) == (5, 3)
    assert images(live_pods(kube)) == [NEW] * 4
    assert sizes(kube) == [0, 4]


def test_by_default_a_quarter_may_be_missing_or_surplus(kube: Kube) -> None:
    deploy(kube, replicas=4)
    kube.advance(SETTLED)
    set_image(kube, NEW)
    assert sizes(kube) == [3, 2]
    for _ in range(100):
        pods = live_pods(kube)
        assert len(pods) <= 5
        assert sum(map(is_ready, pods)) >= 3
        kube.advance(0.5)
    assert sizes(kube) == [0, 4]


def test_unhealthy_old_pods_go_first(kube: Kube) -> None:
    deploy(kube, replicas=4)
    kube.advance(SETTLED)
    set_image(kube, "registry.invalid/web:2")
    kube.advance(SETTLED)
    assert sizes(kube) == [3, 2]
    set_image(kube, NEW)
    kube.advance(SETTLED)
    assert sizes(kube) == [0, 0, 4]


def test_recreate_stops_all_old_pods_before_it_starts_new_ones(kube: Kube) -> None:
    deploy(kube, strategy={"type": "Recreate"})
    kube.advance(SETTLED)
    set_image(kube, NEW)
    seen = set()
    for _ in range(200):
        running = kube.get("/api/v1/namespaces/default/pods")["items"]
        seen.add(tuple(sorted(set(images(running)))))
        kube.advance(0.5)
    assert seen == {(OLD,), (), (NEW,)} or seen == {(OLD,), (NEW,)}
    assert images(live_pods(kube)) == [NEW] * 3


def test_going_back_to_an_old_template_raises_its_revision(kube: Kube) -> None:
    deploy(kube)
    kube.advance(SETTLED)
    set_image(kube, NEW)
    kube.advance(SETTLED)
    set_image(kube, OLD)
    kube.advance(SETTLED)
    second, third = replica_sets(kube)
    assert (revision(second), revision(third)) == ("2", "3")
    assert third["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert revision(kube.get(WEB)) == "3"
    assert images(live_pods(kube)) == [OLD] * 3


def test_only_so_much_history_is_kept(kube: Kube) -> None:
    deploy(kube, replicas=1, revisionHistoryLimit=1)
    kube.advance(SETTLED)
    for version in ("1.5", "1.6", "1.7"):
        set_image(kube, f"registry.acme.io/web:{version}")
        kube.advance(SETTLED)
    assert [revision(each) for each in replica_sets(kube)] == ["3", "4"]


def test_a_paused_deployment_scales_but_does_not_roll_out(kube: Kube) -> None:
    deploy(kube, replicas=2)
    kube.advance(SETTLED)
    kube.merge(WEB, {"spec": {"paused": True}})
    set_image(kube, NEW)
    scale(kube, 3)
    kube.advance(SETTLED)
    assert images(live_pods(kube)) == [OLD] * 3
    assert condition(kube.get(WEB), "Progressing")["reason"] == "DeploymentPaused"
    kube.merge(WEB, {"spec": {"paused": False}})
    kube.advance(SETTLED)
    assert images(live_pods(kube)) == [NEW] * 3


def test_scaling_amid_a_rollout_is_shared_out_in_proportion(kube: Kube) -> None:
    deploy(kube, replicas=8, strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}})
    kube.advance(SETTLED)
    set_image(kube, "registry.invalid/web:2")
    kube.advance(SETTLED)
    assert sizes(kube) == [8, 2]
    scale(kube, 18)
    assert sizes(kube) == [16, 4]


def test_a_rollout_that_gets_nowhere_is_reported_after_its_deadline(kube: Kube) -> None:
    deploy(kube, progressDeadlineSeconds=60)
    kube.advance(SETTLED)
    set_image(kube, "registry.invalid/web:2")
    kube.advance(30)
    assert condition(kube.get(WEB), "Progressing")["status"] == "True"
    kube.advance(60)
    late = condition(kube.get(WEB), "Progressing")
    assert (late["status"], late["reason"]) == ("False", "ProgressDeadlineExceeded")
    newest = replica_sets(kube)[-1]["metadata"]["name"]
    assert late["message"] == f'ReplicaSet "{newest}" has timed out progressing.'


def test_pods_count_as_available_only_after_min_ready_seconds(kube: Kube) -> None:
    deploy(kube, minReadySeconds=30)
    kube.advance(20)
    assert kube.get(WEB)["status"]["readyReplicas"] == 3
    assert "availableReplicas" not in kube.get(WEB)["status"]
    kube.advance(30)
    assert kube.get(WEB)["status"]["availableReplicas"] == 3


def test_the_deployment_says_when_pods_are_refused(kube: Kube) -> None:
    kube.create("/api/v1/namespaces/default/resourcequotas", quota(pods="2"))
    deploy(kube)
    kube.advance(SETTLED)
    assert len(live_pods(kube)) == 2
    failure = condition(kube.get(WEB), "ReplicaFailure")
    assert failure["reason"] == "FailedCreate"
    assert "exceeded quota: compute, requested: pods=1, used: pods=2, limited: pods=2" in failure["message"]
    scale(kube, 2)
    assert all(each["type"] != "ReplicaFailure" for each in kube.get(WEB)["status"]["conditions"])


def test_a_deleted_replica_set_is_made_again(kube: Kube) -> None:
    deploy(kube)
    (before,) = replica_sets(kube)
    kube.delete(f"{REPLICA_SETS}/{before['metadata']['name']}")
    (after,) = replica_sets(kube)
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert len(live_pods(kube)) == 3


def test_annotations_of_the_deployment_reach_its_replica_sets(kube: Kube) -> None:
    manifest = deployment("web", 1)
    manifest["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "first release",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    kube.create(DEPLOYMENTS, manifest)
    (replica_set,) = replica_sets(kube)
    assert replica_set["metadata"]["annotations"] == {
        "kubernetes.io/change-cause": "first release",
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "1",
        "deployment.kubernetes.io/max-replicas": "2",
    }


def test_a_name_that_is_taken_leads_to_another_hash(kube: Kube) -> None:
    deploy(kube, replicas=1)
    (first,) = names(replica_sets(kube))
    kube.delete(WEB)
    kube.create(REPLICA_SETS, {**workload("ReplicaSet", "other", replicas=0), "metadata": {"name": first}})
    deploy(kube, replicas=1)
    kube.advance(1)
    assert kube.get(WEB)["status"]["collisionCount"] == 1
    (second,) = [name for name in names(kube.get(REPLICA_SETS)["items"]) if name != first]
    assert second.startswith("web-")
    assert len(live_pods(kube, app="web")) == 1


def test_a_replica_set_that_is_refused_is_reported_and_tried_again(kube: Kube) -> None:
    quotas = "/api/v1/namespaces/default/resourcequotas"
    kube.create(quotas, {**quota("none"), "spec": {"hard": {"count/replicasets.apps": "0"}}})
    deploy(kube)
    progressing = condition(kube.get(WEB), "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
    assert "exceeded quota: none" in progressing["message"]
    kube.delete(f"{quotas}/none")
    kube.advance(1)
    assert len(live_pods(kube)) == 3
