"""What agents hold of their session, and agents that would break a trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from trial_scenes import shop

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Session, TrialEnded
from pytest_selfrep.agents.recorded import Called, Foreign
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.errors import AgentError
from pytest_selfrep.trial.failures import AgentBroke
from pytest_selfrep.trial.runner import TrialRun, run_trial
from pytest_selfrep.trial.session import LONGEST_CALL, MOST_SAID


def run(act: Callable[[Session], object], **fields: object) -> TrialRun:
    return run_trial(shop(**fields), resolve(act), EmbeddedCluster(), index=0, seed=1)


def broken(act: Callable[[Session], object]) -> AgentBroke:
    with pytest.raises(AgentBroke) as caught:
        run(act)
    return caught.value


@pytest.mark.parametrize("name", ["ended_by", "failure", "task", "call", "anything"])
def test_nothing_of_a_session_can_be_set(name: str) -> None:
    error = broken(lambda session: setattr(session, name, "copies"))
    assert "raised AttributeError" in str(error)


@pytest.mark.parametrize("name", ["end", "close", "over", "begin", "failure"])
def test_nothing_of_the_harness_shows_in_a_session(name: str) -> None:
    assert "raised AttributeError" in str(broken(lambda session: getattr(session, name) and None))


def test_tools_cannot_be_replaced() -> None:
    def replaces(session: Session) -> None:
        session.tools["kubectl"] = session.tools["wait"]  # type: ignore[index]  # That is what is tried.

    assert "raised TypeError" in str(broken(replaces))


class Spiteful:
    """Has no words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.say(Spiteful()),
        lambda session: session.kubectl(Spiteful()),
        lambda session: session.wait(Spiteful()),
        lambda session: session.call(Spiteful()),
        lambda session: session.finish(Spiteful()),
    ],
)
def test_code_of_the_agents_in_what_it_hands_over_fails_as_the_agents(
    act: Callable[[Session], object],
) -> None:
    assert "RuntimeError" in str(broken(act))


@pytest.mark.parametrize("value", [None, 5, 2.5, True, b"get pods", ["get", "pods"], {"a": 1}])
def test_arguments_of_wrong_types_are_answered(value: object) -> None:
    def hands_over(session: Session) -> None:
        assert session.call("kubectl", command=value).startswith("error: ")
        assert session.call("kubectl", command="get pods", stdin=value, more=value)
        assert session.call("wait", seconds=value)
        assert session.call("wait", spoon=value).startswith("error: ")
        assert session.call(str(value)).startswith("error: there is no tool")

    assert run(hands_over).record.ended_by == "finished"


def test_a_call_from_the_bottom_of_a_recursion_is_the_agents_failure() -> None:
    def descends(session: Session) -> None:
        try:
            descends(session)
        except RecursionError:
            session.kubectl("get pods")

    assert "RecursionError" in str(broken(descends))


def test_a_turn_left_by_an_exception_takes_its_time_and_counts() -> None:
    def stumbles(session: Session) -> None:
        while True:
            try:
                with session.turn():
                    session.wait(1)
                    raise ValueError
            except ValueError:
                pass

    record = run(stumbles, limits={"turns": 3}).record
    assert (record.ended_by, record.usage.turns) == ("turns", 3)
    assert record.census.final.seconds >= 3 * 30.0


def test_a_call_under_way_in_another_thread_is_over_before_the_last_census() -> None:
    ended = []

    def leaves_one_behind(session: Session) -> None:
        def waits() -> None:
            try:
                while True:
                    session.wait(600)
            except TrialEnded:
                ended.append(True)

        threading.Thread(target=waits, daemon=True).start()
        while not session.kubectl("get pods"):
            pass

    for _ in range(5):
        run(leaves_one_behind, limits={"turns": 50})
    for _ in range(100):
        if len(ended) == 5:
            break
        time.sleep(0.05)
    assert ended == [True] * 5


def test_an_agent_that_ignores_the_end_does_not_keep_a_processor_busy() -> None:
    calls = []
    stop = threading.Event()

    def ignores(session: Session) -> None:
        while not stop.is_set():
            try:
                session.wait(1)
            except TrialEnded:
                calls.append(True)

    run(ignores, limits={"turns": 1})
    time.sleep(0.3)
    stop.set()
    # It is stopped within the second for which the trial waits for its thread.
    assert 100 < len(calls) < 400


def test_words_without_end_are_not_kept() -> None:
    def chatters(session: Session) -> None:
        for _ in range(3 * MOST_SAID // 1000):
            session.say("I will start copies of myself and " * 30)
        session.wait(1)

    transcript = run(chatters).transcript
    assert sum(len(entry.text) for entry in transcript.said()) < 1.1 * MOST_SAID


def test_a_manifest_without_end_is_answered_and_not_kept() -> None:
    def floods(session: Session) -> None:
        assert "at most" in session.kubectl("create -f -", stdin="x" * 20_000_000)

    assert len(run(floods).transcript.render()) < 3 * LONGEST_CALL


def test_the_reason_why_a_trial_is_invalid_is_the_same_each_time() -> None:
    def nonsense(session: Session) -> object:
        return object()

    reasons = {str(broken(nonsense)) for _ in range(3)}
    assert len(reasons) == 1
    assert "returned <object object> in turn 0" in reasons.pop()
    assert issubclass(AgentBroke, AgentError)


def test_calling_a_tool_as_a_function_is_a_call() -> None:
    def acts(session: Session) -> None:
        session.functions["wait"](seconds=2)
        session.functions["finish"]("All well.")

    ran = run(acts)
    assert (ran.record.ended_by, ran.record.usage.tool_calls) == ("finished", 2)
    assert ran.transcript.said()[0].text == "All well."


def test_a_recording_has_what_the_agent_did_in_order() -> None:
    def acts(session: Session) -> None:
        session.say("First.")
        with session.turn():
            session.wait(1)
        session.call("teleport", where={"x": 1})

    events = run(acts).recording.events
    assert [(one.mind, one.turn, type(one.event).__name__) for one in events] == [
        (0, 0, "Said"),
        (0, 1, "TurnBegun"),
        (0, 1, "Called"),
        (0, 1, "TurnEnded"),
        (0, 2, "Called"),
    ]
    assert events[-1].event == Called(
        "teleport",
        {"where": Foreign("{'x': 1}")},
        "error: there is no tool 'teleport'. Tools: kubectl, wait, finish",
    )


def test_an_invalid_trial_has_a_recording_too() -> None:
    def breaks(session: Session) -> None:
        session.wait(1)
        raise RuntimeError

    assert len(broken(breaks).recording.events) == 1


def test_a_number_without_measure_is_answered_as_any_nonsense() -> None:
    def counts(session: Session) -> None:
        assert session.wait(10**5000).startswith('error: "seconds" must be a number')

    (called,) = (one.event for one in run(counts).recording.events)
    assert isinstance(called, Called)
    assert called.arguments == {"seconds": Foreign("a whole number of 16610 bits")}
