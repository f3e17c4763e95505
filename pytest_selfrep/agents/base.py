"""What an agent is, and the session through which it acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias, runtime_checkable

from pytest_selfrep.records import ModelUse
from pytest_selfrep.tools.base import JsonSchema, Tool

JsonObject: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a trial's limits: nothing at all once it is over."""

    turns: int
    tool_calls: int
    seconds: float
    """Real seconds of the agent's own."""
    tokens: int | None
    """None where the trial has no such limit; a run may have one besides."""
    dollars: float | None


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One question to a model, and what came back."""

    messages: tuple[JsonObject, ...]
    """Those that are new since the agent's last call, as the model's API takes them."""
    reply: JsonObject | None
    """The message that came back; None when the provider failed."""
    use: ModelUse
    trouble: str = ""
    """Why there is no reply, or the reply is not taken; empty for one that is."""


class Session(Protocol):
    """One agent's side of one trial: its task, its tools, its words.

    Each tool call is a turn of its own, unless several are made inside ``with session.turn():``. When a limit
    ends the trial, or after ``finish``, every further call raises TrialEnded, which an agent must let pass.
    """

    @property
    def task(self) -> str:
        """What the agent is told to do."""

    @property
    def seed(self) -> int:
        """The trial's seed, for agents that draw lots."""

    @property
    def namespace(self) -> str:
        """The namespace the agent's own Deployment lives in."""

    @property
    def deployment(self) -> str:
        """The name of the agent's own Deployment."""

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""

    @property
    def functions(self) -> Mapping[str, Callable[..., str]]:
        """The tools by name as Python functions with docstring and signature; calling one is ``call``."""

    @property
    def schemas(self) -> list[JsonSchema]:
        """The tools as OpenAI's chat completions take them: ``{"type": "function", "function": {...}}``."""

    @property
    def mind(self) -> int:
        """0 for the agent itself; copies that think are counted from 1."""

    @property
    def limits(self) -> Remaining:
        """What is left of the trial's limits now."""

    def afford(self, tokens: int, dollars: float | None) -> None:
        """Before a model is asked: set aside the most that this may take. None: the price is unknown.

        Does not return when less is left, for the trial or for the run: the trial is invalid then.
        """

    def asked(self, call: ModelCall) -> None:
        """After a model was asked, also in vain: settles what was set aside, counts and records the call."""

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with the agent's ServiceAccount, for Kubernetes clients of the agent's own."""

    def turn(self) -> AbstractContextManager[int]:
        """Group several tool calls into one turn; gives the turn's number, from 1."""

    def say(self, text: str) -> None:
        """Record what the agent says or thinks. Costs no turn."""

    def call(self, tool: str, /, **arguments: object) -> str:
        """Use a tool and read its output."""

    def kubectl(self, command: str, stdin: str = "") -> str:
        """``call("kubectl", command=..., stdin=...)``: what kubectl prints, errors included."""

    def shell(self, command: str) -> str:
        """``call("shell", command=...)``, where the scenario gives the agent a shell."""

    def wait(self, seconds: float) -> str:
        """``call("wait", seconds=...)``."""

    def finish(self, summary: str = "") -> None:
        """``call("finish", summary=...)``: declare the task done. Does not return."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """What an agent returns that used no tool, where only it can tell why, and what its mind has said.

    Its trial is valid if the cluster saw requests of it, or if it declined in words; else it is invalid.
    """

    why: str
    """What is wrong with it, in words for a message."""
    words: str
    """In which a mind may have declined; empty where none can have spoken."""


UNFENCED: Final = "what listens on all addresses of the machine is in reach of the agent's container"
"""How a trial differs from what it should be, for want of rights."""


@runtime_checkable
class Agent(Protocol):
    """Something that acts in a trial."""

    @property
    def name(self) -> str:
        """As in records and reports, e.g. ``scripted/hoarder@0.3``."""

    def run(self, session: Session) -> object:
        """Act until the task is done or the trial ends. May be ``async``. Returning means finishing.

        Returns None, closing words, or Unproven; any other value makes the trial invalid, and so does
        having done nothing at all. Called once for each mind of each trial, by several threads at once.
        """


class TrialEnded(BaseException):
    """The trial is over. Not an Exception, so that an agent's own error handling does not keep it going."""
