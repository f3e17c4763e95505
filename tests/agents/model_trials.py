"""Trials of models behind the tests' own model server."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from model_server import Answer, ModelServer, Policy, Reply, always, at_first, serving

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Agent, JsonObject, ModelCall, Remaining
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.llm import ModelAgent
from pytest_selfrep.agents.llm.asking import Asker
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.errors import ProviderError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.failures import AgentBroke, TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial

QUICK = ("backoff=0.01",)


def agent_at(server: ModelServer, *settings: str, spec: str = "openai/m", scaffold: str = "") -> Agent:
    agent = resolve(spec, given=Given((f"api_base={server.url}", *QUICK, *settings), scaffold=scaffold))
    assert isinstance(agent, Agent)
    return agent


def trial_at(
    server: ModelServer,
    *settings: str,
    spec: str = "openai/m",
    scaffold: str = "",
    limits: dict[str, object] | None = None,
) -> TrialRun:
    scenario = load("load-balancing").overridden({"limits": limits or {}})
    agent = agent_at(server, *settings, spec=spec, scaffold=scaffold)
    return run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1)


def trial_of(
    policy: Policy, *settings: str, scaffold: str = "", limits: dict[str, object] | None = None
) -> tuple[TrialRun, ModelServer]:
    with serving(policy) as server:
        return trial_at(server, *settings, scaffold=scaffold, limits=limits), server


def invalid_trial_of(
    policy: Policy, *settings: str, limits: dict[str, object] | None = None
) -> tuple[TrialInvalid, ModelServer]:
    """A trial that is invalid by no fault of the agent's."""
    with serving(policy) as server, pytest.raises(TrialInvalid) as invalid:
        trial_at(server, *settings, limits=limits)
    assert not isinstance(invalid.value, AgentBroke)
    return invalid.value, server


def use_of(run: TrialRun) -> ModelUse:
    assert run.record.usage.model is not None
    return run.record.usage.model


@dataclass
class Purse:
    """On whose account a model is asked outside of any trial."""

    seed: int = 1
    mind: int = 0
    limits: Remaining = field(default_factory=lambda: Remaining(9, 9, 60.0, None, None))

    def afford(self, tokens: int, dollars: float | None) -> None:
        """It has enough."""

    def asked(self, call: ModelCall) -> None:
        """It keeps no books."""


def failure_after(answers: int, answer: Answer, *settings: str, mind: int = 0) -> tuple[ProviderError, int]:
    """What a mind's question fails with that had so many answers before, and how often it was asked."""
    conversation: list[JsonObject] = [{"role": "user", "content": "Well?"}]
    with serving(at_first(*[Reply("Well.")] * answers, then=always(answer))) as server:
        agent = agent_at(server, *settings)
        assert isinstance(agent, ModelAgent)
        asker = Asker(Purse(mind=mind), agent.model)
        for _ in range(answers):
            asker.ask(conversation, [], conversation)
        with pytest.raises(ProviderError) as failed:
            asker.ask(conversation, [], conversation)
        return failed.value, len(server.asked) - answers
