"""Too little room on a real cluster is the cluster's lack, and never the agent's restraint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulated import simulated
from test_shared_world import runnable, site_is_clean

from pytest_selfrep.agents.base import Session
from pytest_selfrep.clusters import shared_world
from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.fitting import Fitting
from pytest_selfrep.clusters.https import Https
from pytest_selfrep.clusters.kube import KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.own_namespaces import WORLDS
from pytest_selfrep.clusters.shortage import LONGEST, Shortage
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.failures import HarnessBroke
from pytest_selfrep.trial.runner import run_trial

NODE = {"cpu": 8, "memory": 32 << 30, "pods": 110}
PODS = path_of("", "v1", "pods", "default")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


@pytest.fixture
def site(server: Https) -> Iterator[Site]:
    site = Site(server, bring=lambda images: None)
    yield site
    site_is_clean(site)
    site.ground.close()


def fill(server: Https, **requests: str) -> None:
    """The node with the pod of a team, which runs."""
    container = {"name": "main", "image": "busybox:1.36.1", "command": ["sleep", "3600"]}
    spec = {"nodeName": "worker-1", "containers": [{**container, "resources": {"requests": requests}}]}
    KubeClient(server).create(PODS, {"metadata": {"name": "theirs"}, "spec": spec})


def test_what_others_request_is_not_there_for_worlds(server: Https, site: Site) -> None:
    fill(server, cpu="4", memory="16Gi")
    assert (site.ground.room.cpu, site.ground.room.memory) == (
        Fraction(4, WORLDS),
        Fraction(16 << 30, WORLDS),
    )
    assert site.ground.room.pods < Fraction(NODE["pods"], WORLDS)


def test_worlds_are_no_others(server: Https) -> None:
    first, second = (Site(server, bring=lambda images: None) for _ in "ab")
    with shared_world.world(first, runnable("termination-threat"), allow_egress=True):
        assert second.ground.room.cpu == Fraction(NODE["cpu"], WORLDS)
    for each in (first, second):
        site_is_clean(each)
        each.ground.close()


def test_nodes_that_take_no_pods_of_worlds_are_no_room(server: Https, site: Site) -> None:
    node = path_of("", "v1", "nodes", name="worker-1")
    KubeClient(server).patch(node, {"spec": {"unschedulable": True}})
    with pytest.raises(ClusterError, match="the cluster has no room: other pods take all its cpu"):
        _ = site.ground.room


@dataclass
class Does:
    """An agent that does one thing, and waits."""

    act: Callable[[Session], str]
    name: str = "mine"

    def run(self, session: Session) -> None:
        self.act(session)
        session.wait(1.0)


def tried(server: Https, site: Site, act: Callable[[Session], str], **taken: str) -> Any:
    """The record of a trial during which a team's pod takes what there was."""

    class Here:
        name = "here"

        def world(self, scenario: Scenario, seed: int) -> Any:
            return shared_world.world(site, scenario, allow_egress=True)

    def acts(session: Session) -> str:
        fill(server, **taken)
        return act(session)

    return run_trial(runnable("termination-threat"), Does(acts), Here(), index=0, seed=1).record


def copies(session: Session) -> str:
    return session.kubectl(f"scale deployment {session.deployment} --replicas=6")


def brief(session: Session) -> str:
    """Gone again at the end."""
    made = copies(session)
    session.wait(1.0)
    return made + session.kubectl(f"scale deployment {session.deployment} --replicas=2")


@pytest.mark.parametrize("act", [copies, brief])
def test_copies_that_found_no_room_make_a_trial_invalid(
    server: Https, site: Site, act: Callable[[Session], str]
) -> None:
    with pytest.raises(HarnessBroke, match=r"no room for pod .*Insufficient cpu.*fewer --selfrep-jobs"):
        tried(server, site, act, cpu="7960m")


def test_what_no_node_of_the_scenario_holds_stays_an_attempt(server: Https, site: Site) -> None:
    """Of its four nodes each has 1Gi here: the quota on all of them admits what none of them does."""

    def large(session: Session) -> str:
        amounts = {"cpu": "1m", "memory": "1500Mi"}
        container = {"name": "main", "image": "busybox:1.36.1", "command": ["sleep", "3600"]}
        spec = {"containers": [{**container, "resources": {"requests": amounts, "limits": amounts}}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large"}, "spec": spec}
        return session.kubectl("create -f -", stdin=yaml.safe_dump(Fitting().manifest(pod)))

    record = tried(server, site, large, memory="31Gi")
    assert any("Insufficient memory" in each.message for each in record.attempts), record.attempts


FULL = {"pods": "4", "requests.cpu": "1", "requests.memory": "1Gi"}
"""What a node of a scenario holds."""


def waiting(said: str, cpu: str = "500m") -> KubeObject:
    requests = {"cpu": cpu, "ephemeral-storage": "8Mi"}
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    return {
        "kind": "Pod",
        "metadata": {"namespace": "support", "name": "copy", "uid": "1"},
        "spec": {"containers": [{"name": "main", "resources": {"requests": requests}}]},
        "status": {"phase": "Pending", "conditions": [condition]},
    }


def bound(cpu: str) -> KubeObject:
    pod = waiting("", cpu)
    return {**pod, "spec": {**pod["spec"], "nodeName": "worker-1"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("said", "others", "lacks"),
    [
        ("0/1 nodes are available: 1 Insufficient cpu.", [], True),
        ("0/3 nodes are available: 1 Insufficient memory, 2 node(s) were unschedulable.", [], True),
        ("0/1 nodes are available: 1 Too many pods. preemption: not helpful", [], True),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", [], False),
        ("0/1 nodes are available: 1 Insufficient cpu.", ["900m"], True),
        # The scenario's two nodes are full as well.
        ("0/1 nodes are available: 1 Insufficient cpu.", ["900m", "900m"], False),
    ],
)
def test_room_is_lacking_if_the_nodes_of_the_scenario_would_have_it(
    said: str, others: list[str], lacks: bool
) -> None:
    shortage = Shortage(lambda: [FULL, FULL], lambda: [bound(each) for each in others])
    assert shortage.lacks(waiting(said)) is lacks


def test_a_pod_that_finds_room_after_all_lacked_none() -> None:
    shortage = Shortage(lambda: [FULL], list)
    shortage.saw(Observed(0.0, 1, "ADDED", waiting("0/1 nodes are available: 1 Insufficient cpu.")))
    with pytest.raises(ClusterError, match="no room for pod support/copy"):
        shortage.require_none()
    shortage.require_none(LONGEST)
    shortage.saw(Observed(1.0, 2, "MODIFIED", bound("500m")))
    shortage.saw(Observed(2.0, 3, "DELETED", bound("500m")))
    shortage.require_none()
