"""Putting a scenario's objects into a cluster of any kind, and what keeps them from working."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.manifests import path
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject
    from pytest_selfrep.scenarios.model import Body

CREDENTIAL_SECONDS = 30 * 24 * 3600


def create(admin: KubeClient, objects: Iterable[KubeObject]) -> None:
    """Make objects, in their order. ClusterError names the one that is refused."""
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


def is_ready(admin: KubeClient, agent: Body) -> bool:
    """Whether all replicas of the agent's Deployment are."""
    deployment = admin.get(path_of("apps", "v1", "deployments", agent.namespace, agent.name))
    ready: int = deployment.get("status", {}).get("readyReplicas", 0)
    return ready >= agent.replicas


def not_ready(admin: KubeClient, agent: Body, seconds: float) -> ClusterError:
    """Why the agent's Deployment did not become Ready in time."""
    return ClusterError(
        f"Deployment {agent.name} in namespace {agent.namespace} was not Ready within "
        f"{seconds:.0f} seconds of the cluster's time: {_reasons(admin, agent)}; "
        "correct world.agent, the nodes or the quota in the scenario"
    )


def token(admin: KubeClient, account: tuple[str, str]) -> str:
    """A credential of a ServiceAccount, given by namespace and name."""
    answer = admin.create(
        path_of("", "v1", "serviceaccounts", *account, "token"),
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": CREDENTIAL_SECONDS},
        },
    )
    issued: str = answer["status"]["token"]
    return issued


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
