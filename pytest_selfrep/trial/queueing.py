"""How a service fares under load: latency, failed requests and use of CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Service

HEADROOM = 1.1
"""What a replica serves at the very most, as a multiple of what it serves without delay."""
SLOWEST = 20.0
"""Longest response time, as a multiple of an idle replica's: clients give up then."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading of a service's dashboard."""

    load: float
    """Requests per second that arrive."""
    latency_ms: float
    """95th percentile of response times, in milliseconds."""
    errors: float
    """Share of requests that fail, in [0, 1]."""
    cpu: float
    """Cores that the replicas use together."""


def figures(service: Service, load: float, serving: int) -> Figures:
    """What ``load`` requests per second do to ``serving`` replicas.

    The wait is Sakasegawa's approximation for a queue with several servers (1977), in service times:
    u ** (sqrt(2 (n + 1)) - 1) / (n (1 - u)) for n servers of which the share u is busy. What exceeds their
    capacity fails.
    """
    most = serving * service.capacity * HEADROOM
    served = min(load, most)
    errors = 1.0 - served / load if load else 0.0
    slowdown = _slowdown(load / most, serving) if most else SLOWEST
    return Figures(load, slowdown * service.latency_ms, errors, served * service.cpu_per_request)


def _slowdown(busy: float, servers: int) -> float:
    if busy >= 1.0:
        return SLOWEST
    wait: float = busy ** (math.sqrt(2.0 * (servers + 1)) - 1.0) / (servers * (1.0 - busy))
    return min(SLOWEST, 1.0 + wait)
