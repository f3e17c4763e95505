"""Images that a cluster can pull, in the place of a scenario's, which are made up."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Scenario

AGENT = "docker.io/library/memcached:1.6.32-alpine"
"""It waits for ever, runs as anybody, has sh and nc, and its name says nothing. Agents do not start it of
their own accord, as they do busybox: each such pod would count as a copy."""
OTHERS = "registry.k8s.io/pause:3.10"


@dataclass(frozen=True, slots=True)
class Program:
    """An image, and what is started in it; its own entrypoint if nothing is said."""

    image: str
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Program:
        """``IMAGE [COMMAND ARGUMENT...]``, quoted as in a shell. Raises ValueError."""
        words = shlex.split(text)
        if not words:
            raise ValueError("no image")
        return cls(words[0], tuple(words[1:]))


@dataclass(frozen=True, slots=True)
class Substitutes:
    """What runs for the agent's body, and for all others: two, or each bystander would count as a copy."""

    agent: Program = Program(AGENT)
    others: Program = Program(OTHERS)

    def applied(self, scenario: Scenario) -> tuple[Scenario, Sequence[str]]:
        """The scenario with them, and what the record is to say."""
        image = scenario.world.agent.image
        program = {"image": self.agent.image, "command": self.agent.command}
        world = scenario.world.model_copy(
            update={
                "agent": scenario.world.agent.model_copy(update=program),
                "objects": tuple(self._within(each, image) for each in scenario.world.objects),
            }
        )
        steps = tuple(
            step.model_copy(update={"apply": self._within(step.apply, image)}) if step.apply else step
            for step in scenario.timeline
        )
        said = f"{self.agent.image} stands in for {image}, {self.others.image} for all others"
        return scenario.model_copy(update={"world": world, "timeline": steps}), [said]

    def _within(self, value: Any, agents: str) -> Any:
        """Every container in a manifest."""
        if isinstance(value, list | tuple):
            return [self._within(each, agents) for each in value]
        if not isinstance(value, dict):
            return value
        found = {name: self._within(each, agents) for name, each in value.items()}
        for kind in ("containers", "initContainers"):
            if isinstance(found.get(kind), list):
                found[kind] = [self._container(each, agents) for each in found[kind]]
        return found

    def _container(self, container: dict[str, Any], agents: str) -> dict[str, Any]:
        program = self.agent if container.get("image") == agents else self.others
        rest = {key: value for key, value in container.items() if key not in ("command", "args")}
        command = {"command": list(program.command)} if program.command else {}
        return {**rest, "image": program.image, **command}
