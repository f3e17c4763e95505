"""Agents that are programs with a command line: in a container, or on this machine where that is allowed."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pytest_selfrep.agents.base import TrialEnded
from pytest_selfrep.agents.command import fence
from pytest_selfrep.agents.command.attendance import Attendance
from pytest_selfrep.agents.command.host import on_host
from pytest_selfrep.agents.command.outfit import GIVEN, OURS, Wanted, outfit
from pytest_selfrep.agents.command.words import Words
from pytest_selfrep.agents.deployed import Image
from pytest_selfrep.agents.variables import doubled, is_variable, taken
from pytest_selfrep.errors import AgentError, CommandFailed
from pytest_selfrep.report.masking import SECRET_NAMES
from pytest_selfrep.scenarios.documents import read
from pytest_selfrep.scenarios.fields import Text
from pytest_selfrep.scenarios.model import Part
from pytest_selfrep.scenarios.problems import IMPOSSIBLE, Problem
from pytest_selfrep.tools.mcp.server import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_selfrep.agents.base import Session, Unproven
    from pytest_selfrep.agents.command.program import Place


def _is_inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{text!r} is no path within the agent's home; write it like .config/settings.json")
    return text


def _is_host(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "443"
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or set(host) & set("/@: "):
        raise ValueError(f"{text!r} is no host: write it like api.anthropic.com, or models.acme.io:8443")
    return f"{host.lower()}:{port}"


Variable = Annotated[str, AfterValidator(lambda text: is_variable(text, GIVEN))]
Inside = Annotated[str, AfterValidator(_is_inside)]
HostPort = Annotated[str, AfterValidator(_is_host)]


class CommandAgent(Part):
    """A program that is told its task on stdin, and acts through the tools as an MCP server."""

    name: Text
    """As in records and reports."""
    command: tuple[Text, ...] = Field(min_length=1)
    container: Image | None = None
    """The image in which it runs; on this machine when not given."""
    env: dict[Variable, str] = Field({})
    env_from_environment: tuple[Variable, ...] = ()
    """Variables whose values are taken from pytest's own environment. What it prints is said without them."""
    files: dict[Inside, str] = Field({})
    """Of its home, by their paths there."""
    kubeconfig: bool = False
    """Whether it has its ServiceAccount's credential, for Kubernetes clients of its own."""
    model_api: tuple[HostPort, ...] = ()
    """What a container reaches beside the tools, as ``host`` or ``host:port``."""

    @field_validator("command")
    @classmethod
    def _no_nul(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in word for word in words):
            raise ValueError("no word of a command has a NUL character")
        return words

    @model_validator(mode="after")
    def _possible(self) -> Self:
        problems = [*doubled(self.env, self.env_from_environment), *_out_of_place(self)]
        if problems:
            context = {"text": "; ".join(map(str, problems)), "problems": problems}
            raise PydanticCustomError(IMPOSSIBLE, "{text}", context)
        return self

    @property
    def secrets(self) -> dict[str, str]:
        """What is masked wherever it turns up. AgentError names variables that are not set."""
        given = {name: value for name, value in self.env.items() if SECRET_NAMES.search(name)}
        return {**given, **taken(self.name, self.env_from_environment)}

    @property
    def unfenced(self) -> bool:
        """Whether it would run in a container that nothing keeps from what listens on this machine."""
        return self.container is not None and not fence.possible()

    def require_runnable(self, *, on_host: bool, unfenced: bool = False) -> None:
        """AgentError unless its command, environment and container are to be had.

        Args:
            on_host: Whether commands may run on this machine.
            unfenced: Whether containers may reach what listens on this machine.
        """
        taken(self.name, self.env_from_environment)
        if self.container is not None:
            from pytest_selfrep.agents.command.engine import require_image

            if self.unfenced and not unfenced:
                raise AgentError(
                    f"agent {self.name!r} would reach, from its container, whatever listens on all addresses "
                    "of this machine: run pytest as root with iptables, so that its network is fenced in, or "
                    "say --selfrep-allow-egress if a firewall does that, or nothing there is of worth"
                )
            require_image(self.name, self.container)
        elif not on_host:
            raise AgentError(
                f"agent {self.name!r} is a command that would run on this machine, with all that its user "
                "may do: give it a container, or allow it with --selfrep-allow-host-commands"
            )
        else:
            self._found()

    def run(self, session: Session) -> Unproven | None:
        """Run it for one trial; nothing of it is left running.

        Returns Unproven if it used no tool.

        Raises:
            CommandFailed: it did not go as programs should.
            ContainerFailed: Docker did not.
        """
        secrets = taken(self.name, self.env_from_environment)
        words = Words(secrets)
        attendance = Attendance(self.command[0], session, words, by_itself=self.kubeconfig)
        kubeconfig = session.kubeconfig.read_text(encoding="utf-8") if self.kubeconfig else None
        with ExitStack() as stack:
            place = stack.enter_context(self._place())
            endpoint = stack.enter_context(served(attendance.conversation, place.address))
            words.hide({"token": endpoint.token})
            given = outfit(self._wanted(secrets), place, endpoint, session.task, kubeconfig)
            try:
                attendance.attend(stack.enter_context(place.started(given, endpoint)))
            except TrialEnded:
                if attendance.unproven is None:
                    raise
            found = attendance.unproven
            return found and replace(found, words=found.words if place.reached_model else "")

    def _wanted(self, secrets: dict[str, str]) -> Wanted:
        command = self.command if self.container is not None else (self._found(), *self.command[1:])
        return Wanted(command, {**self.env, **secrets}, self.files)

    def _place(self) -> AbstractContextManager[Place]:
        if self.container is None:
            return on_host(self._found())
        from pytest_selfrep.agents.command.container import in_container

        return in_container(self.container, self.model_api)

    def _found(self) -> str:
        """Where its command is on this machine. CommandFailed if it is not."""
        found = shutil.which(self.command[0])
        if found is None:
            raise CommandFailed(
                f"agent {self.name!r} has the command {self.command[0]!r}, which is not to be found: install "
                "it, or give its path (relative to the agent's file)"
            )
        return str(Path(found).absolute())


def load(path: Path) -> CommandAgent:
    """The agent that a YAML file describes, with ``{folder}`` for the folder of the file.

    Raises:
        AgentError: names every error with its line.
    """
    agent = read(path, CommandAgent, "agent", AgentError)
    folder = path.absolute().parent
    first, *words = (word.replace("{folder}", str(folder)) for word in agent.command)
    if agent.container is None and "/" in first:
        first = str(folder / first)
    return agent.model_copy(update={"command": (first, *words)})


def _out_of_place(agent: CommandAgent) -> Iterator[Problem]:
    if agent.container is None and agent.model_api:
        yield Problem(("model_api",), "only a container is kept from other hosts; name one, or leave it out")
    if agent.container is not None and agent.kubeconfig:
        yield Problem(
            ("kubeconfig",), "a container reaches no API server, only its tools; leave kubeconfig out"
        )
    seen = {PurePosixPath(name): "is ours to write; name it otherwise" for name in OURS}
    for name in agent.files:
        path = PurePosixPath(name)
        for other, why in seen.items():
            if path == other or path in other.parents or other in path.parents:
                yield Problem(("files", name), f"its home has {other}, which {why}", at_key=True)
        seen[path] = "is one of these files too; no path is a file and a folder, or two files"
