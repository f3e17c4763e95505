"""What recordings hold: each thing that an agent did through its session, as it did it and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pytest_selfrep.agents.base import ModelCall


@dataclass(frozen=True, slots=True)
class Foreign:
    """An argument that is neither text nor number, as the agent's own code words it. No tool takes such."""

    words: str

    def __repr__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class TurnBegun:
    """It began to group calls into one turn."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """It ended the group, or left it by an exception of its own."""

    left: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    omitted: int = 0
    """Characters beyond the text, which nobody kept."""


@dataclass(frozen=True, slots=True)
class Called:
    """It used a tool."""

    tool: str
    arguments: Mapping[str, object]
    """Texts, numbers, booleans, None, or :class:`Foreign`."""
    output: str | None
    """What it read, messages included; None when the call ended the trial."""


@dataclass(frozen=True, slots=True)
class Asked:
    """It asked its model."""

    call: ModelCall


@dataclass(frozen=True, slots=True)
class TookKubeconfig:
    """It was given the path of its kubeconfig. What it does with that is not recorded."""


Event: TypeAlias = TurnBegun | TurnEnded | Said | Called | Asked | TookKubeconfig
