"""PodDisruptionBudgets: how many evictions they allow."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube
from workloads import BUDGETS, SETTLED, condition, deploy, scale

PDB = f"{BUDGETS}/web"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    """Four pods of a Deployment, all ready."""
    deploy(three_nodes, replicas=4)
    three_nodes.advance(SETTLED)
    return three_nodes


def budget(kube: Kube, **spec: Any) -> Any:
    kube.create(
        BUDGETS,
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        },
    )
    return figures(kube)


def figures(kube: Kube) -> tuple[int, int, int, int]:
    """(expected, healthy, desired, allowed)."""
    status = kube.get(PDB)["status"]
    return (
        status["expectedPods"],
        status["currentHealthy"],
        status["desiredHealthy"],
        status["disruptionsAllowed"],
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, (4, 4, 3, 1)),
        ({"minAvailable": "30%"}, (4, 4, 2, 2)),
        ({"maxUnavailable": 1}, (4, 4, 3, 1)),
        ({"maxUnavailable": "30%"}, (4, 4, 2, 2)),
        ({"minAvailable": 5}, (4, 4, 5, 0)),
    ],
)
def test_the_room_for_evictions_follows_from_the_spec(
    kube: Kube, spec: dict[str, Any], expected: tuple[int, int, int, int]
) -> None:
    assert budget(kube, **spec) == expected


def test_a_budget_follows_the_size_of_the_deployment(kube: Kube) -> None:
    budget(kube, maxUnavailable=1)
    scale(kube, 2)
    kube.advance(SETTLED)
    assert figures(kube) == (2, 2, 1, 1)


def test_pods_that_are_not_ready_take_from_it(kube: Kube) -> None:
    budget(kube, minAvailable=4)
    scale(kube, 5)
    assert figures(kube) == (5, 4, 4, 0)
    assert condition(kube.get(PDB), "DisruptionAllowed")["reason"] == "InsufficientPods"
    kube.advance(SETTLED)
    assert figures(kube) == (5, 5, 4, 1)
    assert condition(kube.get(PDB), "DisruptionAllowed")["reason"] == "SufficientPods"


def test_shares_are_unknown_for_pods_without_a_controller(kube: Kube) -> None:
    kube.add_pod("stray", labels={"app": "single"})
    kube.create(
        BUDGETS,
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "single"}}, "maxUnavailable": 1},
        },
    )
    said = condition(kube.get(PDB), "DisruptionAllowed")
    assert (said["reason"], said["message"]) == ("SyncFailed", 'found no controller ref for pod "stray"')
