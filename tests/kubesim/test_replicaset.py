"""ReplicaSets: how many pods, and which of them go."""

from __future__ import annotations

import pytest
from kube_driver import Kube, Object
from workloads import CORE, REPLICA_SETS, SETTLED, condition, live_pods, names, quota, scale, workload

WEB = f"{REPLICA_SETS}/web"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def create(kube: Kube, replicas: int = 3) -> None:
    kube.create(REPLICA_SETS, workload("ReplicaSet", replicas=replicas))


def by_age(kube: Kube) -> list[str]:
    pods: list[Object] = live_pods(kube)
    return names(sorted(pods, key=lambda each: each["metadata"]["creationTimestamp"]))


def test_deleted_pods_are_replaced_at_once(kube: Kube) -> None:
    create(kube)
    first = names(live_pods(kube))[0]
    kube.delete(f"{CORE}/pods/{first}")
    assert len(live_pods(kube)) == 3
    assert first not in names(live_pods(kube))


def test_failed_pods_are_replaced_and_left_to_be_looked_at(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    pod = live_pods(kube)[0]
    failed = {**pod, "status": {**pod["status"], "phase": "Failed"}}
    kube.replace(f"{CORE}/pods/{pod['metadata']['name']}/status", failed)
    assert len(live_pods(kube)) == 4
    assert kube.get(WEB)["status"]["replicas"] == 3


def test_creations_and_deletions_are_reported_in_events(kube: Kube) -> None:
    create(kube, 1)
    (name,) = names(live_pods(kube))
    scale(kube, 0, WEB)
    assert kube.events("web") == [
        ("SuccessfulCreate", f"Created pod: {name}"),
        ("SuccessfulDelete", f"Deleted pod: {name}"),
    ]


def test_the_youngest_pods_go_first(kube: Kube) -> None:
    create(kube, 3)
    kube.advance(SETTLED)
    scale(kube, 6, WEB)
    kube.advance(SETTLED)
    old = by_age(kube)[:3]
    scale(kube, 3, WEB)
    assert sorted(by_age(kube)) == sorted(old)


def test_pods_that_are_not_ready_go_before_those_that_are(kube: Kube) -> None:
    create(kube, 2)
    kube.advance(SETTLED)
    ready = names(live_pods(kube))
    scale(kube, 3, WEB)
    scale(kube, 2, WEB)
    assert names(live_pods(kube)) == ready


def test_pods_without_a_node_go_before_all_others(kube: Kube) -> None:
    create(kube, 2)
    (stuck, *_) = by_age(kube)
    kube.advance(SETTLED)
    orphan = workload("ReplicaSet", "big", replicas=1)
    orphan["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "none"}
    kube.create(REPLICA_SETS, orphan)
    (unbound,) = names(live_pods(kube, app="big"))
    kube.merge(f"{CORE}/pods/{unbound}", {"metadata": {"labels": {"app": "web"}, "ownerReferences": None}})
    assert unbound not in names(live_pods(kube, app="web"))
    assert stuck in names(live_pods(kube, app="web"))


def test_a_low_deletion_cost_marks_the_pod_to_go(kube: Kube) -> None:
    create(kube, 3)
    kube.advance(SETTLED)
    cheap = names(live_pods(kube))[1]
    annotations = {"controller.kubernetes.io/pod-deletion-cost": "-10"}
    kube.merge(f"{CORE}/pods/{cheap}", {"metadata": {"annotations": annotations}})
    scale(kube, 2, WEB)
    assert cheap not in names(live_pods(kube))


def test_the_node_with_most_pods_loses_one(kube: Kube) -> None:
    create(kube, 4)
    kube.advance(SETTLED)
    nodes = [each["spec"]["nodeName"] for each in live_pods(kube)]
    crowded = max(sorted(set(nodes)), key=nodes.count)
    assert nodes.count(crowded) == 2
    scale(kube, 3, WEB)
    left = sorted(each["spec"]["nodeName"] for each in live_pods(kube))
    assert left == ["worker-1", "worker-2", "worker-3"]


def test_matching_pods_without_an_owner_are_adopted(kube: Kube) -> None:
    stray = kube.add_pod("stray", labels={"app": "web"})
    create(kube, 3)
    adopted = kube.pod("stray")
    assert adopted["metadata"]["uid"] == stray["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert len(live_pods(kube)) == 3


def test_a_pod_whose_labels_match_no_longer_is_let_go_and_replaced(kube: Kube) -> None:
    create(kube, 2)
    first = names(live_pods(kube))[0]
    kube.merge(f"{CORE}/pods/{first}", {"metadata": {"labels": {"app": "quarantine"}}})
    assert "ownerReferences" not in kube.pod(first)["metadata"]
    assert len(live_pods(kube, app="web")) == 2


def test_a_refusal_is_reported_and_tried_again_ever_more_slowly(kube: Kube) -> None:
    quotas = f"{CORE}/resourcequotas"
    kube.create(quotas, quota(pods="1"))
    create(kube, 2)
    kube.advance(SETTLED)
    assert condition(kube.get(WEB), "ReplicaFailure")["reason"] == "FailedCreate"
    failures = [message for reason, message in kube.events("web") if reason == "FailedCreate"]
    assert 10 <= len(failures) <= 20
    assert failures[0].startswith('Error creating: pods "web-')
    assert failures[0].endswith(
        "is forbidden: exceeded quota: compute, requested: pods=1, used: pods=1, limited: pods=1"
    )
    kube.merge(f"{quotas}/compute", {"spec": {"hard": {"pods": "2"}}})
    kube.advance(2 * SETTLED)
    assert len(live_pods(kube)) == 2
    assert "conditions" not in kube.get(WEB)["status"]


def test_the_status_counts_replicas_by_readiness(kube: Kube) -> None:
    create(kube)
    assert kube.get(WEB)["status"] == {"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}
    kube.advance(SETTLED)
    assert kube.get(WEB)["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "observedGeneration": 1,
    }


def test_more_than_a_burst_of_pods_takes_time(kube: Kube) -> None:
    create(kube, 1200)
    assert len(live_pods(kube)) == 500
    kube.advance(24)
    assert len(live_pods(kube)) == 500
    kube.advance(2)
    assert len(live_pods(kube)) == 1000
    kube.advance(25)
    assert len(live_pods(kube)) == 1200


def test_the_greatest_number_of_replicas_does_no_harm(kube: Kube) -> None:
    create(kube, 2**31 - 1)
    scale(kube, 0, WEB)
    kube.advance(2 * SETTLED)
    assert live_pods(kube) == []
