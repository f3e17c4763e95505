"""Everything that runs for nodes or on them: the scheduler, the kubelets, and those who watch over nodes."""

from __future__ import annotations

from pytest_selfrep.kubesim.controllers.base import Context, Controller
from pytest_selfrep.kubesim.usage import Usage


def node_agents(context: Context, usage: Usage) -> tuple[Controller, ...]:
    """The scheduler, kubelets, node controllers and the autoscaler (which reads ``usage``), to be registered."""
    return ()
