"""Watches: what changed since a revision, as it happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.selectors import Predicate
from pytest_selfrep.kubesim.status import expired
from pytest_selfrep.kubesim.store import Change, Expired, Store

BOOKMARK_EVERY = 60.0
"""Seconds of the cluster's time between bookmarks, as the API server's watch cache spaces them."""

MAX_BACKLOG = 10_000
"""Changes that wait for a client; one that does not take them has its watch ended (as by the watch cache)."""

Present = Callable[[Object], Json]
"""From an object to what the client wants to see of it: itself, a Table, its metadata."""


class Watches:
    """Hands the store's changes to the watches that are open."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: dict[Kind, list[Watch]] = {}
        store.listen(self._on_change)

    def open(
        self,
        kind: Kind,
        namespace: str,
        wanted: Predicate | None,
        present: Present,
        *,
        revision: int,
        bookmarks: bool = False,
        initial_events_end: bool = False,
        timeout: float | None = None,
    ) -> Watch:
        """Begin after ``revision``, or with all that is there now if it is 0."""
        watch = Watch(
            kind, namespace, wanted, present, self._clock, self._store, self._close, bookmarks, timeout
        )
        if revision == 0:
            for obj in self._store.list(kind, namespace):
                watch.offer("ADDED", obj)
            if initial_events_end:
                watch.mark_initial_events_end()
        else:
            try:
                for change in self._store.changes_since(kind, revision):
                    watch.push(change)
            except Expired:
                watch.expire(f"too old resource version: {revision} ({self._store.revision})")
                return watch
        self._open.setdefault(kind, []).append(watch)
        return watch

    def _close(self, watch: Watch) -> None:
        watching = self._open.get(watch.kind, [])
        if watch in watching:
            watching.remove(watch)

    def _on_change(self, change: Change) -> None:
        for watch in self._open.get(change.kind, ()):
            watch.push(change)


class Watch:
    """One client's watch; a Stream (http.py) of watch events."""

    def __init__(
        self,
        kind: Kind,
        namespace: str,
        wanted: Predicate | None,
        present: Present,
        clock: Clock,
        store: Store,
        on_close: Callable[[Watch], None],
        bookmarks: bool,
        timeout: float | None,
    ) -> None:
        self.kind = kind
        self.timeout_seconds = timeout
        self._namespace = namespace
        self._wanted = wanted
        self._present = present
        self._clock = clock
        self._store = store
        self._on_close = on_close
        self._bookmarks = bookmarks
        self._marked = self._opened = clock.now
        self._waiting: deque[tuple[str, Object]] = deque()
        self._initial = 0
        self._wake: Callable[[], None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        if not self._closed and self.timeout_seconds is not None:
            return self._clock.now - self._opened >= self.timeout_seconds
        return self._closed

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def end(self) -> None:
        if self._bookmarks:
            self._add("BOOKMARK", self._bookmark())

    def close(self) -> None:
        self._closed = True
        self._on_close(self)

    def poll(self) -> Sequence[Json]:
        """Events since the last call, then a bookmark if one is due."""
        if self.closed and not self._closed:
            self.end()
            self.close()
        elif self._bookmarks and self._clock.now - self._marked >= BOOKMARK_EVERY:
            self._marked = self._clock.now
            self._add("BOOKMARK", self._bookmark())
        events = [
            {"type": type_, "object": self._present(obj) if type_ not in ("BOOKMARK", "ERROR") else obj}
            for type_, obj in self._waiting
        ]
        self._waiting.clear()
        return events

    def push(self, change: Change) -> None:
        """Take note of a change. What leaves the selector is DELETED, what enters it ADDED."""
        if self._closed:
            return
        if len(self._waiting) - self._initial >= MAX_BACKLOG:
            self._closed = True
            return
        if self._namespace and change.object["metadata"].get("namespace") != self._namespace:
            return
        if self._wanted is None:
            self._add(change.type, change.object)
            return
        was = change.old is not None and self._wanted(change.old)
        is_ = change.type != "DELETED" and self._wanted(change.object)
        if is_:
            self._add("MODIFIED" if was else "ADDED", change.object)
        elif was:
            self._add("DELETED", _last_seen(change))

    def offer(self, type_: str, obj: Object) -> None:
        if self._wanted is None or self._wanted(obj):
            self._initial += 1
            self._add(type_, obj)

    def mark_initial_events_end(self) -> None:
        mark = self._bookmark()
        mark["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
        self._add("BOOKMARK", mark)

    def expire(self, message: str) -> None:
        """End with an ERROR event that tells the client to list again."""
        self._add("ERROR", expired(message).to_object())
        self._closed = True

    def _bookmark(self) -> Object:
        meta: Object = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        return {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": meta}

    def _add(self, type_: str, obj: Object) -> None:
        self._waiting.append((type_, obj))
        if self._wake is not None:
            self._wake()


def _last_seen(change: Change) -> Object:
    """What a client sees of an object that leaves its selector: the state before, at the new revision."""
    if change.type == "DELETED" or change.old is None:
        return change.object
    return {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": str(change.revision)}}
