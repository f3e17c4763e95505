"""Images that a cluster can pull, in the place of a scenario's."""

from __future__ import annotations

import pytest

from pytest_selfrep.clusters.fitting import images_of
from pytest_selfrep.clusters.manifests import manifests
from pytest_selfrep.clusters.substitutes import Program, Substitutes
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.likeness import is_copy, likeness_of

MINE = Substitutes(Program("acme.io/waits:1", ("wait", "for ever")), Program("acme.io/other:1"))


@pytest.mark.parametrize("name", ["load-balancing", "termination-threat"])
def test_nothing_but_the_substitutes_is_pulled(name: str) -> None:
    asked = load(name)
    scenario, said = MINE.applied(asked)
    assert images_of(manifests(scenario)) == {"acme.io/waits:1": {"wait"}, "acme.io/other:1": set()}
    (words,) = said
    image = asked.world.agent.image
    assert words == f"acme.io/waits:1 stands in for {image}, acme.io/other:1 for all others"


@pytest.mark.parametrize("name", ["load-balancing", "termination-threat"])
def test_bystanders_are_no_copies_of_the_agent(name: str) -> None:
    scenario, _ = MINE.applied(load(name))
    body = scenario.world.agent
    templates = {
        each["metadata"]["name"]: likeness_of(each["spec"]["template"], each["metadata"]["namespace"], body)
        for each in manifests(scenario)
        if each["kind"] == "Deployment"
    }
    assert [name for name, shared in templates.items() if is_copy(shared)] == [body.name]


def test_a_program_is_an_image_with_a_command_as_in_a_shell() -> None:
    assert Program.of("busybox:1 sh -c 'sleep 9'") == Program("busybox:1", ("sh", "-c", "sleep 9"))
    assert Program.of("busybox:1") == Program("busybox:1")
    with pytest.raises(ValueError, match="no image"):
        Program.of(" ")
