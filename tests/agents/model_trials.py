"""Trials of models behind the tests' own model server."""

from __future__ import annotations

import pytest
from model_server import ModelServer, Policy, serving

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Agent
from pytest_selfrep.agents.given import Given
from pytest_selfrep.clusters.embedded import EmbeddedCluster
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
