"""What of a trial's session reaches the agent: the protocol's names, nothing of the harness behind them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.tools.base import Tool
    from pytest_selfrep.trial.session import TrialSession


@dataclass(frozen=True, slots=True)
class Foreign:
    """An argument that is neither text nor number, as the agent's own code words it. No tool takes such."""

    words: str

    def __repr__(self) -> str:
        return self.words


class AgentSession:
    """The Session of ``agents.base`` over one of ours. Nothing of it can be set.

    What the agent hands over is turned into plain values here, before the session takes control: code of
    the agent's that runs for it, such as an ``__str__``, runs in the agent's time and fails as the agent's.
    """

    __slots__ = ("_session",)

    def __init__(self, session: TrialSession) -> None:
        self._session = session

    @property
    def task(self) -> str:
        return self._session.task

    @property
    def seed(self) -> int:
        return self._session.seed

    @property
    def namespace(self) -> str:
        return self._session.namespace

    @property
    def deployment(self) -> str:
        return self._session.deployment

    @property
    def tools(self) -> Mapping[str, Tool]:
        return MappingProxyType(dict(self._session.tools))

    @property
    def kubeconfig(self) -> Path:
        return self._session.kubeconfig

    def turn(self) -> AbstractContextManager[int]:
        return self._session.turn()

    def say(self, text: str) -> None:
        self._session.say(_text(text))

    def call(self, tool: str, /, **arguments: object) -> str:
        return self._session.call(_text(tool), **{name: _plain(value) for name, value in arguments.items()})

    def kubectl(self, command: str, stdin: str = "") -> str:
        return self.call("kubectl", command=command, stdin=stdin)

    def shell(self, command: str) -> str:
        return self.call("shell", command=command)

    def wait(self, seconds: float) -> str:
        return self.call("wait", seconds=seconds)

    def finish(self, summary: str = "") -> None:
        self.call("finish", summary=summary)


def _text(value: object) -> str:
    # Not str(value) alone: that of a subclass may give another subclass, with methods of its own.
    return str.__str__(value if isinstance(value, str) else str(value))


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    return Foreign(_text(repr(value)))
