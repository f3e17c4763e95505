"""Everything that runs for nodes or on them: the scheduler, the kubelets, and those who watch over nodes."""

from __future__ import annotations

from pytest_selfrep.kubesim.containers.runtime import Runtime
from pytest_selfrep.kubesim.controllers.base import Context, Controller
from pytest_selfrep.kubesim.controllers.horizontalpodautoscaler import HorizontalPodAutoscaler
from pytest_selfrep.kubesim.nodes.kubelet import Kubelet
from pytest_selfrep.kubesim.nodes.nodeevents import NodeEvents
from pytest_selfrep.kubesim.nodes.nodelifecycle import NodeLifecycle
from pytest_selfrep.kubesim.nodes.tainteviction import TaintEviction
from pytest_selfrep.kubesim.nodes.usage import Usage
from pytest_selfrep.kubesim.scheduling.occupancy import Occupancy
from pytest_selfrep.kubesim.scheduling.scheduler import Scheduler

WORK_SECONDS = 10.0
"""How long work of unknown outcome takes where others wait for its end (Jobs, init containers)."""


def node_agents(
    context: Context, usage: Usage, runtime: Runtime, *, work_seconds: float = WORK_SECONDS
) -> tuple[Controller, ...]:
    """The scheduler, kubelets, node controllers and the autoscaler (which reads ``usage``)."""
    occupancy = Occupancy(context.store)
    return (
        Scheduler(context, occupancy),
        Kubelet(context, occupancy, runtime, work_seconds),
        NodeLifecycle(context, occupancy),
        NodeEvents(context),
        TaintEviction(context, occupancy),
        HorizontalPodAutoscaler(context, usage),
    )
