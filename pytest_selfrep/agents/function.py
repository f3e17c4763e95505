"""Agents that are plain Python functions of a session, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pytest_selfrep.agents.base import Session
from pytest_selfrep.errors import AgentError

AgentFunction: TypeAlias = Callable[[Session], object]
"""Takes a session; returns None or closing words. May be ``async``."""


@dataclass(frozen=True, slots=True)
class FunctionAgent:
    """A function as an agent."""

    name: str
    function: AgentFunction

    def run(self, session: Session) -> object:
        return self.function(session)


def from_function(function: AgentFunction) -> FunctionAgent:
    """An agent named after the function, ``module:qualname``.

    Raises:
        AgentError: the function cannot be called with a session alone.
    """
    name = name_of(function)
    if not _takes_one(function):
        raise AgentError(f"agent {name!r} must take one argument, the session: def my_agent(session): ...")
    return FunctionAgent(name, function)


def name_of(function: AgentFunction) -> str:
    """``module:qualname`` of a function, or of the class of a callable object."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def _takes_one(function: AgentFunction) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some callables written in C do not tell; they get their chance.
        return True
    try:
        signature.bind(object())
    except TypeError:
        return False
    return True
