"""The status of PodDisruptionBudgets: how many pods may be evicted now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_selfrep.kubesim.apiserver.scales import wanted
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import (
    is_active,
    itself_but_for_status,
    resolve,
    selects,
    with_status,
)
from pytest_selfrep.kubesim.kinds import (
    ANY_CUSTOM,
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    condition,
    controller_of,
    is_ready,
    is_terminating,
    key_of,
    labels_of,
)
from pytest_selfrep.kubesim.store import Change

_SCALABLE = (DEPLOYMENT, REPLICATION_CONTROLLER, REPLICA_SET, STATEFUL_SET)
DELETION_TIMEOUT = 120.0
"""Seconds after which an eviction that did not delete its pod no longer counts."""


class DisruptionController:
    """Reckons budgets anew when their pods, or the sizes of those pods' owners, change."""

    name = "disruption-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            POD_DISRUPTION_BUDGET: itself_but_for_status,
            POD: self._on_pod,
            **dict.fromkeys((*_SCALABLE, ANY_CUSTOM), self._on_owner),
        }

    def _on_pod(self, change: Change) -> Iterable[Key]:
        old, new, namespace = change.old, change.object, change.object["metadata"]["namespace"]
        if not self._context.store.count(POD_DISRUPTION_BUDGET, namespace):
            return ()
        if (
            change.type == "MODIFIED"
            and old is not None
            and (is_ready(old), is_terminating(old), is_active(old), labels_of(old))
            == (is_ready(new), is_terminating(new), is_active(new), labels_of(new))
        ):
            return ()
        return tuple(
            key_of(budget)
            for budget in self._context.store.list(POD_DISRUPTION_BUDGET, namespace)
            if any(
                selects(budget["spec"].get("selector"), labels_of(pod))
                for pod in (old, new)
                if pod is not None
            )
        )

    def _on_owner(self, change: Change) -> Iterable[Key]:
        old, kind, namespace = change.old, change.kind, change.object["metadata"].get("namespace", "")
        if kind.custom is not None and not kind.custom.scale:
            return ()
        resized = old is None or wanted(kind, old) != wanted(kind, change.object)
        if not resized or not self._context.store.count(POD_DISRUPTION_BUDGET, namespace):
            return ()
        return tuple(key_of(each) for each in self._context.store.list(POD_DISRUPTION_BUDGET, namespace))

    def reconcile(self, key: Key) -> None:
        budget = self._context.store.get(POD_DISRUPTION_BUDGET, key)
        if budget is None or is_terminating(budget):
            return
        selector = budget["spec"].get("selector")
        pods = [
            pod
            for pod in self._context.store.list(POD, key.namespace)
            if selects(selector, labels_of(pod)) and is_active(pod)
        ]
        disrupted = self._disrupted(budget, pods)
        uncontrolled = [pod for pod in pods if controller_of(pod) is None]
        if uncontrolled and not isinstance(budget["spec"].get("minAvailable"), int):
            name = uncontrolled[0]["metadata"]["name"]
            self._write(budget, len(pods), 0, 0, disrupted, f'found no controller ref for pod "{name}"')
            return
        expected, desired = self._desired(budget["spec"], pods)
        healthy = sum(1 for pod in pods if is_ready(pod) and pod["metadata"]["name"] not in disrupted)
        self._write(budget, expected, desired, healthy, disrupted, "")

    def _desired(self, spec: Object, pods: Sequence[Object]) -> tuple[int, int]:
        """(expectedPods, desiredHealthy)."""
        least = spec.get("minAvailable")
        if isinstance(least, int):
            return len(pods), least
        expected = self._expected_scale(pods)
        if least is not None:
            return expected, resolve(least, expected, round_up=True)
        most_away = resolve(spec.get("maxUnavailable"), expected, round_up=True)
        return expected, max(0, expected - most_away)

    def _expected_scale(self, pods: Sequence[Object]) -> int:
        """How many pods the controllers of these pods are there to keep."""
        scales: dict[str, int] = {}
        for pod in pods:
            found = self._scalable(pod)
            if found is not None:
                kind, owner = found
                scales[owner["metadata"]["uid"]] = wanted(kind, owner)
        return sum(scales.values())

    def _scalable(self, obj: Object) -> tuple[Kind, Object] | None:
        """The topmost controller of a pod that has a size, and its kind."""
        reference = controller_of(obj)
        if reference is None:
            return None
        kind = self._context.kinds.of_object(reference["apiVersion"], reference["kind"])
        if kind is None or not (kind in _SCALABLE or (kind.custom is not None and kind.custom.scale)):
            return None
        owner = self._context.store.get(kind, Key(obj["metadata"]["namespace"], reference["name"]))
        return (self._scalable(owner) or (kind, owner)) if owner is not None else None

    def _disrupted(self, budget: Object, pods: Sequence[Object]) -> dict[str, str]:
        """Evictions that were granted and whose pods are still there."""
        present = {pod["metadata"]["name"] for pod in pods}
        clock = self._context.clock
        granted = (budget.get("status") or {}).get("disruptedPods") or {}
        kept = {
            name: at
            for name, at in granted.items()
            if name in present and clock.now < clock.seconds_at(at) + DELETION_TIMEOUT
        }
        if kept:
            first = min(clock.seconds_at(at) for at in kept.values())
            self._context.queue.add_after(self, key_of(budget), first + DELETION_TIMEOUT - clock.now)
        return kept

    def _write(
        self, budget: Object, expected: int, desired: int, healthy: int, disrupted: dict[str, str], error: str
    ) -> None:
        allowed = max(0, healthy - desired) if expected and not error else 0
        generation = budget["metadata"].get("generation", 1)
        reason = "SyncFailed" if error else "SufficientPods" if allowed else "InsufficientPods"
        said = "True" if allowed else "False"
        before = condition(budget, "DisruptionAllowed")
        since = self._context.clock.timestamp()
        if before is not None and before["status"] == said:
            since = before["lastTransitionTime"]
        status = {
            "observedGeneration": generation,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": [
                {
                    "type": "DisruptionAllowed",
                    "status": said,
                    "observedGeneration": generation,
                    "lastTransitionTime": since,
                    "reason": reason,
                    "message": error,
                }
            ],
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        if status != budget.get("status"):
            self._writer.update_status(POD_DISRUPTION_BUDGET, with_status(budget, status))
