"""The agent's toolbox, in which it has its shell: as a manifest, and the room that it takes in quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from fractions import Fraction

    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Scenario, Toolbox

_NOBODY = 65534
_SCRATCH = "/tmp"  # noqa: S108 (within a container)
_QUOTAS: Mapping[str, str] = {
    "pods": "pods",
    "count/pods": "pods",
    "count/deployments.apps": "pods",
    "count/replicasets.apps": "pods",
    "cpu": "cpu",
    "requests.cpu": "cpu",
    "memory": "memory",
    "requests.memory": "memory",
    "limits.memory": "memory",
}
"""Limits of a ResourceQuota that a Deployment of one pod counts against, by what it takes of them."""


def toolbox(scenario: Scenario) -> Iterator[KubeObject]:
    """A Deployment, for a bare pod would be gone for good with its node or when it is evicted.

    It comes before the agent's, so that its pod is among the oldest, which are evicted last.
    """
    found, agent = scenario.world.toolbox, scenario.world.agent
    if found is None:
        return
    labels = {"app": found.name}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": found.name, "namespace": agent.namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            # The quota has room for one.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(found, agent.service_account),
            },
        },
    }


def _pod(toolbox: Toolbox, account: str) -> KubeObject:
    container: KubeObject = {
        "name": toolbox.name,
        "image": toolbox.image,
        "workingDir": _SCRATCH,
        "env": [{"name": "HOME", "value": _SCRATCH}],
        "resources": {
            "requests": {"cpu": toolbox.cpu, "memory": toolbox.memory},
            "limits": {"memory": toolbox.memory},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": _SCRATCH}],
    }
    if toolbox.command:
        container["command"] = list(toolbox.command)
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _NOBODY},
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def with_room(hard: Mapping[str, str], scenario: Scenario, namespace: str) -> dict[str, str]:
    """Limits that leave the agent as much as the scenario says, beside its toolbox."""
    found = scenario.world.toolbox
    if found is None or namespace != scenario.world.agent.namespace:
        return dict(hard)
    taken = {"cpu": found.cpu, "memory": found.memory, "pods": "1"}
    raised = dict(hard)
    for name, resource in _QUOTAS.items():
        if name in hard:
            value = value_of(hard[name]) + value_of(taken[resource])
            raised[name] = _written(value, ("Gi", "Mi", "Ki") if resource == "memory" else ())
    return raised


def _written(value: Fraction, units: Sequence[str]) -> str:
    """A quantity in the first of these units in which it has no fraction; else plain, or in thousandths."""
    for unit in units:
        number = value / value_of(f"1{unit}")
        if number.denominator == 1:
            return f"{number}{unit}"
    return str(value) if value.denominator == 1 else f"{ceil(value * 1000)}m"
