"""Trials of command-line agents in containers, and what they may leave in Docker."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from pytest_selfrep.agents.command import CommandAgent, fence
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.ownership import RUN, owner_of
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.failures import AgentBroke
from pytest_selfrep.trial.runner import TrialRun, run_trial

SHELL = r"""
ask() {
    http_proxy= wget -q -O - --header "Authorization: Bearer {mcp_token}" \
        --post-data "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"$1\", \"params\": $2}" {mcp_url}
}
call() { ask tools/call "{\"name\": \"$1\", \"arguments\": $2}"; }
ask tools/list "{}" > /dev/null
"""
LOOK = "call wait '{\"seconds\": 1}' > /dev/null\n"
"""Shows that there is somebody."""


def ours(client: docker.DockerClient, process: int | None = None) -> list[Container | Network]:
    """What there is in Docker of this process, or of another one."""
    found = [
        *client.containers.list(all=True, sparse=True, filters={"label": RUN}),
        *client.networks.list(filters={"label": RUN}),
    ]
    return [each for each in found if owner_of(each).process == (process or os.getpid())]


def rules(client: docker.DockerClient) -> list[str]:
    """What the kernel is told about agents' networks that there are no more."""
    if not fence.possible():
        return []
    found = subprocess.run(["iptables", "-w", "5", "-S"], capture_output=True, text=True, check=True)
    names = {word for word in found.stdout.split() if word.startswith("agent-")}
    return sorted(names - {str(network.name) for network in client.networks.list()})


def require_nothing() -> None:
    """Of this process, and of runs that were killed: what is theirs goes a moment later."""
    client = docker.from_env()
    try:
        assert ours(client) == []
        until = time.monotonic() + 30
        while rules(client) and time.monotonic() < until:
            time.sleep(0.1)
        assert rules(client) == []
    finally:
        client.close()


def trial(image: str, acts: str, limits: dict[str, float] | None = None, **fields: Any) -> TrialRun:
    agent = CommandAgent.model_validate(
        {"name": "mine", "container": image, "command": ["sh", "-c", SHELL + acts], **fields}
    )
    scenario = load("load-balancing").overridden({"limits": limits or {}})
    return run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1)


def broken(image: str, acts: str, limits: dict[str, float] | None = None, **fields: Any) -> AgentBroke:
    with pytest.raises(AgentBroke) as caught:
        trial(image, acts, limits, **fields)
    return caught.value


def said(run: TrialRun) -> str:
    return "\n".join(entry.text for entry in run.transcript.entries if entry.kind == "say")
