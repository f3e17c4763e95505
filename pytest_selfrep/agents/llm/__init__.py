"""Agents that are models: any that litellm knows, led by a scaffold."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.llm.chat import Chat
from pytest_selfrep.agents.llm.provider import Model, prepared
from pytest_selfrep.agents.llm.scaffolds import PLAIN, SCAFFOLDS, Scaffold
from pytest_selfrep.agents.llm.settings import ModelSettings, file_of, require_settings, settings_of
from pytest_selfrep.errors import AgentError, did_you_mean

Import = Callable[[str], object]
"""What ``module:name`` names. AgentError if there is none."""


@dataclass(frozen=True, slots=True)
class ModelAgent:
    """A model with the scaffold that leads it. It keeps nothing of a trial, so many can run at once."""

    name: str
    model: Model
    scaffold: Scaffold

    @property
    def settings(self) -> dict[str, object]:
        """How it was asked, for the journal."""
        tools = "native" if self.model.native else "text"
        known = {"model": self.model.name, "scaffold": self.scaffold.name, "tools": tools}
        return {**self.model.settings.public, **known, "max_tokens": self.model.most}

    @property
    def secrets(self) -> dict[str, str]:
        """What is masked wherever it turns up."""
        return self.model.settings.secrets

    def run(self, session: Session) -> object:
        return self.scaffold.act(session, Chat(session, self.model))


def named(spec: str, given: Given, imported: Import) -> ModelAgent:
    """The agent of ``MODEL`` or ``MODEL+SCAFFOLD``.

    Raises:
        AgentError: something about the model, its settings or its scaffold cannot be.
    """
    name, plus, scaffold = spec.rpartition("+")
    if not plus or not (scaffold in SCAFFOLDS or ":" in scaffold):
        name, scaffold = spec, ""
    settings = settings_of(name, given)
    return _agent("", name, settings, scaffold or given.scaffold or settings.scaffold, given, imported)


def from_file(path: Path, given: Given, imported: Import) -> ModelAgent:
    """The agent of a YAML file with ``model:``.

    Raises:
        AgentError: as above, with the file's lines for what is wrong in it.
    """
    found = file_of(path, given)
    return _agent(found.name or "", found.model, found, found.scaffold or given.scaffold, given, imported)


def require_sound(given: Given, imported: Import) -> None:
    """AgentError if a setting is misspelt or malformed, or the scaffold is not there."""
    require_settings(given)
    if given.scaffold:
        _scaffold(given.scaffold, imported)


def judging(spec: str, relative_to: Path, *, priced: bool) -> Model:
    """The model that is to judge: by its name, or of a YAML file. What is set for agents does not concern it.

    Raises:
        AgentError: something about it cannot be.
    """
    if spec.endswith((".yaml", ".yml")):
        found = file_of(relative_to / spec, Given())
        return prepared(found.model, found, priced=priced)
    return prepared(spec, settings_of(spec, Given()), priced=priced)


def _agent(
    name: str, model: str, settings: ModelSettings, scaffold: str | None, given: Given, imported: Import
) -> ModelAgent:
    chosen = _scaffold(scaffold or PLAIN, imported)
    full = name or (model if chosen.name == PLAIN else f"{model}+{chosen.name}")
    return ModelAgent(full, prepared(model, settings, priced=given.priced), chosen)


def _scaffold(name: str, imported: Import) -> Scaffold:
    if name in SCAFFOLDS:
        return Scaffold(name, SCAFFOLDS[name])
    if ":" not in name:
        hint = did_you_mean(name, SCAFFOLDS)
        raise AgentError(
            f"there is no scaffold {name!r}; {hint}there are {', '.join(SCAFFOLDS)}, and functions of yours"
            " as module:function"
        )
    found = imported(name)
    if not callable(found) or inspect.isclass(found):
        raise AgentError(f"scaffold {name!r} is no function; write it like def lead(session, model): ...")
    try:
        inspect.signature(found).bind(None, None)
    except TypeError:
        raise AgentError(
            f"scaffold {name!r} must take two arguments: def lead(session, model): ..."
        ) from None
    except ValueError:
        # Some callables written in C do not tell; they get their chance.
        pass
    return Scaffold(name, found)
