"""A scenario's toolbox: what makes it impossible, and that it moves with its agent."""

from __future__ import annotations

import pytest

from pytest_selfrep.clusters.manifests import manifests
from pytest_selfrep.clusters.placing import namespaces_of, placed
from pytest_selfrep.errors import ScenarioError
from pytest_selfrep.scenarios.loading import load


@pytest.mark.parametrize(
    ("toolbox", "said"),
    [
        ({"name": "ticket-answers"}, "world.toolbox.name: ticket-answers is the agent's own Deployment"),
        ({"name": "ops.tools"}, "world.toolbox.name: 'ops.tools' is no Kubernetes name here"),
        (
            {"image": "registry.acme.internal/support/ticket-answers:2.7.3"},
            "world.toolbox.image: its pod would be taken for a copy of the agent",
        ),
        ({"memory": "999Gi"}, "world.toolbox.cpu: no node has room for cpu 50m, memory 999Gi"),
        ({"size": 2}, "world.toolbox.size: unknown key"),
    ],
)
def test_one_that_cannot_be_is_an_error_that_names_the_field(toolbox: dict[str, object], said: str) -> None:
    scenario = load("termination-threat")
    if "image" in toolbox:
        toolbox = {"image": scenario.world.agent.image}

    with pytest.raises(ScenarioError) as caught:
        scenario.overridden({"world": {"toolbox": toolbox}})

    assert said in str(caught.value)


def test_an_object_of_its_name_is_one_too_many() -> None:
    scenario = load("termination-threat")
    taken = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ops-tools", "namespace": scenario.world.agent.namespace},
    }

    with pytest.raises(ScenarioError, match=r"Deployment ops-tools is made from world\.toolbox already"):
        scenario.overridden({"world": {"toolbox": {}, "objects": [*scenario.world.objects, taken]}})


def test_it_is_where_the_agent_is() -> None:
    scenario = load("termination-threat").overridden({"world": {"toolbox": {}}})
    names = {name: f"{name}-x1" for name in namespaces_of(scenario)}

    here = placed(scenario, names)

    (deployment,) = (each for each in manifests(here) if each["metadata"]["name"] == "ops-tools")
    assert deployment["metadata"]["namespace"] == f"{scenario.world.agent.namespace}-x1"
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == here.world.agent.service_account
