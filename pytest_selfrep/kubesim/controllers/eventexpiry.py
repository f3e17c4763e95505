"""Events are kept for an hour after they were last written (kube-apiserver's --event-ttl)."""

from __future__ import annotations

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import EVENT
from pytest_selfrep.kubesim.objects import Key, key_of
from pytest_selfrep.kubesim.store import Change, Store

TTL_SECONDS = 3600.0


class EventExpiry:
    """Removes old events at the end of each stretch of time that passes; nothing has to happen before."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._written: dict[Key, float] = {}
        """When each event was last written, in that order."""
        store.listen(self._on_change, (EVENT,))

    def expire(self) -> None:
        """Remove what is too old by now."""
        last = self._clock.now - TTL_SECONDS
        old = []
        for key, written in self._written.items():
            if written > last:
                break
            old.append(key)
        for key in old:
            self._store.remove(EVENT, key)

    def _on_change(self, change: Change) -> None:
        key = key_of(change.object)
        self._written.pop(key, None)
        if change.type != "DELETED":
            self._written[key] = change.seconds
