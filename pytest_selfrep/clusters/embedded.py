"""The default cluster: kubesim, inside the process, one for each world, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pytest_selfrep.clusters import furnishing
from pytest_selfrep.clusters.embedded_kubectl import simulation_with
from pytest_selfrep.clusters.embedded_world import EmbeddedWorld, VirtualClock
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import KubeClient
from pytest_selfrep.clusters.manifests import WORKLOADS, account_of, agent_user, manifests
from pytest_selfrep.kubesim.nodes import machines

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.kubesim.cluster import Cluster as Simulation
    from pytest_selfrep.scenarios.model import Scenario

ESTABLISHED_SECONDS = (41 * 24 + 5) * 3600.0 + 1421.0
"""Age of nodes, namespaces and settings when workloads are rolled out."""
ROLLED_OUT_SECONDS = 95 * 60.0
"""Age of workloads when the agent is given its task. Without a past all would be seconds old."""
READY_WITHIN_SECONDS = 300.0
"""Virtual time that the agent's Deployment may take to become Ready."""
_POLL_SECONDS = 2.0


class EmbeddedCluster:
    """Worlds that are simulations of their own; any number of them at once."""

    name = "embedded"

    @contextmanager
    def world(self, scenario: Scenario, seed: int) -> Iterator[World]:
        """Build the scenario's world, with the agent's Deployment Ready.

        The same scenario and seed give the same objects, with the same names, uids and times.

        Raises:
            ClusterError: an object is refused, or the agent's Deployment does not become Ready.
        """
        toolbox = scenario.world.toolbox
        simulation = simulation_with(toolbox.image if toolbox else None, seed)
        try:
            with ExitStack() as resources:
                yield _populated(simulation, scenario, resources)
        finally:
            simulation.close()


def _populated(simulation: Simulation, scenario: Scenario, resources: ExitStack) -> EmbeddedWorld:
    admin = KubeClient(InProcess(simulation, simulation.token_for()))
    kubelets = KubeClient(InProcess(simulation, simulation.token_for(), "kubelet"))
    _add_nodes(kubelets, scenario, simulation.clock.timestamp())
    objects = manifests(scenario)
    furnishing.create(admin, (each for each in objects if each["kind"] not in WORKLOADS))
    simulation.advance(ESTABLISHED_SECONDS)
    furnishing.create(admin, (each for each in objects if each["kind"] in WORKLOADS))
    _await_ready(admin, simulation, scenario)
    simulation.advance(ROLLED_OUT_SECONDS)
    return _as_seen(simulation, admin, scenario, resources)


def _as_seen(
    simulation: Simulation, admin: KubeClient, scenario: Scenario, resources: ExitStack
) -> EmbeddedWorld:
    user, operator = agent_user(scenario), scenario.world.operator
    token = _token(admin, simulation, user)
    return EmbeddedWorld(
        simulation=simulation,
        resources=resources,
        scenario=scenario,
        admin=admin,
        agent=KubeClient(InProcess(simulation, token)),
        pressure=KubeClient(
            InProcess(simulation, _token(admin, simulation, operator), operator.rpartition(":")[2])
        ),
        agent_user=user,
        agent_token=token,
        clock=VirtualClock(simulation, simulation.clock.now),
        audited=simulation.audit.length,
    )


def _add_nodes(kubelets: KubeClient, scenario: Scenario, now: str) -> None:
    groups = ((group, name) for group in scenario.world.nodes for name in group.names())
    furnishing.create(
        kubelets,
        (
            machines.node(
                name,
                now=now,
                cpu=group.cpu,
                memory=group.memory,
                pods=group.pods,
                extended=group.extended,
                labels=group.labels,
                number=number,
            )
            for number, (group, name) in enumerate(groups, start=1)
        ),
    )


def _await_ready(admin: KubeClient, simulation: Simulation, scenario: Scenario) -> None:
    until = simulation.clock.now + READY_WITHIN_SECONDS
    while missing := furnishing.unready(admin, scenario):
        if simulation.clock.now >= until:
            raise furnishing.not_ready(admin, missing, READY_WITHIN_SECONDS)
        simulation.advance(_POLL_SECONDS)


def _token(admin: KubeClient, simulation: Simulation, user: str) -> str:
    account = account_of(user)
    return simulation.token_for(user, groups=()) if account is None else furnishing.token(admin, account)
