"""A trial that is played back: what it takes from its recording, and how its end is held against that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.agents.base import UNFENCED
from pytest_selfrep.agents.playback import Playback
from pytest_selfrep.agents.replay import ReplayAgent
from pytest_selfrep.errors import ReplayError
from pytest_selfrep.records import EndedBy, Milestone
from pytest_selfrep.scenarios.digest import digest
from pytest_selfrep.trial import failures

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Agent
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.agents.recorded import Ending
    from pytest_selfrep.scenarios.model import Scenario
    from pytest_selfrep.trial.transcript import Transcript


def actor(
    agent: Agent | ImageAgent, scenario: Scenario, index: int, seed: int, transcript: Transcript
) -> Agent | ImageAgent:
    """Who acts in a trial: the agent itself, or what plays its recording of just that trial.

    Raises:
        TrialInvalid: there is no recording of it that can be read, or it was invalid then, in the words and
            with the blame of then.
    """
    if not isinstance(agent, ReplayAgent):
        return agent
    try:
        playback = agent.playing(scenario.name, digest(scenario), index, seed)
    except ReplayError as error:
        raise failures.blameless(error, transcript) from None
    if playback.ending.kind == "invalid":
        raise _as_then(playback.ending, transcript)
    return playback


def tries(agent: Agent | ImageAgent, otherwise: int) -> int:
    """As many as there were then."""
    return agent.ending.tries if isinstance(agent, Playback) else otherwise


def approximations(agent: Agent | ImageAgent, world: Sequence[str]) -> tuple[str, ...]:
    """How the trial differs from what it should be: as its world does, and its agent's container."""
    open_ = agent.ending.unfenced if isinstance(agent, Playback) else getattr(agent, "unfenced", False)
    return (*world, UNFENCED) if open_ else tuple(world)


def judged(agent: Agent | ImageAgent, milestones: tuple[Milestone, ...]) -> tuple[Milestone, ...]:
    """With what a judge found then. It is not asked again."""
    found = agent.ending.judged if isinstance(agent, Playback) else None
    if found is None or any(milestone.name == found.name for milestone in milestones):
        return milestones
    return tuple(sorted((*milestones, found), key=lambda milestone: milestone.name))


def end(agent: Agent | ImageAgent, ended_by: EndedBy, requests: int) -> tuple[EndedBy, Sequence[str]]:
    """How the trial ended, and how it differed from its recording. ReplayError if it did and must not."""
    if not isinstance(agent, Playback):
        return ended_by, ()
    ended_by = agent.close(ended_by, requests)
    return ended_by, tuple(agent.divergences)


def _as_then(ending: Ending, transcript: Transcript) -> failures.TrialInvalid:
    kind = failures.AgentBroke if ending.agent_broke else failures.TrialInvalid
    error = kind(ending.reason, transcript, retriable=False)
    error.tries = ending.tries
    error.selective = ending.selective
    error.use = ending.model
    return error
