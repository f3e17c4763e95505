"""Which pods a ReplicaSet deletes first when it scales down (ActivePodsWithRanks)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.controllers.common import phase_of
from pytest_selfrep.kubesim.decoding.gonumbers import int_or
from pytest_selfrep.kubesim.objects import Object, condition, is_ready

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

Rank = tuple[bool, int, bool, int, int, int, int, int, str]


def in_deletion_order(pods: Sequence[Object], related: Sequence[Object], clock: Clock) -> list[Object]:
    """``pods``, those to go first in front.

    ``related`` are all pods of the same Deployment: a node that has more of them loses one earlier.
    """
    on_node: dict[str, int] = {}
    for pod in related:
        node = pod["spec"].get("nodeName", "")
        on_node[node] = on_node.get(node, 0) + 1
    return sorted(pods, key=lambda pod: _rank(pod, on_node.get(pod["spec"].get("nodeName", ""), 0), clock))


def _rank(pod: Object, crowd: int, clock: Clock) -> Rank:
    """Unassigned, pending, unready, cheap, crowded, newly ready, often restarted, young: these go first."""
    ready = is_ready(pod)
    since = (condition(pod, "Ready") or {}).get("lastTransitionTime") if ready else None
    restarts = sum(
        each.get("restartCount", 0) for each in pod.get("status", {}).get("containerStatuses") or ()
    )
    return (
        bool(pod["spec"].get("nodeName")),
        _PHASES.get(phase_of(pod), 1),
        ready,
        _cost(pod),
        -crowd,
        _age(since, clock),
        -restarts,
        _age(pod["metadata"].get("creationTimestamp"), clock),
        pod["metadata"]["uid"],
    )


def _cost(pod: Object) -> int:
    return int_or((pod["metadata"].get("annotations") or {}).get(DELETION_COST), 0)


def _age(timestamp: str | None, clock: Clock) -> int:
    """The binary logarithm of an age in whole steps: pods of about one age count as equally old."""
    seconds = clock.now - clock.seconds_at(timestamp) if timestamp else 0.0
    return math.floor(math.log2(seconds * 1e9)) if seconds > 0 else -1
