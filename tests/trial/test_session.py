"""The agent's side of a trial: turns, messages, limits, and nothing after the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_selfrep.agents.base import TrialEnded
from pytest_selfrep.clusters.kube import Call, KubeClient, Reply
from pytest_selfrep.records import EndedBy
from pytest_selfrep.scenarios.model import Limits
from pytest_selfrep.tools.base import Finished, Hands, JsonSchema
from pytest_selfrep.trial.session import Brief, TrialSession
from pytest_selfrep.trial.transcript import Transcript


class Unreachable:
    def send(self, call: Call) -> Reply:
        raise AssertionError(f"no test here reaches a cluster: {call}")


@dataclass
class Clock:
    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Act:
    name: str
    act: Callable[[Mapping[str, object]], str]
    description: str = "acts"
    parameters: JsonSchema = field(default_factory=dict)

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        return self.act(arguments)


@dataclass
class Stage:
    """Keeps what the session told it, in order."""

    notices: Mapping[int, Sequence[str]] = field(default_factory=dict)
    ends: EndedBy | None = None
    heard: list[str] = field(default_factory=list)

    def admit(self) -> None:
        """It may act at any time."""

    def begin(self, turn: int) -> Sequence[str]:
        self.heard.append(f"begin {turn}")
        return self.notices.get(turn, ())

    def acted(self, turn: int, words: str) -> None:
        self.heard.append(words)

    def end(self, turn: int) -> EndedBy | None:
        self.heard.append(f"end {turn}")
        return self.ends


def finish(arguments: Mapping[str, object]) -> str:
    raise Finished(str(arguments.get("summary", "")))


def break_down(arguments: Mapping[str, object]) -> str:
    raise RuntimeError("the cluster is gone")


TOOLS = {
    tool.name: tool
    for tool in (
        Act("kubectl", lambda arguments: f"ran {arguments['command']}\n"),
        Act("finish", finish),
        Act("broken", break_down),
    )
}


def session_of(stage: Stage, messages: Sequence[str] = (), **limits: float) -> TrialSession:
    brief = Brief("Keep it up.", 7, "shop", "web", TOOLS, lambda: Path("/nowhere"))
    hands = Hands(KubeClient(Unreachable()), Clock(), "shop", "system:serviceaccount:shop:web")
    session = TrialSession(brief, hands, Limits.model_validate(limits), stage, Transcript())
    session.begin(messages)
    return session


def test_each_tool_call_is_a_turn_of_its_own() -> None:
    stage = Stage()
    session = session_of(stage)
    session.kubectl("get pods")
    session.kubectl("get nodes")
    assert stage.heard == ["begin 1", "kubectl get pods", "end 1", "begin 2", "kubectl get nodes", "end 2"]
    assert (session.turns, session.tool_calls) == (2, 2)


def test_several_calls_can_be_one_turn() -> None:
    stage = Stage()
    session = session_of(stage)
    with session.turn() as turn:
        session.kubectl("get pods")
        with session.turn() as inner:
            session.kubectl("get nodes")
    assert turn == inner == 1
    assert stage.heard == ["begin 1", "kubectl get pods", "kubectl get nodes", "end 1"]


def test_saying_something_costs_no_turn() -> None:
    stage = Stage()
    session_of(stage).say("Let me see.")
    assert stage.heard == []


def test_messages_reach_the_agent_once_with_its_next_output() -> None:
    session = session_of(
        Stage(notices={2: ["Message from ops:\nSoon."]}), messages=["Message from ops:\nHello."]
    )
    assert session.kubectl("a") == "ran a\n\nMessage from ops:\nHello."
    assert session.kubectl("b") == "ran b\n\nMessage from ops:\nSoon."
    assert session.kubectl("c") == "ran c\n"


def test_an_unknown_tool_is_an_answer_to_read() -> None:
    assert (
        session_of(Stage()).call("teleport")
        == "error: there is no tool 'teleport'. Tools: kubectl, finish, broken"
    )


def test_finishing_begins_no_turn_and_ends_the_trial() -> None:
    stage = Stage()
    session = session_of(stage)
    session.kubectl("get pods")
    with pytest.raises(TrialEnded):
        session.finish("All well.")
    assert (session.ended_by, session.turns) == ("finished", 1)
    assert stage.heard[-1] == "end 1"


def test_the_last_turn_ends_the_trial() -> None:
    session = session_of(Stage(), turns=2)
    session.kubectl("a")
    with pytest.raises(TrialEnded):
        session.kubectl("b")
    assert session.ended_by == "turns"


def call_twice(session: TrialSession) -> None:
    with session.turn():
        session.kubectl("a")
        session.kubectl("b")


def test_the_last_tool_call_ends_the_trial_with_its_turn() -> None:
    session = session_of(Stage(), tool_calls=2)
    with pytest.raises(TrialEnded):
        call_twice(session)
    assert (session.ended_by, session.tool_calls) == ("tool_calls", 2)


def test_one_tool_call_too_many_within_a_turn_is_not_made() -> None:
    stage = Stage()
    session = session_of(stage, tool_calls=1)
    with pytest.raises(TrialEnded):
        call_twice(session)
    assert "kubectl b" not in stage.heard
    assert session.ended_by == "tool_calls"


def test_a_call_after_the_time_is_up_ends_the_trial() -> None:
    session = session_of(Stage(), seconds=0.01)
    time.sleep(0.02)
    with pytest.raises(TrialEnded):
        session.kubectl("a")
    assert (session.ended_by, session.tool_calls) == ("seconds", 0)


def test_time_within_a_tool_is_not_the_agents() -> None:
    slow = Stage()
    slow.heard = Slow()
    session = session_of(slow, seconds=0.04)
    session.kubectl("a")
    session.kubectl("b")
    assert session.remaining() > 0


class Slow(list[str]):
    """Somewhere to tell things to that takes its time."""

    def append(self, words: str) -> None:
        time.sleep(0.01)
        super().append(words)


def test_what_the_stage_says_ends_the_trial() -> None:
    session = session_of(Stage(ends="copies"))
    with pytest.raises(TrialEnded):
        session.kubectl("a")
    assert session.ended_by == "copies"


def test_after_the_end_every_call_raises() -> None:
    stage = Stage()
    session = session_of(stage)
    session.close()
    for act in (lambda: session.kubectl("a"), lambda: session.say("b"), lambda: session.kubeconfig):
        with pytest.raises(TrialEnded):
            act()
    assert stage.heard == []


def test_an_error_of_ours_is_kept_from_the_agent() -> None:
    session = session_of(Stage())
    with pytest.raises(TrialEnded):
        session.call("broken")
    assert isinstance(session.failure, RuntimeError)
    assert session.ended_by is None


def test_a_manifest_stands_under_the_command_in_the_transcript() -> None:
    stage = Stage()
    session_of(stage).kubectl("create -f -", stdin="kind: Pod\n")
    assert stage.heard[1] == "kubectl create -f - <<EOF\nkind: Pod\nEOF"


def test_what_is_left_of_the_limits_shrinks_with_each_call() -> None:
    session = session_of(Stage(), turns=3, tool_calls=5, seconds=60)
    session.kubectl("a")
    left = session.limits
    assert (left.turns, left.tool_calls, left.tokens, left.dollars) == (2, 4, None, None)
    assert 0 < left.seconds <= 60


def test_tools_are_functions_and_schemas_too() -> None:
    session = session_of(Stage())
    assert [schema["function"]["name"] for schema in session.schemas] == list(TOOLS)  # type: ignore[index]
    assert list(session.functions) == list(TOOLS)
