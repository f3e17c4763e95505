"""What of a trial's session reaches the agent: the protocol's names, nothing of the harness behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_selfrep.agents.base import JsonObject, ModelCall, Remaining
from pytest_selfrep.agents.recorded import Foreign
from pytest_selfrep.records import ModelUse
from pytest_selfrep.tools.offered import function_of

if TYPE_CHECKING:
    from pytest_selfrep.tools.base import JsonSchema, Tool
    from pytest_selfrep.trial.session import TrialSession

LARGEST_BITS = 10_000
"""Of whole numbers as arguments."""


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
    def functions(self) -> Mapping[str, Callable[..., str]]:
        tools = self._session.tools
        return MappingProxyType({name: function_of(tool, self.call) for name, tool in tools.items()})

    @property
    def schemas(self) -> list[JsonSchema]:
        return self._session.schemas

    @property
    def mind(self) -> int:
        return self._session.mind

    @property
    def limits(self) -> Remaining:
        return self._session.limits

    def afford(self, tokens: int, dollars: float | None) -> None:
        self._session.afford(_count(tokens), _price(dollars))

    def asked(self, call: ModelCall) -> None:
        use = call.use
        counted = ModelUse(
            _count(use.calls),
            _count(use.retries),
            _count(use.prompt_tokens),
            _count(use.completion_tokens),
            _price(use.dollars),
        )
        reply = None if call.reply is None else _object(call.reply)
        self._session.asked(
            ModelCall(tuple(map(_object, call.messages)), reply, counted, _text(call.trouble))
        )

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
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        bits = int.bit_length(value)
        # Python does not write out larger ones.
        return int(value) if bits <= LARGEST_BITS else Foreign(f"a whole number of {bits} bits")
    return Foreign(_text(repr(value)))


def _count(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"calls, retries and tokens are whole numbers of 0 or more, not {value!r}")
    return int(value)


def _price(value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        raise ValueError(f"dollars are a number of 0 or more, or None for an unknown price, not {value!r}")
    return float(value)


def _object(value: Mapping[str, object]) -> JsonObject:
    """A message of JSON's kinds; anything else in it as its own words."""
    if not isinstance(value, Mapping):
        raise TypeError(f"messages to and from a model are mappings, not {value!r}")
    return {_text(name): _json(each) for name, each in value.items()}


def _json(value: object) -> object:
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    plain = _plain(value)
    return plain.words if isinstance(plain, Foreign) else plain
