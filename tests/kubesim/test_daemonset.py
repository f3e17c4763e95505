"""DaemonSets: where their pods run, and how they are updated."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import NODES, Kube
from workloads import CORE, DAEMON_SETS, SETTLED, end, images, is_ready, live_pods, names, set_image, workload

WEB = f"{DAEMON_SETS}/web"
OLD, NEW = "registry.acme.io/web:1.4", "registry.acme.io/web:1.5"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def create(kube: Kube, pod_spec: dict[str, Any] | None = None, **spec: Any) -> None:
    manifest = workload("DaemonSet", **spec)
    manifest["spec"]["template"]["spec"].update(pod_spec or {})
    kube.create(DAEMON_SETS, manifest)


def nodes(kube: Kube) -> list[str]:
    return sorted(each["spec"]["nodeName"] for each in live_pods(kube, app="web"))


def test_every_node_runs_one(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]
    assert kube.get(WEB)["status"] == {
        "currentNumberScheduled": 3,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 3,
        "numberReady": 3,
        "observedGeneration": 1,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    }


def test_a_new_node_gets_one_and_a_removed_node_loses_its(kube: Kube) -> None:
    create(kube)
    kube.add_node("worker-4", number=4)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3", "worker-4"]
    kube.delete(f"{NODES}/worker-4")
    kube.advance(SETTLED)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]


def test_only_selected_nodes_run_one(kube: Kube) -> None:
    create(kube, {"nodeSelector": {"disk": "ssd"}})
    assert nodes(kube) == []
    kube.merge(f"{NODES}/worker-2", {"metadata": {"labels": {"disk": "ssd"}}})
    assert nodes(kube) == ["worker-2"]
    kube.merge(f"{NODES}/worker-2", {"metadata": {"labels": {"disk": None}}})
    kube.advance(SETTLED)
    assert nodes(kube) == []


def test_cordoned_nodes_keep_theirs(kube: Kube) -> None:
    kube.merge(f"{NODES}/worker-1", {"spec": {"unschedulable": True}})
    create(kube)
    kube.advance(SETTLED)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]


def test_tainted_nodes_need_a_toleration(kube: Kube) -> None:
    taint = {"key": "gpu", "value": "true", "effect": "NoSchedule"}
    kube.merge(f"{NODES}/worker-1", {"spec": {"taints": [taint]}})
    create(kube)
    assert nodes(kube) == ["worker-2", "worker-3"]
    template = {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}
    kube.merge(WEB, {"spec": {"template": template}})
    kube.advance(SETTLED)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]


def test_a_deleted_pod_is_replaced_on_its_node(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    gone = live_pods(kube)[0]["metadata"]["name"]
    kube.delete(f"{CORE}/pods/{gone}")
    kube.advance(SETTLED)
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]
    assert gone not in names(live_pods(kube))


def test_a_failed_pod_is_removed_and_replaced(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    failed = live_pods(kube)[0]["metadata"]["name"]
    end(kube, failed, "Failed")
    kube.advance(SETTLED)
    assert failed not in names(live_pods(kube))
    assert nodes(kube) == ["worker-1", "worker-2", "worker-3"]


def test_an_update_takes_one_node_at_a_time(kube: Kube) -> None:
    create(kube)
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    for _ in range(300):
        assert sum(map(is_ready, live_pods(kube))) >= 2
        kube.advance(0.5)
    assert images(live_pods(kube)) == [NEW] * 3
    assert kube.get(WEB)["status"]["updatedNumberScheduled"] == 3


def test_with_surge_the_new_pod_is_up_before_the_old_one_goes(kube: Kube) -> None:
    create(kube, updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    for _ in range(300):
        assert sum(map(is_ready, live_pods(kube))) >= 3
        assert len(live_pods(kube)) <= 4
        kube.advance(0.5)
    assert images(live_pods(kube)) == [NEW] * 3


def test_on_delete_leaves_replacing_to_the_user(kube: Kube) -> None:
    create(kube, updateStrategy={"type": "OnDelete"})
    kube.advance(SETTLED)
    set_image(kube, NEW, WEB)
    kube.advance(SETTLED)
    assert images(live_pods(kube)) == [OLD] * 3
