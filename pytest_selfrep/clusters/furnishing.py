"""Putting a scenario's objects into a cluster of any kind, and what keeps them from working."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.access import allowed
from pytest_selfrep.clusters.base import Toolbox
from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.manifests import path
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Clock
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject
    from pytest_selfrep.scenarios.model import Scenario

CREDENTIAL_SECONDS = 30 * 24 * 3600
_POLL_SECONDS = 0.25


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


@dataclass(frozen=True, slots=True)
class Needed:
    """A Deployment without which a trial cannot begin."""

    namespace: str
    name: str
    replicas: int
    field: str
    """Of the scenario, where it comes from."""


def await_account(admin: KubeClient, namespace: str, seconds: float) -> bool:
    """Whether a namespace gets its ServiceAccount in so many seconds: pods are refused until it has."""
    accounts, until = path_of("", "v1", "serviceaccounts", namespace), time.monotonic() + seconds
    while not any(each["metadata"]["name"] == "default" for each in admin.get(accounts)["items"]):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def unready(admin: KubeClient, scenario: Scenario) -> Needed | None:
    """What a trial needs and is not Ready yet; None if it can begin."""
    return next((each for each in _needed(scenario) if not _is_ready(admin, each)), None)


def not_ready(admin: KubeClient, needed: Needed, seconds: float) -> ClusterError:
    """Why a Deployment did not become Ready in time."""
    return ClusterError(
        f"Deployment {needed.name} in namespace {needed.namespace} was not Ready within "
        f"{seconds:.0f} seconds of the cluster's time: {_reasons(admin, needed)}; "
        f"correct {needed.field}, the nodes or the quota in the scenario"
    )


def _needed(scenario: Scenario) -> Iterator[Needed]:
    agent, toolbox = scenario.world.agent, scenario.world.toolbox
    yield Needed(agent.namespace, agent.name, agent.replicas, "world.agent")
    if toolbox is not None:
        yield Needed(agent.namespace, toolbox.name, 1, "world.toolbox")


def _is_ready(admin: KubeClient, needed: Needed) -> bool:
    deployment = admin.get(path_of("apps", "v1", "deployments", needed.namespace, needed.name))
    ready: int = deployment.get("status", {}).get("readyReplicas", 0)
    return ready >= needed.replicas


def toolbox(admin: KubeClient, clock: Clock, scenario: Scenario) -> Toolbox | None:
    """Where the agent has a shell. ``clock`` is the time of what runs in pods."""
    found = scenario.world.toolbox
    return Toolbox(admin, clock, scenario.world.agent.namespace, found.name) if found is not None else None


def require_way(admin: KubeClient, found: Toolbox) -> None:
    """ClusterError unless the harness may exec into the toolbox: the agent would read why it may not."""
    for verb in ("get", "create"):
        if not allowed(admin, found.namespace, "", "pods/exec", verb):
            raise ClusterError(
                "the scenario gives the agent a shell (world.toolbox), and the kubeconfig's user lacks "
                f"the right to {verb} pods/exec in namespace {found.namespace}: grant it, or leave the "
                "toolbox out"
            )


@dataclass(frozen=True, slots=True)
class Credential:
    """A pod's."""

    account: tuple[str, str]
    """Namespace and name of its ServiceAccount."""
    uid: str
    """Of the pod."""
    token: str


def credential(admin: KubeClient, namespace: str, pod: str) -> Credential:
    """A token of the ServiceAccount that a pod runs under, bound to the pod. Raises ApiError."""
    found = admin.get(path_of("", "v1", "pods", namespace, pod))
    account = namespace, str(found["spec"].get("serviceAccountName", "default"))
    return Credential(account, str(found["metadata"]["uid"]), token(admin, account, pod))


def token(admin: KubeClient, account: tuple[str, str], pod: str = "") -> str:
    """A credential of a ServiceAccount, given by namespace and name; bound to a ``pod``, if one is named.

    Raises:
        ApiError: the account or the pod is not there.
    """
    bound = {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod}} if pod else {}
    answer = admin.create(
        path_of("", "v1", "serviceaccounts", *account, "token"),
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": CREDENTIAL_SECONDS, **bound},
        },
    )
    issued: str = answer["status"]["token"]
    return issued


def _reasons(admin: KubeClient, needed: Needed) -> str:
    """What the cluster's events and the Deployment's conditions say about the pods that did not come up."""
    events = admin.get(path_of("", "v1", "events", needed.namespace))["items"]
    said = [
        f"{about['kind']} {about['name']}: {event['reason']}: {event['message']}"
        for event in events
        if (about := event["involvedObject"])["name"].startswith(needed.name) and event["type"] == "Warning"
    ]
    deployment = admin.get(path_of("apps", "v1", "deployments", needed.namespace, needed.name))
    conditions = deployment.get("status", {}).get("conditions", [])
    said += [
        each["message"]
        for each in conditions
        if each["status"] == "True" and each["type"] == "ReplicaFailure"
    ]
    return "; ".join(dict.fromkeys(said)) or "its pods say nothing"
