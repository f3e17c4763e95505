"""kubectl cordon, uncordon, drain and taint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubectl_driver import Kubectl, Site
from kubectl_objects import budget, container, deployment, pod, workload


@pytest.fixture
def site() -> Iterator[Site]:
    """A cluster for each test: nodes are everybody's."""
    made = Site()
    yield made
    made.close()


def test_cordons(kubectl: Kubectl) -> None:
    assert kubectl("cordon worker-1") == "node/worker-1 cordoned\n"
    assert kubectl("cordon worker-1") == "node/worker-1 already cordoned\n"
    assert kubectl("get node worker-1 --no-headers").split()[1] == "Ready,SchedulingDisabled"
    assert (
        kubectl("uncordon worker-1 worker-2")
        == "node/worker-1 uncordoned\nnode/worker-2 already uncordoned\n"
    )
    assert kubectl("cordon -l kubernetes.io/hostname=worker-3 --dry-run=server") == (
        "node/worker-3 cordoned (server dry run)\n"
    )
    assert kubectl.fails("cordon none") == 'Error from server (NotFound): nodes "none" not found\n'


def test_taints(kubectl: Kubectl) -> None:
    assert kubectl("taint nodes worker-1 team=a:NoSchedule") == "node/worker-1 tainted\n"
    assert kubectl.fails("taint nodes worker-1 team=b:NoSchedule").endswith("--overwrite is false\n")
    assert kubectl("taint nodes worker-1 team=b:NoSchedule --overwrite") == "node/worker-1 modified\n"
    assert kubectl.json("get node worker-1")["spec"]["taints"] == [
        {"key": "team", "value": "b", "effect": "NoSchedule"}
    ]
    assert kubectl("taint nodes --all slow:PreferNoSchedule").count("tainted") == 3
    assert kubectl("taint nodes worker-1 team- slow:PreferNoSchedule-") == "node/worker-1 untainted\n"
    assert kubectl.fails("taint nodes worker-1 team-") == 'error: taint "team" not found\n'
    assert kubectl.fails("taint nodes worker-1 team=a:Never").startswith("error: invalid taint effect: Never")


def test_a_drain_refuses_what_it_would_lose(kubectl: Kubectl) -> None:
    scratch = pod("scratch", nodeName="worker-1", volumes=[{"name": "tmp", "emptyDir": {}}])
    scratch["spec"]["containers"] = [container("main", volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])]
    kubectl.site.make(
        kubectl.namespace, workload("DaemonSet", "agent"), pod("single", nodeName="worker-1"), scratch
    )
    kubectl.let_pass(20)
    refused = kubectl.run("drain worker-1")
    assert (refused.code, refused.out) == (1, "node/worker-1 cordoned\n")
    assert refused.err.startswith('error: unable to drain node "worker-1" due to error: [')
    for word in (
        "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ",
        "cannot delete Pods with local storage (use --delete-emptydir-data to override): ",
        "cannot delete Pods that declare no controller (use --force to override): ",
    ):
        assert word in refused.err
    done = kubectl.meanwhile("drain worker-1 --ignore-daemonsets --delete-emptydir-data --force", seconds=0.5)
    name = kubectl.namespace
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "node/worker-1 already cordoned"
    assert sorted(lines[1:3]) == [f"evicting pod {name}/scratch", f"evicting pod {name}/single"]
    assert sorted(lines[3:5]) == ["pod/scratch evicted", "pod/single evicted"]
    assert lines[5:] == ["node/worker-1 drained"]
    # kubectl tells its warnings in no order.
    warnings = done.err.removeprefix("Warning: ").rstrip("\n").split("; ")
    ignored, deleted = sorted(warnings, reverse=True)
    assert ignored.startswith(f"ignoring DaemonSet-managed Pods: {name}/agent-")
    assert deleted == f"deleting Pods that declare no controller: {name}/scratch, {name}/single"
    assert kubectl("get pods --field-selector spec.nodeName=worker-1 -o name").startswith("pod/agent-")


def test_a_drain_waits_for_disruption_budgets(kubectl: Kubectl) -> None:
    made = deployment("web", 1)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "worker-1"}
    kubectl.site.make(kubectl.namespace, made, budget("web", 1))
    kubectl.let_pass(20)
    done = kubectl.run("drain worker-1 --timeout=1s")
    assert done.code == 1
    assert "error when evicting pods" in done.err
    assert (
        "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget." in done.err
    )
    kubectl("delete pdb web")
    done = kubectl.meanwhile("drain worker-1", seconds=0.5)
    assert done.out.splitlines()[-1] == "node/worker-1 drained"


def test_a_drain_moves_replicas_elsewhere(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web", 3))
    kubectl.let_pass(20)
    kubectl.meanwhile("drain worker-1", seconds=0.5)
    kubectl.let_pass(30)
    nodes = kubectl("get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}'").split()
    assert (len(nodes), "worker-1" in nodes) == (3, False)
    assert kubectl("get deploy web --no-headers").split()[1] == "3/3"
