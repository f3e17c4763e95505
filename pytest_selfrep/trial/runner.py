"""Runs one trial: a world, the course that the agent takes in it, and the record of what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from pytest_selfrep.agents.base import Agent
from pytest_selfrep.agents.replay import ReplayAgent
from pytest_selfrep.clusters.base import Cluster, World
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.records import EndedBy, Trial, Usage
from pytest_selfrep.report.family import family_in_figures, tree
from pytest_selfrep.trial import failures, replayed
from pytest_selfrep.trial.acted import ActedCourse, Notes
from pytest_selfrep.trial.census import Findings
from pytest_selfrep.trial.conduct import conduct_of
from pytest_selfrep.trial.gaps import gaps_of
from pytest_selfrep.trial.milestones import Evidence, milestones_of
from pytest_selfrep.trial.recording import Recording
from pytest_selfrep.trial.spending import Budget, Spending
from pytest_selfrep.trial.transcript import Transcript

if TYPE_CHECKING:
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.scenarios.model import Scenario
    from pytest_selfrep.trial.judge import Judge


@dataclass(frozen=True, slots=True)
class TrialRun:
    """A valid trial: its record, its transcript for people, and what its agent did."""

    record: Trial
    transcript: Transcript
    recording: Recording


def run_trial(
    scenario: Scenario,
    agent: Agent | ImageAgent,
    cluster: Cluster,
    *,
    index: int,
    seed: int,
    tries: int = 1,
    halt: Halt | None = None,
    budget: Budget | None = None,
    judge: Judge | None = None,
) -> TrialRun:
    """Run one trial to its end, in a world of its own, unless it is called off by ``halt``.

    ``budget`` is what all trials of the run together may take of models, and ``judge`` a model that looks for
    intent where deeds and plain words show none, except in a replay.

    Raises:
        AgentBroke: the agent raised, hung or answered nonsense, or its program did not run. Its limits end a
            trial without an error.
        HarnessBroke: the cluster, a tool or the harness broke.
        TrialInvalid: something else that the trial needs failed: a model's provider, a budget.
            In each case the trial is invalid: it says nothing of the agent's risk.
    """
    notes = Notes(Transcript(), Recording(), Spending(scenario.limits, _paid(agent, budget)))
    try:
        actor = replayed.actor(agent, scenario, index, seed, notes.transcript)
        # What a replay says was judged when it was recorded.
        asked = None if isinstance(agent, ReplayAgent) else judge
        return _run(scenario, actor, cluster, notes, index, seed, tries, halt or Halt(), asked)
    except failures.TrialInvalid as error:
        error.recording = notes.recording
        error.use = notes.spending.use or error.use
        _give_up(notes.transcript, str(error))
        raise


def _paid(agent: Agent | ImageAgent, budget: Budget | None) -> Budget | None:
    """What a replay asked of its model was paid for when it was recorded."""
    return None if isinstance(agent, ReplayAgent) else budget


def _run(
    scenario: Scenario,
    agent: Agent | ImageAgent,
    cluster: Cluster,
    notes: Notes,
    index: int,
    seed: int,
    tries: int,
    halt: Halt,
    judge: Judge | None,
) -> TrialRun:
    transcript = notes.transcript
    course: _Course | None = None
    try:
        with halt.over(), cluster.world(scenario, seed) as world, halt.reaching(world):
            scenario = world.scenario
            course = _course(agent, world, notes, seed)
            with halt.reaching(course):
                findings = _findings(course, agent, notes)
        evidence = Evidence(scenario, findings, transcript.said())
        milestones = replayed.judged(agent, milestones_of(evidence))
        if judge is not None:
            milestones = judge.completed(milestones, transcript.entries, seed)
        usage = course.usage(findings)
        ended_by, divergences = replayed.end(agent, course.ended_by or "finished", usage.requests)
        record = Trial(
            scenario=scenario.name,
            agent=agent.name,
            index=index,
            seed=seed,
            tries=replayed.tries(agent, tries),
            ended_by=ended_by,
            milestones=milestones,
            census=findings.census,
            attempts=findings.attempts,
            conduct=conduct_of(evidence),
            completed=findings.completed,
            usage=usage,
            approximations=replayed.approximations(agent, world.approximations),
            divergences=tuple(divergences),
            gaps=tuple(gaps_of(scenario, findings, ended_by, transcript.entries, course.mindless())),
        )
    except Exception as error:
        _raise_invalid(error, course, agent, notes)
    _conclude(transcript, record, scenario)
    return TrialRun(record, transcript, notes.recording)


def _findings(course: _Course, agent: Agent | ImageAgent, notes: Notes) -> Findings:
    """Raises TrialInvalid, and while the world is still there to say what the agent has done."""
    try:
        return course.run()
    except Exception as error:
        _raise_invalid(error, course, agent, notes)


def _raise_invalid(
    error: Exception, course: _Course | None, agent: Agent | ImageAgent, notes: Notes
) -> NoReturn:
    if isinstance(error, failures.TrialInvalid):
        found, cause = error, error.__cause__
    else:
        found = failures.of(error, agent.name, "outside the agent's turns", 0, notes.transcript)
        cause = error
    if course is not None:
        done = course.done()
        failures.weigh(found, replace(done, acted=done.acted or notes.recording.answered))
    raise found from cause


def _give_up(transcript: Transcript, why: str) -> None:
    """Why the trial is invalid, after all that happened until then."""
    turn, seconds = max(((entry.turn, entry.seconds) for entry in transcript.entries), default=(0, 0.0))
    transcript.add(turn, seconds, "ended", f"invalid: {why}")


def _conclude(transcript: Transcript, record: Trial, scenario: Scenario) -> None:
    """What was found out about the trial, each in its turn."""
    for words in record.approximations:
        transcript.add(0, 0.0, "world", words)
    for gap in record.gaps:
        transcript.add(0, 0.0, "world", gap.words)
    for words in record.divergences:
        transcript.add(0, 0.0, "replay", words)
    for milestone in record.milestones:
        words = f"{milestone.name}, by {milestone.evidence}: {milestone.quotation}"
        transcript.add(milestone.turn, milestone.seconds, "milestone", words)
    turn, seconds = record.usage.turns, record.census.final.seconds
    if record.census.generations:
        body = scenario.world.agent
        lines = tree(record.census.copies, f"{body.namespace}/{body.name}, the original")
        transcript.add(turn, seconds, "family", "\n".join([*lines, family_in_figures(record.census)]))
    transcript.add(turn, seconds, "ended", record.ended_by)


class _Course(Protocol):
    """A trial as it goes on."""

    @property
    def ended_by(self) -> EndedBy | None: ...

    def run(self) -> Findings:
        """From the task to the last census."""

    def done(self) -> failures.Done:
        """What the agent has done so far, its models left out."""

    def call_off(self) -> None:
        """Let the agent act no more, for nobody waits for it. May be called by any thread."""

    def usage(self, findings: Findings) -> Usage: ...

    def mindless(self) -> Sequence[str]:
        """Copies that should have thought and did not, and why."""


def _course(agent: Agent | ImageAgent, world: World, notes: Notes, seed: int) -> _Course:
    if isinstance(agent, Agent):
        return ActedCourse(agent, world, notes, seed)
    from pytest_selfrep.trial.watched import WatchedCourse

    return WatchedCourse(agent, world, notes.transcript)
