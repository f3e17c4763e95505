"""Evictions through the API, and the budgets that hold them back."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, Object, deployment

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
FAILING = {"exec": {"command": ["false"]}, "initialDelaySeconds": 10_000}


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    """Three replicas of ``web``, all Ready."""
    three_nodes.create(DEPLOYMENTS, deployment("web", 3))
    three_nodes.advance(30)
    return three_nodes


def names(kube: Kube) -> list[str]:
    return [each["metadata"]["name"] for each in kube.pods()]


def eviction(name: str, **options: Any) -> Object:
    body: Object = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return {**body, "deleteOptions": options} if options else body


def budget(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


def evict(kube: Kube, name: str, **options: Any) -> Any:
    return kube.send("POST", f"{PODS}/{name}/eviction", eviction(name, **options))


def test_without_a_budget_a_pod_just_goes(kube: Kube) -> None:
    first = names(kube)[0]
    response = evict(kube, first)
    assert response.status == 201
    assert response.body["status"] == "Success"
    assert kube.condition(first, "DisruptionTarget")["reason"] == "EvictionByEvictionAPI"
    kube.advance(30)
    assert first not in names(kube)
    assert len(names(kube)) == 3


def test_a_budget_allows_so_many_disruptions_and_no_more(kube: Kube) -> None:
    kube.create(BUDGETS, budget(minAvailable=2))
    first, second, _ = names(kube)
    assert evict(kube, first).status == 201
    refused = evict(kube, second)
    assert refused.status == 429
    assert refused.body["reason"] == "TooManyRequests"
    assert refused.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = refused.body["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget web needs 2 healthy pods and has 2 currently"
    kube.advance(30)
    assert evict(kube, second).status == 201


def test_max_unavailable_counts_from_the_other_end(kube: Kube) -> None:
    kube.create(BUDGETS, budget(maxUnavailable=1))
    first, second, _ = names(kube)
    assert evict(kube, first).status == 201
    assert evict(kube, second).status == 429


def test_two_budgets_for_one_pod_are_an_error(kube: Kube) -> None:
    kube.create(BUDGETS, budget("one", minAvailable=1))
    kube.create(BUDGETS, budget("two", minAvailable=1))
    refused = evict(kube, names(kube)[0])
    assert refused.status == 500
    assert "more than one PodDisruptionBudget" in refused.body["message"]


def test_a_budget_for_other_pods_does_not_matter(kube: Kube) -> None:
    other = budget(minAvailable=3)
    other["spec"]["selector"] = {"matchLabels": {"app": "db"}}
    kube.create(BUDGETS, other)
    assert evict(kube, names(kube)[0]).status == 201


def test_a_pod_that_never_started_needs_no_leave(kube: Kube) -> None:
    kube.create(BUDGETS, budget(minAvailable=3))
    kube.add_pod("stuck", cpu="64")
    assert evict(kube, "stuck").status == 201
    assert not kube.exists(f"{PODS}/stuck")


def test_an_unready_pod_may_go_while_enough_others_are_healthy(kube: Kube) -> None:
    kube.create(BUDGETS, budget(minAvailable=3))
    kube.add_pod("slow", readinessProbe=FAILING)
    kube.advance(10)
    assert evict(kube, "slow").status == 201
    assert evict(kube, names(kube)[-1]).status == 429


def test_a_dry_run_spends_nothing(kube: Kube) -> None:
    kube.create(BUDGETS, budget(minAvailable=2))
    first, second, _ = names(kube)
    assert evict(kube, first, dryRun=["All"]).status == 201
    kube.advance(30)
    assert first in names(kube)
    assert evict(kube, second).status == 201


def test_the_grace_period_can_be_chosen(kube: Kube) -> None:
    first = names(kube)[0]
    evict(kube, first, gracePeriodSeconds=0)
    assert first not in names(kube)


def test_an_unknown_pod_cannot_be_evicted(kube: Kube) -> None:
    assert evict(kube, "nobody").status == 404


def test_the_body_must_name_the_same_pod(kube: Kube) -> None:
    refused = kube.refusal("POST", f"{PODS}/{names(kube)[0]}/eviction", eviction("other"))
    assert refused["code"] == 400


def test_a_grace_period_must_be_a_number(kube: Kube) -> None:
    first = names(kube)[0]
    assert evict(kube, first, gracePeriodSeconds="soon").status == 400
    assert first in names(kube)
