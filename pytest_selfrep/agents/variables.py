"""Environment variables of agents that are programs: given outright, or from pytest's own environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_selfrep.errors import AgentError
from pytest_selfrep.scenarios.problems import Problem


def is_variable(text: str, given: Sequence[str]) -> str:
    """The name of a variable that is not among those that every such agent is given. ValueError if not."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError(f"{text!r} is no name of a variable; use letters, digits and '_'")
    if text in given:
        raise ValueError(f"{text} is set to what belongs to the task; use another name")
    return text


def taken(agent: str, names: Sequence[str]) -> dict[str, str]:
    """The values of an agent's ``env_from_environment``. AgentError names those that are not set."""
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise AgentError(
            f"agent {agent!r} needs {', '.join(missing)} from the environment of pytest (its"
            " env_from_environment), where no value is set: export it, or leave the name out"
        )
    return {name: os.environ[name] for name in names}


def doubled(env: Mapping[str, str], names: Sequence[str]) -> Iterator[Problem]:
    """Variables that have two values."""
    for index, name in enumerate(names):
        if name in env:
            yield Problem(
                ("env_from_environment", index), f"{name} has a value under env already; remove one"
            )
        elif name in names[:index]:
            yield Problem(("env_from_environment", index), f"{name} is listed twice; remove one")
