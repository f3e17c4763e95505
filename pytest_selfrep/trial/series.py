"""The trials of one gate: run concurrently, retried when they break, handed out and recorded in order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Final

from pytest_selfrep.agents.base import UNFENCED, Agent
from pytest_selfrep.agents.llm import ModelAgent
from pytest_selfrep.agents.recorded import SCHEMA, Ending, Header, lines
from pytest_selfrep.agents.replay import ReplayAgent
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.errors import AgentError
from pytest_selfrep.records import InvalidTrial, Trial, both
from pytest_selfrep.scenarios.digest import digest
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.ordered import Ordered
from pytest_selfrep.trial.runner import run_trial

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import JsonObject
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.clusters.base import Cluster
    from pytest_selfrep.report.journal import Journal
    from pytest_selfrep.risk.asking import Asked, Terms
    from pytest_selfrep.scenarios.model import Scenario
    from pytest_selfrep.trial.judge import Judge
    from pytest_selfrep.trial.recording import Recording
    from pytest_selfrep.trial.spending import Budget

TRIES: Final = 3
"""How often a trial is tried before it is given up as invalid."""

INVALID_IN_A_ROW: Final = 3
"""Given-up trials after which a gate is given up too: what is broken will not mend itself."""

FAREWELL_SECONDS: Final = 1.0
"""How long a gate waits, once it has its verdict, for trials under way to take down their worlds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gate is about."""

    gate: str
    """The test's node id."""
    scenario: Scenario
    agent: Agent | ImageAgent
    cluster: Cluster
    seed: int
    jobs: int
    budget: Budget | None = None
    """What all trials of the run together may take of models."""
    judge: Judge | None = None
    """Looks for intent where deeds and plain words show none."""
    test: str = ""
    """The test whatever agent it is run for; empty for one that is run for no other."""


@dataclass(frozen=True, slots=True)
class _Finished:
    outcome: Trial | InvalidTrial
    transcript: str
    recording: tuple[JsonObject, ...]
    started: datetime
    seconds: float
    stops: str
    """Why the gate needs no more trials after it; empty if it does."""


class Series:
    """Outcomes so far, and more on demand."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._outcomes: list[Trial | InvalidTrial] = []
        self._transcripts: dict[int, str] = {}
        self._ahead = Ordered(self._run, plan.scenario.trials, plan.jobs)
        self._halt = Halt()
        self._interrupted = False
        self.given_up = ""
        """Why no more trials will be run although some are left; empty as long as they will."""

    @property
    def outcomes(self) -> Sequence[Trial | InvalidTrial]:
        """Valid and invalid trials in trial order."""
        return tuple(self._outcomes)

    @property
    def transcripts(self) -> dict[int, str]:
        """Where the transcript of each trial is, by its index, as a path for people to open."""
        return dict(self._transcripts)

    @property
    def exhausted(self) -> bool:
        """Whether there is no further trial to be had."""
        return bool(self.given_up) or len(self._outcomes) >= self._plan.scenario.trials

    def next(self) -> Trial | InvalidTrial:
        """Wait for the next trial, and record it before it counts.

        Raises:
            ReportError: it cannot be recorded.
        """
        try:
            done = self._ahead.take()
            path = self._journal.append(
                self._plan.gate,
                done.outcome,
                done.transcript,
                done.recording,
                started=done.started,
                seconds=done.seconds,
            )
        except BaseException:
            self._interrupted = True
            raise
        self._outcomes.append(done.outcome)
        self._transcripts[done.outcome.index] = path
        self.given_up = self._reason_to_give_up(done)
        return done.outcome

    def ask(self, asked: Asked, terms: Terms) -> None:
        """Write down what the gate is asked, so that it can be asked again without running a trial.

        Raises:
            ReportError: it cannot be recorded.
        """
        plan = self._plan
        facts = {
            "scenario": plan.scenario.name,
            "agent": plan.agent.name,
            "settings": _settings(plan.agent),
            "cluster": plan.cluster.name,
            "seed": plan.seed,
            "terms": asdict(terms),
            "question": asdict(asked),
        }
        self._journal.ask(plan.gate, facts)

    def close(self) -> None:
        """Run no more trials. What is under way is not waited for if an error or Ctrl-C came before."""
        self._halt.call()
        self._ahead.close(patience=0.0 if self._interrupted else FAREWELL_SECONDS)

    def _reason_to_give_up(self, done: _Finished) -> str:
        if isinstance(done.outcome, Trial):
            return ""
        if done.stops:
            return done.stops
        last = self._outcomes[-INVALID_IN_A_ROW:]
        if len(last) == INVALID_IN_A_ROW and all(isinstance(one, InvalidTrial) for one in last):
            return f"stopped after {INVALID_IN_A_ROW} invalid trials in a row"
        return ""

    def _run(self, index: int) -> _Finished:
        plan = self._plan
        agent = plan.agent
        if isinstance(agent, ReplayAgent):
            agent = agent.within(plan.test or plan.gate)
        seed = trial_seed(plan.seed, plan.scenario.name, plan.agent.name, index)
        started, begun = datetime.now(UTC), time.monotonic()
        tries, used = 1, None
        while True:
            try:
                run = run_trial(
                    plan.scenario,
                    agent,
                    plan.cluster,
                    index=index,
                    seed=seed,
                    tries=tries,
                    halt=self._halt,
                    budget=plan.budget,
                    judge=plan.judge,
                )
            except TrialInvalid as error:
                used = both(used, error.use)
                if error.retriable and tries < TRIES and not self._halt.called:
                    tries += 1
                    continue
                outcome: Trial | InvalidTrial = InvalidTrial(
                    plan.scenario.name, plan.agent.name, index, seed, error.tries or tries, str(error), used
                )
                transcript, recording = error.transcript, error.recording
                invalid: TrialInvalid | None = error
            else:
                outcome, transcript, recording = run.record, run.transcript, run.recording
                invalid = None
            return _Finished(
                outcome,
                transcript.render(),
                tuple(self._lines(outcome, recording, invalid)),
                started,
                time.monotonic() - begun,
                "" if invalid is None else _stopping(invalid),
            )

    def _lines(
        self, outcome: Trial | InvalidTrial, recording: Recording, invalid: TrialInvalid | None
    ) -> Iterable[JsonObject]:
        """Of the recording; none of an agent that acts by itself, past all tools."""
        plan = self._plan
        if not isinstance(plan.agent, Agent):
            return ()
        header = Header(
            schema=SCHEMA,
            version=metadata.version("pytest-selfrep"),
            gate=plan.gate,
            test=plan.test or plan.gate,
            agent=outcome.agent,
            scenario=outcome.scenario,
            digest=digest(plan.scenario),
            trial=outcome.index,
            seed=outcome.seed,
            run_seed=plan.seed,
            cluster=plan.cluster.name,
            settings=_settings(plan.agent),
        )
        if isinstance(outcome, Trial):
            judged = next((one for one in outcome.milestones if one.evidence == "judge"), None)
            requests = outcome.usage.requests
            ending = Ending(
                "trial",
                outcome.tries,
                outcome.ended_by,
                requests,
                judged=judged,
                unfenced=UNFENCED in outcome.approximations,
            )
        else:
            ending = Ending(
                "invalid",
                outcome.tries,
                reason=outcome.reason,
                model=outcome.model,
                agent_broke=isinstance(invalid, AgentError),
                selective=invalid is not None and invalid.selective,
            )
        return lines(header, recording.events, replace(ending, complete=recording.complete))


def _settings(agent: Agent | ImageAgent) -> Mapping[str, object]:
    return agent.settings if isinstance(agent, ModelAgent | ReplayAgent) else {}


def _stopping(invalid: TrialInvalid) -> str:
    """Why there are to be no trials after this one: they would make look safe whom it made look bad."""
    if isinstance(invalid, AgentError):
        return "stopped, for the agent itself broke"
    if invalid.selective:
        return "stopped, for what the agent did may have brought that about"
    return ""


def trial_seed(seed: int, scenario: str, agent: str, index: int) -> int:
    """The seed of one trial, below 2**48 so that every JSON reader keeps it.

    It depends on nothing else: not on the number of jobs or workers, nor on the order of tests. Another try
    of a broken trial has the same seed, and there is none where the agent had acted (failures.weigh), so
    that trials that break do not get a second draw.
    """
    text = "\0".join((str(seed), scenario, agent, str(index)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
