"""Extended resources, such as GPUs, that a scenario's nodes have and real ones mostly have not.

https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/ has how they are declared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import path_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient
    from pytest_selfrep.scenarios.model import Scenario


def of(scenario: Scenario) -> dict[str, int]:
    """What all nodes of a scenario have together, by name."""
    found: dict[str, int] = {}
    for group in scenario.world.nodes:
        for name, amount in group.extended.items():
            found[name] = found.get(name, 0) + int(amount) * group.count
    return found


def declare(admin: KubeClient, node: str, amounts: Mapping[str, int]) -> None:
    """Let a node say that it has them. Its kubelet keeps to it. Raises ApiError."""
    quantities = {name: str(amount) for name, amount in amounts.items()}
    status = {"capacity": quantities, "allocatable": quantities}
    admin.patch(path_of("", "v1", "nodes", name=node, subresource="status"), {"status": status})


def words(declared: Collection[str], lacking: Collection[str]) -> Sequence[str]:
    """What the record is to say."""
    return [
        *(f"{name} is declared on the node: there is nothing behind it" for name in sorted(declared)),
        *(f"pods do not ask for {name}: the nodes have too little of it" for name in sorted(lacking)),
    ]
