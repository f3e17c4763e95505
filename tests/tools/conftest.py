"""A cluster with a Deployment ``web`` of two pods, and terminals on it."""

from __future__ import annotations

import pytest
from tools_driver import Terminal, agent_of, cluster_with_two_nodes


@pytest.fixture
def empty() -> Terminal:
    return cluster_with_two_nodes()


@pytest.fixture
def kubectl(empty: Terminal) -> Terminal:
    """An administrator's terminal on a cluster with ``web`` running."""
    empty("create deployment web --image=registry.local/web:1 --replicas=2")
    empty.let_pass(20)
    return empty


@pytest.fixture
def agent(kubectl: Terminal) -> Terminal:
    """The terminal of a service account with few rights."""
    return agent_of(kubectl)
