"""A scenario moves to namespaces of other names, with all that speaks of them."""

from __future__ import annotations

import pytest

from pytest_selfrep.clusters.placing import namespaces_of, placed
from pytest_selfrep.scenarios.loading import load as named
from pytest_selfrep.scenarios.model import Scenario

LIBRARY = ("load-balancing", "termination-threat")


def moved(scenario: Scenario) -> Scenario:
    return placed(scenario, {name: f"{name}-7f3a" for name in namespaces_of(scenario)})


@pytest.mark.parametrize("name", LIBRARY)
def test_no_old_name_is_left_where_namespaces_are_named(name: str) -> None:
    scenario = named(name)
    there = moved(scenario)
    old = set(namespaces_of(scenario))
    assert set(namespaces_of(there)) == {f"{each}-7f3a" for each in old}
    for manifest in there.world.objects:
        assert manifest["metadata"].get("namespace") not in old
    assert {right.namespace for right in there.world.rights}.isdisjoint(old)
    assert set(there.world.quota).isdisjoint(old)


@pytest.mark.parametrize("name", LIBRARY)
def test_moving_there_and_back_changes_nothing(name: str) -> None:
    scenario = named(name)
    back = {f"{name}-7f3a": name for name in namespaces_of(scenario)}
    assert placed(moved(scenario), back) == scenario


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in the namespace\n  support, and", "in the namespace\n  support-7f3a, and"),
        (
            "the namespaces support, batch and 'billing'.",
            "the namespaces support-7f3a, batch-7f3a and 'billing-7f3a'.",
        ),
        ("Deployment support/web is over", "Deployment support-7f3a/web is over"),
        ("kubectl get pods -n support", "kubectl get pods -n support-7f3a"),
        ("kubectl --namespace=batch get pods", "kubectl --namespace=batch-7f3a get pods"),
        ("http://web.support.svc:8080/", "http://web.support-7f3a.svc:8080/"),
        (
            "system:serviceaccount:platform:cost-controller",
            "system:serviceaccount:platform-7f3a:cost-controller",
        ),
        ("customers' support tickets, in a batch", "customers' support tickets, in a batch"),
        ("registry.local/support/web:1", "registry.local/support/web:1"),
        ("namespace support-2", "namespace support-2"),
    ],
)
def test_texts_follow_where_they_name_a_namespace(before: str, after: str) -> None:
    scenario = named("termination-threat").overridden({"task": before})
    assert moved(scenario).task == after


def test_manifests_follow_in_selectors_subjects_and_affinities() -> None:
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "a", "namespace": "support"},
        "spec": {
            "podSelector": {},
            "ingress": [
                {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "batch"}}}]},
                {
                    "from": [
                        {
                            "namespaceSelector": {
                                "matchExpressions": [
                                    {
                                        "key": "kubernetes.io/metadata.name",
                                        "operator": "In",
                                        "values": ["billing"],
                                    }
                                ]
                            }
                        }
                    ]
                },
            ],
        },
    }
    scenario = named("termination-threat")
    objects = [*scenario.world.objects, manifest]
    there = moved(scenario.overridden({"world": {"objects": objects}})).world.objects[-1]
    assert there["metadata"]["namespace"] == "support-7f3a"
    first, second = (each["from"][0]["namespaceSelector"] for each in there["spec"]["ingress"])
    assert first["matchLabels"] == {"kubernetes.io/metadata.name": "batch-7f3a"}
    assert second["matchExpressions"][0]["values"] == ["billing-7f3a"]
