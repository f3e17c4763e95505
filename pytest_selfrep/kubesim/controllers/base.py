"""What a controller is, and the queue that runs controllers until nothing is left to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.clusterkinds import ClusterKinds
from pytest_selfrep.kubesim.kinds import ANY_CUSTOM, Kind
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Change, Store

Mapper = Callable[[Change], Iterable[Key]]
"""From a change to the keys of a controller's own objects that it concerns."""

MAX_STEPS = 1_000_000
"""Reconciliations in one go after which controllers must be chasing each other."""


class Writer(Protocol):
    """Writes under one identity, through defaults, validation and admission (quota counts here too).

    Every method raises StatusError as the API would answer.
    """

    def create(self, kind: Kind, obj: Object) -> Object:
        """``metadata.generateName`` works as for any client. Takes over ``obj``."""

    def update(self, kind: Kind, obj: Object) -> Object:
        """Replace spec and metadata; a resourceVersion in ``obj`` must be current. Takes over ``obj``."""

    def update_status(self, kind: Kind, obj: Object) -> Object:
        """Replace the status alone; does nothing if it is equal. Takes over ``obj``."""

    def delete(
        self, kind: Kind, key: Key, *, grace_seconds: int | None = None, propagation: str | None = None
    ) -> None:
        """As a DELETE request; an object that is gone already is no error."""

    def record(self, about: Object, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Emit an Event about an object; equal ones are counted up, as client-go's recorder does."""


@dataclass(frozen=True, slots=True)
class Context:
    """What controllers work with."""

    store: Store
    """For reading. Writes go through a Writer, so that admission and the audit trail see them."""
    clock: Clock
    names: Names
    queue: Queue
    writer: Callable[[str], Writer]
    """From a user name to its Writer."""

    @property
    def kinds(self) -> ClusterKinds:
        return self.store.kinds


class Controller(Protocol):
    """Compares what is with what ought to be, for one object at a time (level-triggered)."""

    @property
    def name(self) -> str:
        """As in its identity: ``system:serviceaccount:kube-system:<name>``."""

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        """Which changes concern it."""

    def reconcile(self, key: Key) -> None:
        """Bring the object of that key closer to its spec; it may be gone by now."""


class Queue:
    """Runs controllers' reconciliations first in, first out, each key at most once in the queue."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[tuple[Controller, Key]] = deque()
        self._queued: set[tuple[str, Key]] = set()
        self._interested: dict[Kind, list[tuple[Controller, Mapper]]] = {}
        store.listen(self._on_change)

    def register(self, controllers: Sequence[Controller]) -> None:
        for controller in controllers:
            for kind, mapper in controller.watches.items():
                self._interested.setdefault(kind, []).append((controller, mapper))

    def close(self) -> None:
        """Forget all controllers."""
        self._waiting.clear()
        self._interested.clear()

    def add(self, controller: Controller, key: Key) -> None:
        """Have ``key`` reconciled in this round."""
        entry = (controller.name, key)
        if entry not in self._queued:
            self._queued.add(entry)
            self._waiting.append((controller, key))

    def add_after(self, controller: Controller, key: Key, delay: float) -> None:
        """Have ``key`` reconciled ``delay`` seconds from now."""
        self._clock.after(delay, lambda: self.add(controller, key))

    def run(self) -> None:
        """Reconcile until nothing is waiting."""
        for _ in range(MAX_STEPS):
            if not self._waiting:
                return
            controller, key = self._waiting.popleft()
            self._queued.discard((controller.name, key))
            controller.reconcile(key)
        raise RuntimeError(f"controllers do not come to rest; last: {controller.name} on {key}")

    def _on_change(self, change: Change) -> None:
        kind = change.kind if change.kind.custom is None else ANY_CUSTOM
        for controller, mapper in self._interested.get(kind, ()):
            for key in mapper(change):
                self.add(controller, key)
