"""Where objects live: revisions, the log that watches read, and indexes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from pytest_selfrep.kubesim.apply.history import Author, ManagedFields, Note
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.clusterkinds import ClusterKinds
from pytest_selfrep.kubesim.kinds import KINDS, Kind
from pytest_selfrep.kubesim.objects import Key, Object, key_of, owners_of

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

LOG_LENGTH = 4096
"""Changes of one kind that watches can still be replayed from; older revisions are 410 Expired."""


class Change(NamedTuple):
    """One committed write."""

    revision: int
    seconds: float
    type: EventType
    kind: Kind
    object: Object
    """The object after the write; for DELETED its last state, with the revision of the deletion."""
    old: Object | None
    """The object before the write."""


class Stock(NamedTuple):
    """Objects that were made before the clusters that begin with them, and are shared by those."""

    objects: Mapping[Kind, Mapping[str, Mapping[Key, Object]]]
    """By kind and namespace."""
    changes: Mapping[Kind, Sequence[Change]]
    """As which they came to be, in order."""
    writes: Mapping[str, tuple[Kind, Note]]
    """Who wrote each, by its uid."""
    revision: int
    """Of the last."""


class Expired(Exception):
    """The log does not reach back to the revision asked for."""


class Store:
    """All objects of a cluster, by kind, namespace and name. One revision counts every write."""

    def __init__(self, clock: Clock) -> None:
        self.kinds = ClusterKinds()
        self.managed = ManagedFields(clock)
        self._clock = clock
        self._objects: dict[Kind, dict[Key, Object]] = defaultdict(dict)
        self._namespaces: dict[Kind, dict[str, dict[Key, Object]]] = defaultdict(lambda: defaultdict(dict))
        self._owned: dict[str, dict[tuple[Kind, Key], Object]] = defaultdict(dict)
        self._logs: dict[Kind, deque[Change]] = defaultdict(lambda: deque(maxlen=LOG_LENGTH))
        self._listeners: dict[Kind, list[Callable[[Change], None]]] = {kind: [] for kind in KINDS}
        self._everyone: list[Callable[[Change], None]] = []
        self.revision = 0

    def listen(self, listener: Callable[[Change], None], kinds: Iterable[Kind] | None = None) -> None:
        """Call ``listener`` with every change of those kinds (or any), at once and in order.

        It must not write.
        """
        if kinds is None:
            self._everyone.append(listener)
        for kind in KINDS if kinds is None else kinds:
            self._listeners[kind].append(listener)

    def close(self) -> None:
        """Forget all objects, and who listens."""
        for each in (self._listeners, self._objects, self._namespaces, self._owned, self._logs):
            each.clear()
        self._everyone.clear()
        self.managed.close()

    def get(self, kind: Kind, key: Key) -> Object | None:
        return self._objects[kind].get(key)

    def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        """Objects of a kind, of all namespaces unless one is given, sorted by namespace and name."""
        found = self._namespaces[kind][namespace] if namespace else self._objects[kind]
        return [found[key] for key in sorted(found)]

    def count(self, kind: Kind, namespace: str = "") -> int:
        return len(self._namespaces[kind][namespace] if namespace else self._objects[kind])

    def owned_by(self, uid: str) -> Sequence[tuple[Kind, Object]]:
        """Objects with an owner reference to ``uid``, oldest first."""
        return [(kind, obj) for (kind, _), obj in self._owned.get(uid, {}).items()]

    def put(self, kind: Kind, obj: Object, author: Author | None = None) -> Object:
        """Create or replace; takes over ``obj`` (which gets its resourceVersion) and returns it.

        Without an author nobody comes to own what is written.
        """
        key = key_of(obj)
        old = self._objects[kind].get(key)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[kind][key] = obj
        self._namespaces[kind][key.namespace][key] = obj
        owners = owners_of(obj)
        if old is not None and owners_of(old) != owners:
            self._disown(kind, key, old)
        for owner in owners:
            self._owned[owner["uid"]][kind, key] = obj
        if author is not None:
            self.managed.note(kind, self.revision, author, old, obj)
        self._commit(Change(self.revision, self._clock.now, "MODIFIED" if old else "ADDED", kind, obj, old))
        return obj

    def take(self, stock: Stock) -> None:
        """Begin with a stock that goes on from the present revision. Listeners are not told."""
        for kind, namespaces in stock.objects.items():
            for namespace, objects in namespaces.items():
                self._objects[kind].update(objects)
                self._namespaces[kind][namespace].update(objects)
            self._logs[kind].extend(stock.changes[kind])
        self.managed.take(stock.writes)
        self.revision = stock.revision

    def remove(self, kind: Kind, key: Key) -> Object:
        """Delete for good; gives the object's last state. Raises KeyError if there is none."""
        old = self._objects[kind].pop(key)
        del self._namespaces[kind][key.namespace][key]
        self._disown(kind, key, old)
        self.managed.forget(old)
        self.revision += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._commit(Change(self.revision, self._clock.now, "DELETED", kind, last, old))
        return last

    def changes_since(self, kind: Kind, revision: int) -> Iterable[Change]:
        """Changes of a kind after ``revision``, in order. Raises Expired if some of them are forgotten."""
        log = self._logs[kind]
        if len(log) == LOG_LENGTH and revision < log[0].revision - 1:
            raise Expired
        newer = deque[Change]()
        for change in reversed(log):
            if change.revision <= revision:
                break
            newer.appendleft(change)
        return newer

    def _disown(self, kind: Kind, key: Key, old: Object) -> None:
        for owner in owners_of(old):
            owned = self._owned[owner["uid"]]
            owned.pop((kind, key), None)
            if not owned:
                del self._owned[owner["uid"]]

    def _commit(self, change: Change) -> None:
        self._logs[change.kind].append(change)
        for listener in self._listeners.get(change.kind, self._everyone):
            listener(change)


def stocked(objects: Iterable[tuple[Kind, Object]], revision: int, author: Author) -> Stock:
    """A stock of complete objects, numbered on from ``revision`` in place, of the first second of a clock."""
    found: dict[Kind, dict[str, dict[Key, Object]]] = defaultdict(lambda: defaultdict(dict))
    changes: dict[Kind, list[Change]] = defaultdict(list)
    writes: dict[str, tuple[Kind, Note]] = {}
    for kind, obj in objects:
        revision += 1
        obj["metadata"]["resourceVersion"] = str(revision)
        key = key_of(obj)
        found[kind][key.namespace][key] = obj
        changes[kind].append(Change(revision, 0.0, "ADDED", kind, obj, None))
        writes[obj["metadata"]["uid"]] = kind, Note(revision, 0.0, author, None, obj)
    return Stock(found, changes, writes, revision)
