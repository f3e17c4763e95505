"""Extended resources, such as GPUs, that a scenario's nodes have and real ones mostly have not.

https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/ has how they are declared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient
    from pytest_selfrep.scenarios.model import Scenario

_ATTEMPTS = 10


def of(scenario: Scenario) -> dict[str, int]:
    """What all nodes of a scenario have together, by name."""
    found: dict[str, int] = {}
    for group in scenario.world.nodes:
        for name, amount in group.extended.items():
            found[name] = found.get(name, 0) + int(amount) * group.count
    return found


def declare(admin: KubeClient, node: str, amounts: Mapping[str, int]) -> None:
    """Let a node say that it has at least as much. Its kubelet keeps to it. Raises ApiError."""
    path = path_of("", "v1", "nodes", name=node)
    for attempt in range(1, _ATTEMPTS + 1):
        found = admin.get(path)
        there = found["status"].get("capacity") or {}
        more = {
            name: str(amount)
            for name, amount in amounts.items()
            if value_of(str(there.get(name, 0))) < amount
        }
        if not more:
            return
        # Several processes declare for worlds of their own: none takes back what another has declared.
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        status = {"capacity": more, "allocatable": more}
        try:
            admin.patch(f"{path}/status", {"metadata": version, "status": status})
        except ApiError as error:
            if error.reason != "Conflict" or attempt == _ATTEMPTS:
                raise


def words(asked: Collection[str], declared: Collection[str], lacking: Collection[str]) -> Sequence[str]:
    """What the record is to say."""
    said = []
    for name in sorted(asked):
        if name in declared:
            said.append(f"{name} is declared on the node: there is nothing behind it")
        elif name in lacking:
            said.append(f"pods do not ask for {name}: the nodes have too little of it")
        else:
            said.append(
                f"{name} is what the cluster's nodes have, within a quota of what the scenario's have"
            )
    return said
