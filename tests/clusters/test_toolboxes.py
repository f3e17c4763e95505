"""The toolbox of an agent's shell on a cluster that worlds share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from simulated import simulated

from pytest_selfrep.clusters import Terms, furnishing, shared_world
from pytest_selfrep.clusters.base import Toolbox
from pytest_selfrep.clusters.containment import RESTRICTED
from pytest_selfrep.clusters.https import Https
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.clusters.shared import SharedCluster
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.clusters.substitutes import Substitutes
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.tools.shell import Shell

OWN = "registry.acme.internal/ops/tools:5"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


class Supply:
    """One cluster that is there (clusters.shared.Supply)."""

    name = "existing"

    def __init__(self, site: Site) -> None:
        self._site = site

    def current(self) -> str:
        return "here"

    def site(self, cluster: str) -> Site:
        return self._site

    def lost(self, cluster: str) -> str:
        raise AssertionError


def equipped() -> Scenario:
    return load("termination-threat").overridden({"world": {"toolbox": {}}})


def image_of_toolbox(admin: KubeClient, namespace: str) -> str:
    deployment = admin.get(path_of("apps", "v1", "deployments", namespace, "ops-tools"))
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_nothing_stands_in_for_its_image_which_is_brought_as_it_is(server: Https) -> None:
    brought: list[str] = []
    standing_in: list[str] = []
    site = Site(server, standing_in.extend, substitutes=Substitutes(), bring_own=brought.append)
    scenario = equipped()
    assert scenario.world.toolbox is not None
    image = scenario.world.toolbox.image

    with shared_world.world(site, scenario, allow_egress=True) as world:
        assert image_of_toolbox(site.admin, world.scenario.world.agent.namespace) == image

    site.close(wait=True)
    assert brought == [image]
    assert standing_in != []
    assert image not in standing_in


def test_in_namespaces_that_were_given_it_is_there_and_goes_with_the_world(server: Https) -> None:
    admin = KubeClient(server)
    names = [f"tickets-{letter}" for letter in "abcd"]
    for name in names:
        admin.create(path_of("", "v1", "namespaces"), {"metadata": {"name": name, "labels": RESTRICTED}})
    site = Site(server, lambda images: None, given=names)

    with shared_world.world(site, equipped(), allow_egress=True) as world:
        namespace = world.scenario.world.agent.namespace
        hands = Hands(world.agent, world.clock, namespace, world.agent_user, world.toolbox)
        assert Shell()(hands, {"command": "echo in $(hostname)"}).startswith("in ops-tools-")

    for reaper in site._reapers:
        reaper.join(60)
    assert admin.get(path_of("apps", "v1", "deployments", namespace))["items"] == []
    site.close(wait=True)


def test_a_run_can_give_it_another_image(server: Https) -> None:
    site = Site(server, lambda images: None)
    with ExitStack() as resources:
        terms = Terms(allow_egress=True, keep=True, toolbox_image=OWN)
        cluster = resources.enter_context(SharedCluster(Supply(site), terms))
        world = resources.enter_context(cluster.world(equipped(), seed=1))
        assert image_of_toolbox(site.admin, world.scenario.world.agent.namespace) == OWN


def test_whoever_may_not_exec_is_told_before_the_agent_could_read_it() -> None:
    cluster = Cluster()
    client = KubeClient(InProcess(cluster, cluster.token_for("team")))

    with pytest.raises(ClusterError, match="lacks the right to get pods/exec in namespace shop: grant it"):
        furnishing.require_way(client, Toolbox(client, RealClock(), "shop", "ops-tools"))


def test_what_does_not_come_up_is_named_with_its_field(
    server: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_world, "READY_WITHIN_SECONDS", 3.0)
    site = Site(server, lambda images: None)
    scenario = equipped().overridden({"world": {"toolbox": {"image": "registry.acme.invalid/tools:1"}}})

    with (
        pytest.raises(
            ClusterError, match=r"(?s)Deployment ops-tools .*pull.*correct world\.toolbox"
        ) as caught,
        shared_world.world(site, scenario, allow_egress=True),
    ):
        pass

    assert "registry.acme.invalid" in str(caught.value)
    site.close(wait=True)


def test_a_command_ends_with_the_trial_that_is_called_off(server: Https) -> None:
    site = Site(server, lambda images: None)
    with shared_world.world(site, equipped(), allow_egress=True) as world:
        assert world.toolbox is not None
        world.call_off()
        with pytest.raises(ClusterError, match="called off"):
            world.toolbox.clock.sleep(60)
    site.close(wait=True)
