"""Agents: who is put under pressure. ``resolve`` turns what a user named into one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfrep.agents.base import Agent
from pytest_selfrep.agents.function import from_function
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.scripted import PREFIX, scripted
from pytest_selfrep.errors import AgentError, UnknownModel, did_you_mean

if TYPE_CHECKING:
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.scenarios.model import Scenario

__all__ = [
    "Agent",
    "housed",
    "in_run",
    "require_home",
    "require_runnable",
    "resolve",
    "secrets_of",
]

FILES = (".yaml", ".yml")
REPLAY = "replay:"
IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[\w.]*")
"""What is told from the name of a model with a version behind a colon: ``ollama/llama3.1:8b``."""


def resolve(spec: object, relative_to: Path | None = None, given: Given | None = None) -> Agent | ImageAgent:
    """The agent that a specification names.

    Args:
        spec: ``scripted/NAME``, ``scripted/NAME@SHARE``, ``replay:FOLDER``, ``module:function``, the
            path of a YAML file of an image or a model, a function that takes a session, an agent (it has
            ``name`` and ``run``, or is an ImageAgent), or else a model as litellm names it.
        relative_to: Folder that relative paths start from; the working directory when not given.
        given: What is said of all models.

    Raises:
        AgentError: there is no such agent, or what it needs from the environment is not there. Says which
            are near, and what to do.
    """
    if isinstance(spec, str) and spec.startswith(REPLAY):
        from pytest_selfrep.agents.replay import replay

        return replay(spec, relative_to or Path())
    if isinstance(spec, Path) or (isinstance(spec, str) and spec.endswith(FILES)):
        return _from_file((relative_to or Path()) / spec, given or Given())
    if not isinstance(spec, str):
        return _from_object(spec, repr(spec))
    if spec.startswith(PREFIX):
        return scripted(spec)
    if IMPORT_PATH.fullmatch(spec):
        return _from_object(_imported(spec), spec)
    from pytest_selfrep.agents import llm

    try:
        return llm.named(spec, given or Given(), _imported)
    except UnknownModel as error:
        raise AgentError(
            f"there is no agent {spec!r}. Name a scripted one (scripted/steady), a function of yours as"
            f" module:function (my_agents:careful), a YAML file (agents/mine.yaml), or a model: {error}"
        ) from error


def require_sound(given: Given) -> None:
    """AgentError if what is said of all models is misspelt or cannot be, whether or not there is a model."""
    from pytest_selfrep.agents import llm

    llm.require_sound(given, _imported)


def require_home(agent: Agent | ImageAgent, cluster: str) -> None:
    """AgentError if an agent lives in the cluster, and cannot in one of this kind."""
    if not isinstance(agent, Agent):
        agent.require_home(cluster)


def in_run(agent: Agent | ImageAgent, output: Path, *, lenient: bool = False) -> Agent | ImageAgent:
    """An agent in a run that writes to ``output``: a replay as lenient as that is, all others as they are.

    Raises:
        AgentError: the run would replace the recordings that it is to read.
    """
    from pytest_selfrep.agents.replay import on_terms

    return on_terms(agent, output, lenient=lenient)


def require_runnable(agent: Agent | ImageAgent, *, on_host: bool, unfenced: bool) -> None:
    """AgentError if an agent is a command that cannot be run, or may not on or so near to this machine."""
    # Not by its type: of most agents no command is needed, nor what it takes to describe one.
    require = getattr(agent, "require_runnable", None)
    if require is not None:
        require(on_host=on_host, unfenced=unfenced)


def secrets_of(agent: Agent | ImageAgent) -> dict[str, str]:
    """What an agent says is to be masked (its ``secrets``), values by a name for each."""
    found: object = getattr(agent, "secrets", None)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): value for name, value in found.items() if isinstance(value, str)}


def housed(agent: Agent | ImageAgent, scenario: Scenario, cluster: str) -> Scenario:
    """The scenario with room for an agent that lives in the cluster; for all others as it is.

    Raises:
        AgentError: that agent cannot live there.
    """
    return scenario if isinstance(agent, Agent) else agent.housed(scenario, cluster)


def _from_file(path: Path, given: Given) -> Agent | ImageAgent:
    from pytest_selfrep.agents.deployed import load
    from pytest_selfrep.scenarios.documents import keys

    found = keys(path, "agent", AgentError)
    if "command" in found and "image" not in found:
        from pytest_selfrep.agents import command

        return command.load(path)
    if "model" in found:
        from pytest_selfrep.agents import llm

        return llm.from_file(path, given, _imported)

    agent = load(path)
    # Before any trial: they may not be set.
    _ = agent.secrets
    return agent


def _from_object(found: object, spec: str) -> Agent | ImageAgent:
    if isclass(found):
        raise AgentError(
            f"agent {spec} is a class; name an instance of it, or a function that takes a session"
        )
    run, name = getattr(found, "run", None), getattr(found, "name", None)
    if isinstance(found, Agent) and callable(run) and isinstance(name, str):
        return found
    if callable(found):
        return from_function(found)
    from pytest_selfrep.agents.deployed import ImageAgent

    if isinstance(found, ImageAgent):
        _ = found.secrets
        return found
    raise AgentError(
        f"agent {spec} is of type {type(found).__name__}; it must be a function that takes a session, an"
        " object with a name and a method run(session), or an ImageAgent"
    )


def _imported(spec: str) -> object:
    module_name, _, attribute = spec.partition(":")
    try:
        found: object = import_module(module_name)
    except ImportError as error:
        raise AgentError(
            f"agent {spec!r}: module {module_name!r} cannot be imported ({error}). Is it on the Python path?"
            " pytest's ini option pythonpath adds folders to it."
        ) from error
    except Exception as error:
        raise AgentError(
            f"agent {spec!r}: importing {module_name!r} raised {type(error).__name__}: {error}"
        ) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [other for other in dir(found) if not other.startswith("_")]
            hint = did_you_mean(name, public)
            raise AgentError(f"agent {spec!r}: {module_name!r} has no {attribute!r}; {hint}check its name")
        found = getattr(found, name)
    return found
