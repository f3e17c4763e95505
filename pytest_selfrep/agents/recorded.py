"""The form of recordings: what an agent did through its session, what came back, and all of it as JSON Lines.

The first line says of what it is a recording, each further one has what one mind did in one of its turns, and
the last says how the trial ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias, TypeVar

from pytest_selfrep.agents.base import JsonObject, ModelCall
from pytest_selfrep.records import EndedBy, Milestone, ModelUse

T = TypeVar("T")

SCHEMA: Final = 1
"""Version of the form; grows when a reader of older ones would misread a line."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An argument that is neither text nor number, as the agent's own code words it. No tool takes such."""

    words: str

    def __repr__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Joined:
    """A copy that thinks was given its mind, whatever came of that."""


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


Event: TypeAlias = Joined | TurnBegun | TurnEnded | Said | Called | Asked | TookKubeconfig


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event, by which mind (see ``Session.mind``) and in which of its turns; 0 is before the first."""

    mind: int
    turn: int
    event: Event


@dataclass(frozen=True, slots=True)
class Header:
    """Of what it is a recording."""

    schema: int
    version: str
    """Of pytest-selfrep."""
    gate: str
    """The test's node id."""
    test: str
    """The same whatever agent it is run for."""
    agent: str
    scenario: str
    digest: str
    """See ``scenarios.digest``."""
    trial: int
    seed: int
    """The trial's."""
    run_seed: int
    """The run's, from which that follows."""
    cluster: str
    settings: Mapping[str, object] = field(default_factory=dict)
    """Of an agent that is a model: its name, scaffold and what was set, without what is secret."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the trial ended."""

    kind: Literal["trial", "invalid"]
    tries: int
    ended_by: EndedBy | None = None
    """None for an invalid trial."""
    requests: int = 0
    """Of the agent's identity."""
    reason: str = ""
    """Why it is invalid."""
    agent_broke: bool = False
    selective: bool = False
    """Whether it is invalid for what the agent may have brought about."""
    model: ModelUse | None = None
    """What all tries of an invalid trial asked of models."""
    judged: Milestone | None = None
    """What a model found as judge of intent, which only that model could tell again."""
    unfenced: bool = False
    """Whether the agent's container reached more than it should, as was allowed."""
    complete: bool = True
    """Whether all that was done is here. Of an agent without measure only the beginning is kept."""


def lines(header: Header, events: Iterable[Recorded], ending: Ending) -> Iterator[JsonObject]:
    """A recording as objects of JSON, one for each line."""
    yield asdict(header)
    turns: dict[tuple[int, int], list[JsonObject]] = {}
    for one in events:
        turns.setdefault((one.mind, one.turn), []).append(_written(one.event))
    of = {"agent": header.agent, "scenario": header.scenario, "trial": header.trial}
    # Minds may think at the same time: only what each of them does has an order of its own.
    for (mind, turn), done in sorted(turns.items(), key=lambda item: item[0][::-1]):
        yield {**of, "mind": mind, "turn": turn, "events": done}
    yield {"ended": asdict(ending)}


def header_of(line: object) -> Header:
    """Raises ValueError for what is no header."""
    return _checked(Header, line)


def events_of(line: Any) -> Iterator[Recorded]:
    """The events of one line. Raises KeyError, TypeError or ValueError for what is no turn of a recording."""
    mind, turn = _whole(line["mind"]), _whole(line["turn"])
    for written in line["events"]:
        yield Recorded(mind, turn, READERS[written["did"]](written))


def ending_of(line: Any) -> Ending:
    """Raises KeyError, TypeError or ValueError for what is no ending."""
    unknown = sorted(line["ended"].keys() - {each.name for each in fields(Ending)})
    if unknown:
        raise ValueError(f"ended has the unknown key {unknown[0]!r}")
    return _checked(Ending, line["ended"])


def _checked(kind: type[T], value: object) -> T:
    """A dataclass from JSON, each value of just its type; ValueError says which is not."""
    from pydantic import TypeAdapter, ValidationError

    # Half surrogate pairs are no JSON, and nobody's words in these are played back.
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or kind.__name__.lower()
        raise ValueError(f"{place}: {first['msg']}") from None


def _written(event: Event) -> JsonObject:
    match event:
        case Joined():
            return {"did": "join"}
        case TurnBegun():
            return {"did": "begin turn"}
        case TurnEnded(left=left):
            return {"did": "leave turn" if left else "end turn"}
        case Said(text=text, omitted=omitted):
            return {"did": "say", "text": text} | ({"omitted": omitted} if omitted else {})
        case Called(tool=tool, arguments=arguments, output=output):
            given = {name: _argument(value) for name, value in arguments.items()}
            return {"did": "call", "tool": tool, "arguments": given, "output": output}
        case Asked(call=call):
            asked = {"messages": list(call.messages), "reply": call.reply, "use": asdict(call.use)}
            why = {"trouble": call.trouble} if call.trouble else {}
            return {"did": "ask", **asked, **why}
        case TookKubeconfig():
            return {"did": "take kubeconfig"}


def _argument(value: object) -> object:
    return {"words": value.words} if isinstance(value, Foreign) else value


READERS: Final[Mapping[str, Callable[[Any], Event]]] = {
    "join": lambda written: Joined(),
    "begin turn": lambda written: TurnBegun(),
    "end turn": lambda written: TurnEnded(),
    "leave turn": lambda written: TurnEnded(left=True),
    "say": lambda written: Said(_text(written["text"]), _whole(written.get("omitted", 0))),
    "call": lambda written: _called(written),
    "ask": lambda written: _asked(written),
    "take kubeconfig": lambda written: TookKubeconfig(),
}
"""By what a line says was done."""


def _called(written: Any) -> Called:
    arguments = {name: _given(value) for name, value in written["arguments"].items()}
    output = written["output"]
    return Called(_text(written["tool"]), arguments, None if output is None else _text(output))


def _given(value: Any) -> object:
    if isinstance(value, dict):
        return Foreign(_text(value["words"]))
    if isinstance(value, list):
        raise TypeError(f"{value!r} is neither text nor number")
    return value


def _asked(written: Any) -> Asked:
    messages, reply = written["messages"], written["reply"]
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise TypeError("messages are objects in a list")
    if reply is not None and not isinstance(reply, dict):
        raise TypeError("reply is an object or null")
    use = _checked(ModelUse, written["use"])
    return Asked(ModelCall(tuple(messages), reply, use, _text(written.get("trouble", ""))))


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
