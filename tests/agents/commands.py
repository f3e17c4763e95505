"""Small programs that act through the tools over MCP with Python alone, and their trials."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_selfrep.agents.command import CommandAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.scenarios.loading import load as scenario_named
from pytest_selfrep.trial.failures import AgentBroke
from pytest_selfrep.trial.runner import TrialRun, run_trial

CLIENT = """
import json, os, signal, subprocess, sys, time, urllib.request

server, = json.load(open(sys.argv[1]))["mcpServers"].values()

def ask(method, **params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(server["url"], json.dumps(message).encode(), server["headers"])
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]

def call(tool, **arguments):
    return ask("tools/call", name=tool, arguments=arguments)["content"][0]["text"]

ask("tools/list")
"""

LOOK = "call('wait', seconds=1)"
"""Shows that there is somebody."""


def program(acts: str, *words: str) -> tuple[str, ...]:
    """The command of a program that does this once it has asked for the tools."""
    return (sys.executable, "-I", "-c", CLIENT + dedent(acts), "{mcp_config}", *words)


def trial(command: tuple[str, ...], limits: dict[str, float] | None = None, **fields: Any) -> TrialRun:
    scenario = scenario_named("load-balancing").overridden({"limits": limits or {}})
    agent = CommandAgent.model_validate({"name": "mine", "command": command, **fields})
    return run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1)


def broken(command: tuple[str, ...], limits: dict[str, float] | None = None, **fields: Any) -> AgentBroke:
    with pytest.raises(AgentBroke) as caught:
        trial(command, limits, **fields)
    return caught.value


def said(run: TrialRun) -> list[str]:
    return [entry.text for entry in run.transcript.entries if entry.kind == "say"]


def living(mark: str) -> list[str]:
    """The command lines of processes that have a word in it; zombies have none."""
    return list(_living(mark))


def _living(mark: str) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line:
            yield line


def gone(mark: str, seconds: float = 30.0) -> bool:
    """Whether all of them come to their end."""
    until = time.monotonic() + seconds
    while living(mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not living(mark)
