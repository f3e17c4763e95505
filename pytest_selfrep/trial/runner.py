"""Runs one trial: a world, pressure turn by turn, the agent in its own thread, the census, the record."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.agents.base import Agent, Session, TrialEnded
from pytest_selfrep.clusters.base import Cluster, World
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.records import EndedBy, Trial, Usage
from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.trial import failures
from pytest_selfrep.trial.census import CensusTaker, Findings
from pytest_selfrep.trial.conduct import conduct_of
from pytest_selfrep.trial.facade import AgentSession
from pytest_selfrep.trial.milestones import Evidence, milestones_of
from pytest_selfrep.trial.pressure import Pressure, played
from pytest_selfrep.trial.session import Brief, TrialSession
from pytest_selfrep.trial.transcript import Transcript

if TYPE_CHECKING:
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.scenarios.model import Scenario

MARGIN = 1.0
"""Real seconds beyond its time after which an agent that does not come back counts as hanging."""


@dataclass(frozen=True, slots=True)
class TrialRun:
    """A valid trial: its record, and its transcript for people."""

    record: Trial
    transcript: Transcript


def run_trial(
    scenario: Scenario,
    agent: Agent | ImageAgent,
    cluster: Cluster,
    *,
    index: int,
    seed: int,
    tries: int = 1,
    halt: Halt | None = None,
) -> TrialRun:
    """Run one trial to its end, in a world of its own, unless it is called off by ``halt``.

    Raises:
        AgentBroke: the agent raised, hung or answered nonsense, or its program did not run. Its limits end a
            trial without an error.
        HarnessBroke: the cluster, a tool or the harness broke.
            Either way the trial is invalid: it says nothing of the agent's risk.
    """
    transcript = Transcript()
    halt = halt or Halt()
    try:
        with halt.over(), cluster.world(scenario, seed) as world, halt.reaching(world):
            scenario = world.scenario
            course = _course(agent, world, transcript, seed)
            findings = course.run()
        evidence = Evidence(scenario, findings, transcript.said())
        milestones = milestones_of(evidence)
        record = Trial(
            scenario=scenario.name,
            agent=agent.name,
            index=index,
            seed=seed,
            tries=tries,
            ended_by=course.ended_by or "finished",
            milestones=milestones,
            census=findings.census,
            attempts=findings.attempts,
            conduct=conduct_of(evidence),
            completed=findings.completed,
            usage=course.usage(findings),
            approximations=tuple(world.approximations),
        )
    except failures.TrialInvalid:
        raise
    except Exception as error:
        raise failures.of(error, agent.name, "outside the agent's turns", 0, transcript) from error
    _conclude(transcript, record)
    return TrialRun(record, transcript)


def _conclude(transcript: Transcript, record: Trial) -> None:
    """What was found out about the trial, each in its turn."""
    for words in record.approximations:
        transcript.add(0, 0.0, "world", words)
    for milestone in record.milestones:
        words = f"{milestone.name}, by {milestone.evidence}: {milestone.quotation}"
        transcript.add(milestone.turn, milestone.seconds, "milestone", words)
    transcript.add(record.usage.turns, record.census.final.seconds, "ended", record.ended_by)


class _Course(Protocol):
    """A trial as it goes on."""

    @property
    def ended_by(self) -> EndedBy | None: ...

    def run(self) -> Findings:
        """From the task to the last census."""

    def usage(self, findings: Findings) -> Usage: ...


def _course(agent: Agent | ImageAgent, world: World, transcript: Transcript, seed: int) -> _Course:
    if isinstance(agent, Agent):
        return _ActedCourse(agent, world, transcript, seed)
    from pytest_selfrep.trial.watched import WatchedCourse

    return WatchedCourse(agent, world, transcript)


class _ActedCourse:
    """Of an agent that acts through its session, of which this is the stage: what surrounds its acts."""

    def __init__(self, agent: Agent, world: World, transcript: Transcript, seed: int) -> None:
        scenario = world.scenario
        self._agent = agent
        self._scenario = scenario
        self._world = world
        self._transcript = transcript
        self._pressure = Pressure(scenario, world)
        self._census = CensusTaker(scenario, world)
        self._start = world.clock.now()
        body = scenario.world.agent
        tools = toolbox(shell=world.toolbox is not None)
        brief = Brief(scenario.task, seed, body.namespace, body.name, tools, world.kubeconfig)
        hands = Hands(world.agent, world.clock, body.namespace, world.agent_user, world.toolbox)
        self.session = TrialSession(brief, hands, scenario.limits, self, transcript)

    @property
    def ended_by(self) -> EndedBy | None:
        return self.session.ended_by

    def run(self) -> Findings:
        messages = self._play(0)
        self._census.begin()
        self._start = self._world.clock.now()
        self.session.begin(messages)
        try:
            _let_act(self._agent, self.session, self._transcript)
        finally:
            self.session.close()
        if self._scenario.settle_seconds:
            self._world.clock.sleep(self._scenario.settle_seconds)
        return self._census.close(self.session.turns, abandoned=self._abandoned())

    def usage(self, findings: Findings) -> Usage:
        requests = sum(deed.event.user == self._world.agent_user for deed in findings.deeds)
        return Usage(self.session.turns, self.session.tool_calls, requests)

    def begin(self, turn: int) -> Sequence[str]:
        messages = self._play(turn)
        self._census.demand(turn)
        return messages

    def acted(self, turn: int, words: str) -> None:
        self._census.heard(turn, words)

    def end(self, turn: int) -> EndedBy | None:
        self._world.clock.sleep(self._scenario.turn_seconds)
        self._census.observe(turn)
        return "copies" if self._census.live >= self._scenario.copies_limit else None

    def _abandoned(self) -> bool:
        """Whether pressure was still to come when the agent left off. Too many copies are no leaving off."""
        if self.session.ended_by == "copies":
            return False
        later = range(self.session.turns + 1, self._scenario.limits.turns + 1)
        return any(True for turn in later for _ in self._scenario.acts_at(turn))

    def _play(self, turn: int) -> list[str]:
        return played(self._pressure, turn, self._transcript, self._start)


def _let_act(agent: Agent, session: TrialSession, transcript: Transcript) -> None:
    """Have the agent act in a thread of its own until it returns or its session is over.

    The thread is a daemon: one that hangs cannot keep the process alive, nor act on.
    """
    outcome = _Outcome(session)
    thread = threading.Thread(target=outcome.fill, args=(agent.run,), name=f"agent {agent.name}", daemon=True)
    thread.start()
    limit = session.limit_seconds + MARGIN
    while not session.over.wait(max(0.01, session.remaining() + MARGIN)):
        if session.remaining() + MARGIN <= 0.0:
            raise failures.hung(agent.name, limit, session.turns, transcript)
    thread.join(MARGIN)
    session.drain()
    if session.failure is not None:
        error, turn = session.failure, session.turns
        raise failures.of(error, agent.name, f"in turn {turn}", turn, transcript) from error
    if session.ended_by is None:
        outcome.judge(agent.name, transcript)
        session.end("finished")


class _Outcome:
    """What came of the agent's thread."""

    def __init__(self, session: TrialSession) -> None:
        self._session = session
        self._error: BaseException | None = None
        self._value: object = None

    def fill(self, act: Callable[[Session], object]) -> None:
        try:
            value = act(AgentSession(self._session))
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            if isinstance(value, str):
                self._session.say(value)
            else:
                self._value = value
        except TrialEnded:
            pass
        except BaseException as error:  # SystemExit too: it must not end the trial unseen.
            self._error = error
        finally:
            self._session.close()

    def judge(self, agent: str, transcript: Transcript) -> None:
        """Raises AgentBroke when the agent did not end as agents should."""
        turn = self._session.turns
        if self._error is not None:
            raise failures.raised(agent, self._error, turn, transcript) from self._error
        if self._value is not None:
            raise failures.nonsense(agent, self._value, turn, transcript)
