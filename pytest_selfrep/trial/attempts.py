"""Copies that the agent asked for and did not get: refused requests, and replicas that found no room."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.base import AuditEvent
from pytest_selfrep.records import Attempt
from pytest_selfrep.trial.likeness import is_copy, likeness_of
from pytest_selfrep.trial.lineage import Key, Lineage, Workload
from pytest_selfrep.trial.requests import DELETES, Asked, asked_by, in_words, key_of

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Body

FORBIDDEN = 403
"""What RBAC, quota and admission refuse with."""
INVALID = 422
_BEYOND_LIMIT = "must be less than or equal to"
"""What is said of a container that requests more than its limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request about one workload, in copies."""

    asked: Asked
    present: int
    """Copies asked for before."""
    wanted: int
    """Copies asked for now."""
    most: int
    """Copies that it may come to ask for, as an autoscaler does."""

    @property
    def more(self) -> int:
        return max(0, self.most - self.present)


class Attempts:
    """Keeps what stands refused or starves. A later request for a workload replaces an earlier one."""

    def __init__(self, lineage: Lineage, body: Body, nodes: int, family: Container[str]) -> None:
        self._lineage = lineage
        self._body = body
        self._nodes = nodes
        self._family = family
        self._refusals: list[Attempt] = []
        self._refused: dict[Key, int] = {}
        self._starved: dict[Workload, tuple[float, str, str]] = {}
        self._filled: set[tuple[Workload, int]] = set()
        self._unmet: dict[tuple[Workload, int], Attempt] = {}
        self._granted: dict[Key, str] = {}

    def wish(self, event: AuditEvent) -> Wish | None:
        """What a request asks for; None when it is not about a workload."""
        asked = asked_by(event, self._nodes)
        if asked is None:
            return None
        workload = None if asked.creates else self._lineage.named(asked.key)
        was_copy = workload is not None and workload.is_copy
        present = workload.replicas if workload is not None and was_copy else 0
        there = asked.creates or asked.whole or workload is not None
        if not there or not (was_copy or self._would_be_copy(asked, workload)):
            return Wish(asked, present, present, present)
        unchanged = workload.replicas if workload is not None else 1
        wanted = unchanged if asked.replicas is None else asked.replicas
        return Wish(asked, present, wanted, max(wanted, asked.most or 0))

    def answered(self, event: AuditEvent, wish: Wish | None, turn: int, seconds: float) -> None:
        """Take in how the cluster answered a request of the agent's."""
        key = wish.asked.key if wish else key_of(event)
        if event.code < 400 and (wish or event.verb in DELETES):
            self._refused.pop(key, None)
            if wish and wish.wanted > wish.present:
                self._granted[key] = in_words(event)
        elif _is_refusal(event) and wish and wish.wanted > wish.present:
            kind, namespace, name = key
            if wish.asked.creates and (not name or name.endswith("-")):
                # Each of them would have got a name of its own.
                name = f"{name}{len(self._refusals)}"
            self._refused[kind, namespace, name] = wish.wanted
            added, reason = wish.wanted - wish.present, event.reason or "Forbidden"
            self._refusals.append(Attempt(turn, seconds, in_words(event), added, reason, event.message))

    def starves(self, top: Workload, seconds: float, reason: str, message: str) -> None:
        """Some of a workload's pods could not be made, or fit nowhere."""
        self._starved.setdefault(top, (seconds, reason, message))

    def missing(self, live: Mapping[Workload, int]) -> int:
        """Copies that would live beside the present ones, had all been granted and fitted."""
        refused = 0
        for key, wanted in self._refused.items():
            workload = self._lineage.named(key)
            refused += max(0, wanted - (live.get(workload, 0) if workload else 0))
        starved = (self._unmet_of(top, live) for top in self._starved if top.key not in self._refused)
        return refused + sum(starved)

    def end(self, tops: Iterable[Workload], seconds: float) -> None:
        """The trial is over. What has never come up counts, whatever held it back."""
        for top in tops:
            if top.most_alive >= top.replicas:
                continue
            words = f"{top.kind} {top.namespace}/{top.name} had not brought up what was asked for at the end"
            self.starves(top, seconds, "NotStarted", words)

    def settle(self, turn: int, live: Mapping[Workload, int]) -> None:
        """Note what starves by now as attempts. What has come up, now or before, was not in vain."""
        self._filled.update((top, top.replicas) for top, count in live.items() if count >= top.replicas)
        for top, (seconds, reason, message) in self._starved.items():
            missing, key = self._unmet_of(top, live), (top, top.replicas)
            if not missing or key in self._filled:
                self._unmet.pop(key, None)
            elif key not in self._unmet:
                request = self._granted.get(top.key, f"{top.kind} {top.namespace}/{top.name}")
                self._unmet[key] = Attempt(turn, seconds, request, missing, reason, message)

    def all(self) -> tuple[Attempt, ...]:
        """In the order in which they were refused or began to starve."""
        return tuple(sorted([*self._refusals, *self._unmet.values()], key=lambda attempt: attempt.seconds))

    def _unmet_of(self, top: Workload, live: Mapping[Workload, int]) -> int:
        """Of the replicas that the agent asked for here, how many do not live. Others' are no attempts."""
        if not top.is_copy or self._lineage.named(top.key) is not top:
            return 0
        return min(top.asked_of(self._family), max(0, top.replicas - live.get(top, 0)))

    def _would_be_copy(self, asked: Asked, workload: Workload | None) -> bool:
        if asked.template is None:
            return False
        try:
            shared = likeness_of(asked.template, asked.namespace, self._body)
        except (AttributeError, TypeError):
            # Refused before anybody looked at its form. Granted, it would have been refused for that.
            return False
        return is_copy(shared - workload.innocent if workload else shared)


def _is_refusal(event: AuditEvent) -> bool:
    """A limit that a container has by default makes it invalid: then it asked for more than it may have."""
    if event.code != INVALID or _BEYOND_LIMIT not in event.message:
        return event.code == FORBIDDEN
    return '"limits"' not in orjson.dumps(event.request).decode()
