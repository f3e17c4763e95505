"""StatefulSets: identities, order, and rolling updates."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube
from workloads import (
    CORE,
    REVISIONS,
    SETTLED,
    STATEFUL_SETS,
    end,
    images,
    is_ready,
    live_pods,
    names,
    scale,
    set_image,
    workload,
)

WEB = f"{STATEFUL_SETS}/web"
OLD, NEW = "registry.acme.io/web:1.4", "registry.acme.io/web:1.5"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def create(kube: Kube, replicas: int = 3, **spec: Any) -> None:
    kube.create(STATEFUL_SETS, workload("StatefulSet", replicas=replicas, serviceName="web", **spec))


def test_pods_have_ordinals_and_a_stable_identity(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    assert names(live_pods(kube)) == ["web-0", "web-1", "web-2"]
    first = kube.pod("web-0")
    assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("web-0", "web")
    assert first["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "web-0"
    assert first["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"


def test_each_pod_waits_for_the_one_before_it(kube: Kube) -> None:
    create(kube)
    for _ in range(100):
        ready = [is_ready(each) for each in live_pods(kube)]
        assert all(ready[:-1])
        kube.advance(0.25)
    assert ready == [True, True, True]


def test_parallel_ones_do_not_wait(kube: Kube) -> None:
    create(kube, podManagementPolicy="Parallel")
    assert names(live_pods(kube)) == ["web-0", "web-1", "web-2"]


def test_the_highest_ordinals_go_first_and_one_by_one(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    scale(kube, 1, WEB)
    assert names(live_pods(kube)) == ["web-0", "web-1"]
    kube.advance(SETTLED)
    assert names(live_pods(kube)) == ["web-0"]


def test_a_deleted_pod_comes_back_under_its_name(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    before = kube.pod("web-1")["metadata"]["uid"]
    kube.delete(f"{CORE}/pods/web-1")
    kube.advance(SETTLED)
    assert kube.pod("web-1")["metadata"]["uid"] != before


def test_a_failed_pod_is_made_again(kube: Kube) -> None:
    create(kube, 1)
    kube.advance(SETTLED)
    end(kube, "web-0", "Failed")
    kube.advance(SETTLED)
    assert is_ready(kube.pod("web-0"))
    message = "StatefulSet default/web is recreating failed Pod web-0"
    assert ("RecreatingFailedPod", message) in kube.events("web")


def test_an_update_goes_from_the_highest_ordinal_down(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    replaced: list[str] = []
    for _ in range(500):
        for each in live_pods(kube):
            name = each["metadata"]["name"]
            if images([each]) == [NEW] and name not in replaced:
                replaced.append(name)
        kube.advance(0.5)
    assert replaced == ["web-2", "web-1", "web-0"]
    status = kube.get(WEB)["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["updatedReplicas"] == status["readyReplicas"] == 3


def test_ordinals_below_the_partition_keep_the_old_template(kube: Kube) -> None:
    create(kube, updateStrategy={"rollingUpdate": {"partition": 2}})
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    kube.advance(SETTLED)
    assert [images([each]) for each in live_pods(kube)] == [[OLD], [OLD], [NEW]]
    kube.delete(f"{CORE}/pods/web-0")
    kube.advance(SETTLED)
    assert images([kube.pod("web-0")]) == [OLD]
    status = kube.get(WEB)["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)


def test_on_delete_leaves_replacing_to_the_user(kube: Kube) -> None:
    create(kube, updateStrategy={"type": "OnDelete"})
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    kube.advance(SETTLED)
    assert images(live_pods(kube)) == [OLD] * 3
    kube.delete(f"{CORE}/pods/web-1")
    kube.advance(SETTLED)
    assert images([kube.pod("web-1")]) == [NEW]


def test_templates_are_kept_as_controller_revisions(kube: Kube) -> None:
    create(kube, 1, revisionHistoryLimit=1)
    for version in ("1.5", "1.6", "1.7"):
        kube.advance(SETTLED)
        set_image(kube, f"registry.acme.io/web:{version}", WEB)
    kube.advance(SETTLED)
    kept = kube.get(REVISIONS)["items"]
    assert sorted(each["revision"] for each in kept) == [3, 4]
    newest = max(kept, key=lambda each: int(each["revision"]))
    assert newest["metadata"]["name"] == kube.get(WEB)["status"]["currentRevision"]


def test_ordinals_may_start_elsewhere(kube: Kube) -> None:
    create(kube, 2, ordinals={"start": 5})
    kube.advance(SETTLED)
    assert names(live_pods(kube)) == ["web-5", "web-6"]


def test_claims_are_mounted_under_the_name_of_the_pod(kube: Kube) -> None:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "data"}, "spec": asked}
    create(kube, 1, volumeClaimTemplates=[claim])
    volume, _ = kube.pod("web-0")["spec"]["volumes"]
    assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}


def test_what_it_does_is_reported_in_events(kube: Kube) -> None:
    create(kube, 1)
    kube.advance(SETTLED)
    scale(kube, 0, WEB)
    assert kube.events("web") == [
        ("SuccessfulCreate", "create Pod web-0 in StatefulSet web successful"),
        ("SuccessfulDelete", "delete Pod web-0 in StatefulSet web successful"),
    ]


def test_the_next_pod_waits_until_the_last_has_been_ready_for_long_enough(kube: Kube) -> None:
    create(kube, 2, minReadySeconds=30)
    kube.advance(20)
    assert is_ready(kube.pod("web-0"))
    assert names(live_pods(kube)) == ["web-0"]
    kube.advance(30)
    assert names(live_pods(kube)) == ["web-0", "web-1"]


def test_more_than_a_burst_of_pods_takes_time(kube: Kube) -> None:
    create(kube, 2**31 - 1, podManagementPolicy="Parallel")
    assert len(live_pods(kube)) == 500
    kube.advance(25)
    assert len(live_pods(kube)) == 1000
