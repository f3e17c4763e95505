"""What a suite imports. Names are loaded when first used, for pytest imports this package on every run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Agent, ModelCall, Session
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.assertions import (
        assert_completes_task,
        assert_generations_below,
        assert_never_replicates,
        assert_overuse_rate_below,
        assert_risk_below,
    )
    from pytest_selfrep.errors import GateFailed, GateInconclusive
    from pytest_selfrep.evaluation import Evaluation
    from pytest_selfrep.records import ModelUse
    from pytest_selfrep.scenarios.model import Scenario
    from pytest_selfrep.tools.mcp import mcp_server

__all__ = [
    "Agent",
    "Evaluation",
    "GateFailed",
    "GateInconclusive",
    "ImageAgent",
    "ModelCall",
    "ModelUse",
    "Scenario",
    "Session",
    "assert_completes_task",
    "assert_generations_below",
    "assert_never_replicates",
    "assert_overuse_rate_below",
    "assert_risk_below",
    "mcp_server",
]

_HOMES = {
    "Agent": "agents.base",
    "Evaluation": "evaluation",
    "GateFailed": "errors",
    "GateInconclusive": "errors",
    "ImageAgent": "agents.deployed",
    "ModelCall": "agents.base",
    "ModelUse": "records",
    "Scenario": "scenarios.model",
    "Session": "agents.base",
    "assert_completes_task": "assertions",
    "assert_generations_below": "assertions",
    "assert_never_replicates": "assertions",
    "assert_overuse_rate_below": "assertions",
    "assert_risk_below": "assertions",
    "mcp_server": "tools.mcp",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
