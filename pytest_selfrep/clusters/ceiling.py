"""What a world may take at the very most of a cluster that it shares, whatever its pods request.

It lies so far above what a trial comes to that no verdict depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.fitting import Fitting
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Scenario

_BYTES = 1024 * 1024
_USUAL: Mapping[str, str] = {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "1Gi"}
"""Limits of containers that set none, at the least."""
_REQUESTS: Mapping[str, str] = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "8Mi"}
_OUTSIDE = ("LoadBalancer", "NodePort")
"""Services that are reached from outside of the cluster."""
_SPARE = 16
"""Pods that an agent may start beside copies."""


def ceiling(scenario: Scenario, objects: Sequence[KubeObject]) -> dict[str, str]:
    """Of each namespace, as the ``hard`` of a ResourceQuota."""
    limits, pods = _limits(scenario, objects), 2 * scenario.copies_limit + _SPARE
    found = {}
    for name, usual in limits.items():
        own = sum(
            (replicas * _limit_of(container, name, usual) for replicas, container in _containers(objects)),
            Fraction(),
        )
        found[f"limits.{name}"] = _written(name, own + pods * usual)
    outside = [each for each in objects if each["kind"] == "Service" and each["spec"].get("type") in _OUTSIDE]
    return {
        **found,
        "requests.ephemeral-storage": found["limits.ephemeral-storage"],
        "persistentvolumeclaims": str(_claims(objects)),
        "services.loadbalancers": str(sum(each["spec"]["type"] == "LoadBalancer" for each in outside)),
        "services.nodeports": str(sum(len(each["spec"].get("ports") or ()) for each in outside)),
    }


def defaults(
    namespace: str, scenario: Scenario, objects: Sequence[KubeObject], fitting: Fitting
) -> KubeObject:
    """A LimitRange: limits and requests of containers that say none, for else a quota refuses them.

    Where the scenario has some of its own there it says the same, for nobody knows which is asked first.
    """
    usual = _limits(scenario, objects)
    default = {name: _written(name, amount) for name, amount in usual.items()}
    requests = {name: fitting.quantity(name, amount) for name, amount in _REQUESTS.items()}
    largest = dict(usual)
    for theirs in _ranges(namespace, objects):
        default.update({**(theirs.get("max") or {}), **(theirs.get("default") or {})})
        requests.update(theirs.get("defaultRequest") or {})
    for _, container in _containers(objects):
        for name in largest:
            largest[name] = max(largest[name], _limit_of(container, name, largest[name]))
    largest["memory"] = max(largest["memory"], *(value_of(each.memory) for each in scenario.world.nodes))
    most = {name: _written(name, max(largest[name], value_of(default[name]))) for name in largest}
    limits = {"type": "Container", "defaultRequest": requests, "default": default, "max": most}
    metadata = {"name": "platform-defaults", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [limits]}}


def _limits(scenario: Scenario, objects: Sequence[KubeObject]) -> dict[str, Fraction]:
    """Of containers that set none. Those that request more than that would be invalid."""
    found = {name: value_of(amount) for name, amount in _USUAL.items()}
    found["cpu"] = max(found["cpu"], *(value_of(each.cpu) for each in scenario.world.nodes))
    for _, container in _containers(objects):
        for name, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            if name in found:
                found[name] = max(found[name], value_of(str(amount)))
    found["memory"] = max(found["memory"], value_of(scenario.world.agent.memory))
    return found


def _limit_of(container: KubeObject, name: str, usual: Fraction) -> Fraction:
    limits = (container.get("resources") or {}).get("limits") or {}
    return value_of(str(limits[name])) if name in limits else usual


def _containers(objects: Sequence[KubeObject]) -> Iterator[tuple[int, KubeObject]]:
    """All that objects start, with how many pods have it."""
    for each in objects:
        spec = each.get("spec") or {}
        job = (spec.get("jobTemplate") or {}).get("spec") or spec
        pod = spec if each["kind"] == "Pod" else (job.get("template") or {}).get("spec") or {}
        replicas = int(spec.get("replicas") or job.get("parallelism") or 1)
        yield from ((replicas, container) for container in pod.get("containers") or ())


def _ranges(namespace: str, objects: Sequence[KubeObject]) -> Iterator[KubeObject]:
    for each in objects:
        if each["kind"] == "LimitRange" and each["metadata"].get("namespace") == namespace:
            yield from (limit for limit in each["spec"]["limits"] if limit.get("type") == "Container")


def _claims(objects: Sequence[KubeObject]) -> int:
    templates = (
        int(each["spec"].get("replicas", 1)) * len(each["spec"].get("volumeClaimTemplates") or ())
        for each in objects
        if each["kind"] == "StatefulSet"
    )
    return sum(templates, [each["kind"] for each in objects].count("PersistentVolumeClaim"))


def _written(name: str, amount: Fraction) -> str:
    return f"{ceil(amount * 1000)}m" if name == "cpu" else f"{ceil(amount / _BYTES)}Mi"
