"""Remembers who wrote objects, and works out who owns which fields only when somebody asks.

A write leaves a note with references to the object before and after it, which costs next to nothing. Notes
are put to their objects when anybody first wants to know of managers, or there are many. Those of an object
are worked out in order once its ``managedFields`` are wanted, or there are too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from pytest_selfrep.kubesim.apply.entries import Entries, decoded, encoded, resets
from pytest_selfrep.kubesim.apply.fieldsets import FieldSet
from pytest_selfrep.kubesim.apply.managers import Managed, Manager, Write, same, updated
from pytest_selfrep.kubesim.apply.parts import Part
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import JOB, Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.schema import struct_of

MOST_NOTES: Final = 64
"""Notes of one object that may wait; a watch can still be shown each state that they lead to."""
MOST_LOOSE: Final = 1024
"""Writes that nobody has put to their objects yet."""
MOST_GONE: Final = 256
"""Deleted objects whose managers are still known, for answers and watch events on their way."""

_GENERATED_LABELS = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)


class Author(NamedTuple):
    """Who makes a write, as far as the owners of fields are concerned."""

    manager: str
    subresource: str = ""
    claimed: Object | None = None
    """The object without what admission added, which belongs to nobody; None if it is as stored."""
    sent: Json = None
    """``metadata.managedFields`` as the client sent it; None if it did not."""
    managed: Managed | None = None
    """Who owns what after an apply, which has been worked out already."""


class Note(NamedTuple):
    """One write of an object."""

    revision: int
    seconds: float
    author: Author
    before: Object | None
    after: Object


_Loose = tuple[Kind, int, float, Author, Object | None, Object]
"""Kind, and what a Note consists of."""


class _State(NamedTuple):
    revision: int
    managed: Managed
    entries: Entries


class _History:
    __slots__ = ("kind", "notes", "states")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.notes: list[Note] = []
        self.states: deque[_State] = deque(maxlen=MOST_NOTES)


class ManagedFields:
    """The managers of all objects of a cluster."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loose: list[_Loose] = []
        self._histories: dict[str, _History] = {}
        self._stock: Mapping[str, tuple[Kind, Note]] = {}
        self._gone: deque[str] = deque()
        self._tried: tuple[Object, Kind, Note] | None = None

    def close(self) -> None:
        """Forget everything."""
        self._loose.clear()
        self._histories.clear()
        self._gone.clear()
        self._tried = None

    def take(self, writes: Mapping[str, tuple[Kind, Note]]) -> None:
        """Know who wrote the objects that the cluster begins with, by their uids."""
        self._stock = writes

    def note(self, kind: Kind, revision: int, author: Author, old: Object | None, new: Object) -> None:
        """Take note of a write that has been stored."""
        self._loose.append((kind, revision, self._clock.now, author, old, new))
        if len(self._loose) >= MOST_LOOSE:
            self._sort()

    def note_tried(self, kind: Kind, author: Author, old: Object | None, new: Object) -> None:
        """Take note of a dry run's result, so that it can be shown with its managers."""
        self._tried = new, kind, Note(0, self._clock.now, author, old, author.claimed or new)

    def forget(self, obj: Object) -> None:
        """The object is gone."""
        self._gone.append(obj["metadata"].get("uid", ""))
        if len(self._gone) > MOST_GONE:
            self._sort()
            self._histories.pop(self._gone.popleft(), None)

    def of(self, obj: Object) -> Managed:
        """The managers of an object as it was at its resourceVersion."""
        if self._tried is not None and self._tried[0] is obj:
            _, kind, note = self._tried
            return self._after(kind, self._state(note.before).managed if note.before else {}, note)
        return self._state(obj).managed

    def changes(self, old: Object, author: Author) -> bool:
        """Whether a write that changes nothing else changes the managers."""
        if author.managed is not None:
            return not same(author.managed, self.of(old))
        if author.sent is None:
            return False
        if resets(author.sent):
            return bool(self.of(old))
        sent = decoded(author.sent)
        return bool(sent) and not same(sent, self.of(old))

    def shown(self, obj: Object) -> Object:
        """An object with ``metadata.managedFields``, as it goes over the wire."""
        if self._tried is not None and self._tried[0] is obj:
            entries = encoded(self.of(obj))
        else:
            entries = self._state(obj).entries
        return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}} if entries else obj

    def shown_all(self, kind: Kind, body: Json) -> Json:
        """A body with the managers of the object that it is, or of the objects that it lists."""
        if not isinstance(body, dict) or "metadata" not in body:
            return body
        if body.get("kind") == kind.kind:
            return self.shown(body)
        if "items" in body and body.get("kind") == f"{kind.kind}List":
            return {**body, "items": [self.shown(item) for item in body["items"]]}
        return body

    def remembered(self, obj: Object) -> int:
        """How many notes and states of an object are kept."""
        history = self._history(obj["metadata"].get("uid", ""))
        return len(history.notes) + len(history.states) if history is not None else 0

    def write(self, kind: Kind, manager: Manager) -> Write:
        """A request that is made now."""
        return _write(kind, manager, self._clock.timestamp())

    def _state(self, obj: Object) -> _State:
        meta = obj["metadata"]
        history = self._history(meta.get("uid", ""))
        if history is None:
            return _NOTHING
        if history.notes:
            self._work_out(history)
        revision = int(meta.get("resourceVersion") or 0)
        found = history.states[0]
        for state in reversed(history.states):
            if state.revision <= revision:
                return state
        return found

    def _sort(self) -> None:
        """Put notes to their objects."""
        for kind, revision, seconds, author, old, new in self._loose:
            uid = new["metadata"].get("uid", "")
            history = self._known(uid)
            if history is None:
                history = self._histories[uid] = _History(kind)
            history.notes.append(Note(revision, seconds, author, old, author.claimed or new))
            if len(history.notes) >= MOST_NOTES:
                self._work_out(history)
        self._loose.clear()

    def _history(self, uid: str) -> _History | None:
        if self._loose:
            self._sort()
        return self._known(uid)

    def _known(self, uid: str) -> _History | None:
        found = self._histories.get(uid)
        if found is None and uid in self._stock:
            kind, note = self._stock[uid]
            found = self._histories[uid] = _History(kind)
            found.notes.append(note)
        return found

    def _work_out(self, history: _History) -> None:
        latest = history.states[-1] if history.states else _NOTHING
        for note in history.notes:
            managed = self._after(history.kind, latest.managed, note)
            entries = latest.entries if managed is latest.managed else encoded(managed)
            latest = _State(note.revision, managed, entries)
            history.states.append(latest)
        history.notes.clear()

    def _after(self, kind: Kind, managed: Managed, note: Note) -> Managed:
        author = note.author
        if author.managed is not None:
            return author.managed
        if author.sent is not None:
            managed = {} if resets(author.sent) else decoded(author.sent) or managed
        if not managed and note.before is not None:
            # Whoever has had the managers forgotten wants none to be counted.
            return managed
        manager = Manager(author.manager, "Update", kind.api_version, author.subresource)
        write = _write(kind, manager, self._clock.timestamp(note.seconds))
        after = _without_generated(note.after) if kind is JOB and note.before is None else note.after
        return updated(part_of(kind), managed, write, note.before, after)


_NOTHING: Final = _State(0, {}, Entries())


@cache
def part_of(kind: Kind) -> Part:
    """How objects of a kind are divided; as far as nobody has declared their type, by their maps."""
    if kind.custom is not None:
        return Part(kind.custom.type)
    try:
        return Part(struct_of(kind))
    except LookupError:
        return Part()


def _write(kind: Kind, manager: Manager, time: str) -> Write:
    ignored: FieldSet = {}
    if manager.subresource == "status":
        ignored = {"f:spec": {}}
    elif "status" in kind.subresources:
        ignored = {"f:status": {}}
    return Write(manager, kind.api_version, time, ignored)


def _without_generated(job: Object) -> Object:
    """A new Job without the selector and the labels that the server gave it."""
    spec = job["spec"]
    if spec.get("manualSelector"):
        return job
    meta = spec["template"].get("metadata") or {}
    labels = {
        name: value for name, value in (meta.get("labels") or {}).items() if name not in _GENERATED_LABELS
    }
    kept = {name: value for name, value in meta.items() if name != "labels"}
    template = {**spec["template"], "metadata": {**kept, "labels": labels} if labels else kept}
    rest = {name: value for name, value in spec.items() if name != "selector"}
    return {**job, "spec": {**rest, "template": template}}
