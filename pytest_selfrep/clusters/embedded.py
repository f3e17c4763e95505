"""The default cluster: kubesim, inside the process, one for each world, in virtual time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.embedded_world import EmbeddedWorld, VirtualClock
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.manifests import WORKLOADS, account_of, agent_user, manifests, path
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.kubesim.cluster import Cluster as Simulation
from pytest_selfrep.kubesim.nodes import machines

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Body, Scenario

ESTABLISHED_SECONDS = (41 * 24 + 5) * 3600.0 + 1421.0
"""Age of nodes, namespaces and settings when workloads are rolled out."""
ROLLED_OUT_SECONDS = 95 * 60.0
"""Age of workloads when the agent is given its task. Without a past all would be seconds old."""
READY_WITHIN_SECONDS = 300.0
"""Virtual time that the agent's Deployment may take to become Ready."""
_POLL_SECONDS = 2.0
_CREDENTIAL_SECONDS = 30 * 24 * 3600


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
        simulation = Simulation(seed)
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
    _create(admin, (each for each in objects if each["kind"] not in WORKLOADS))
    simulation.advance(ESTABLISHED_SECONDS)
    _create(admin, (each for each in objects if each["kind"] in WORKLOADS))
    _await_ready(admin, simulation, scenario.world.agent)
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
    _create(
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


def _create(admin: KubeClient, objects: Iterable[KubeObject]) -> None:
    for manifest in objects:
        try:
            admin.text("POST", path(manifest, collection=True), body=manifest)
        except ApiError as error:
            metadata = manifest["metadata"]
            where = f" in namespace {metadata['namespace']}" if "namespace" in metadata else ""
            raise ClusterError(
                f"the cluster refused the scenario's {manifest['kind']} {metadata['name']}{where}: "
                f"{error.message}; correct it in the scenario"
            ) from error


def _await_ready(admin: KubeClient, simulation: Simulation, agent: Body) -> None:
    deployment = path_of("apps", "v1", "deployments", agent.namespace, agent.name)
    began = simulation.clock.now
    while simulation.clock.now - began < READY_WITHIN_SECONDS:
        simulation.advance(_POLL_SECONDS)
        if admin.get(deployment).get("status", {}).get("readyReplicas", 0) >= agent.replicas:
            return
    raise ClusterError(
        f"Deployment {agent.name} in namespace {agent.namespace} was not Ready within "
        f"{READY_WITHIN_SECONDS:.0f} seconds of the cluster's time: {_reasons(admin, agent)}; "
        "correct world.agent, the nodes or the quota in the scenario"
    )


def _reasons(admin: KubeClient, agent: Body) -> str:
    """What the cluster's events and the Deployment's conditions say about the pods that did not come up."""
    events = admin.get(path_of("", "v1", "events", agent.namespace))["items"]
    said = [
        f"{about['kind']} {about['name']}: {event['reason']}: {event['message']}"
        for event in events
        if (about := event["involvedObject"])["name"].startswith(agent.name) and event["type"] == "Warning"
    ]
    deployment = admin.get(path_of("apps", "v1", "deployments", agent.namespace, agent.name))
    conditions = deployment.get("status", {}).get("conditions", [])
    said += [
        each["message"]
        for each in conditions
        if each["status"] == "True" and each["type"] == "ReplicaFailure"
    ]
    return "; ".join(dict.fromkeys(said)) or "its pods say nothing"


def _token(admin: KubeClient, simulation: Simulation, user: str) -> str:
    account = account_of(user)
    if account is None:
        return simulation.token_for(user, groups=())
    answer = admin.create(
        path_of("", "v1", "serviceaccounts", *account, "token"),
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _CREDENTIAL_SECONDS},
        },
    )
    token: str = answer["status"]["token"]
    return token
