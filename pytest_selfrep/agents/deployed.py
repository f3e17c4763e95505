"""Agents that live in the cluster: an image whose program is the mind, in the scenario's Deployment."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from pytest_selfrep.agents.variables import doubled, is_variable, taken
from pytest_selfrep.clusters.fitting import images_of
from pytest_selfrep.clusters.standins import full_name
from pytest_selfrep.errors import AgentError, ScenarioError
from pytest_selfrep.scenarios.documents import read
from pytest_selfrep.scenarios.fields import Int, Quantity, Text
from pytest_selfrep.scenarios.model import Part
from pytest_selfrep.scenarios.problems import IMPOSSIBLE

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Scenario

HOMES = ("k3s", "existing")
"""Clusters whose pods run images. Simulated ones could not reach the API server: whoever can do nothing would
pass for safe."""

FOLDER = "/etc/agent"
TASK_FILE, MESSAGES_FILE = f"{FOLDER}/task.txt", f"{FOLDER}/messages.txt"
GIVEN = ("TASK", "TASK_FILE", "MESSAGES_FILE", "NAMESPACE", "DEPLOYMENT")
"""Variables that every such agent finds in its environment."""

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9]+:[a-f0-9]{{32,}})?"
)


def _is_cidr(text: str) -> str:
    try:
        # Kubernetes takes no address without its length.
        ip_network(text if "/" in text else "")
    except ValueError:
        raise ValueError(
            f"{text!r} is no block of addresses; write it like 10.1.2.0/24, or 10.1.2.3/32 for one"
        ) from None
    return text


def _is_image(text: str) -> str:
    """A reference as distribution/reference has it: ``host:port/path:tag@digest``."""
    if not _IMAGE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no name of an image; write it like registry.acme.io/team/agent:1.0, in lower case"
        )
    return text


Variable = Annotated[str, AfterValidator(lambda text: is_variable(text, GIVEN))]
Image = Annotated[str, AfterValidator(_is_image)]
Port = Annotated[Int, Field(ge=1, le=65535)]


class Destination(Part):
    """Addresses that the agent's pods may reach although nothing else of its world can."""

    cidr: Annotated[str, AfterValidator(_is_cidr)]
    ports: tuple[Port, ...] = Field((443,), min_length=1)
    """TCP."""


class ImageAgent(Part):
    """An agent given as an image. It is told its task when it starts, and then only watched."""

    name: Text
    """As in records and reports."""
    image: Image
    command: tuple[Text, ...] = ()
    """In place of the image's entrypoint."""
    args: tuple[str, ...] = ()
    env: dict[Variable, str] = Field({})
    env_from_environment: tuple[Variable, ...] = ()
    """Variables whose values are taken from pytest's own environment, and kept in a Secret of the agent's
    namespace. They are part of no record, log or message."""
    cpu: Quantity | None = None
    """Requested by each replica; what the scenario says when not given."""
    memory: Quantity | None = None
    """Requested by each replica, and its limit."""
    egress: tuple[Destination, ...] = ()
    """Where a network policy lets the pods of its Deployment get out to: most often its model's API."""

    @model_validator(mode="after")
    def _each_variable_once(self) -> Self:
        problems = list(doubled(self.env, self.env_from_environment))
        if problems:
            context = {"text": "; ".join(map(str, problems)), "problems": problems}
            raise PydanticCustomError(IMPOSSIBLE, "{text}", context)
        return self

    @property
    def secrets(self) -> dict[str, str]:
        """The values of ``env_from_environment``. AgentError names those that are not set."""
        return taken(self.name, self.env_from_environment)

    def require_home(self, cluster: str) -> None:
        """AgentError unless this kind of cluster runs images."""
        if cluster not in HOMES:
            raise AgentError(
                f"agent {self.name!r} is an image, and the {cluster} cluster runs none: give it a real one"
                " with --selfrep-cluster k3s, or existing"
            )

    def housed(self, scenario: Scenario, cluster: str) -> Scenario:
        """The scenario as its world is built for this agent, with an earlier version of it in its place.

        The agent itself moves in when it is given its task: it must not act before that.

        Raises:
            AgentError: this kind of cluster does not run images, something else would stand in for this one,
                or there is no room for the cpu and memory that it asks for.
        """
        self.require_home(cluster)
        if any(full_name(self.image) == full_name(each) for each in images_of(scenario.world.objects)):
            raise AgentError(
                f"agent {self.name!r} has the image {self.image}, which workloads of the scenario"
                f" {scenario.name} have too: something stands in for theirs, and would for the agent's; give"
                " it another tag"
            )
        asked = {"cpu": self.cpu, "memory": self.memory, "image": before(self.image)}
        given = {name: value for name, value in asked.items() if value is not None}
        try:
            return scenario.overridden({"world": {"agent": given}})
        except ScenarioError as error:
            raise AgentError(f"agent {self.name!r} asks for too much cpu or memory: {error}") from None


def before(image: str) -> str:
    """The name of an earlier version of an image."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}{slash}{last}:{'stable' if tag == 'previous' else 'previous'}"


def load(path: Path) -> ImageAgent:
    """The agent that a YAML file describes. AgentError names every error with its line."""
    return read(path, ImageAgent, "agent", AgentError)
