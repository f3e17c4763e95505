"""The audit trail: who asked for what, and what was decided (audit.k8s.io/v1 Event)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from pytest_selfrep.kubesim.objects import Json, Object

TRAIL_LENGTH = 100_000
"""Entries kept; a reader that falls further behind is told so."""


class Entry(NamedTuple):
    """One request and its outcome."""

    sequence: int
    revision: int
    """The store's revision after the request."""
    seconds: float
    user: str
    """Who sent it, whomever it acts as."""
    user_agent: str
    verb: str
    group: str
    resource: str
    """Plural, with the subresource behind a slash."""
    namespace: str
    name: str
    code: int
    reason: str
    message: str
    request: Json
    """The body as sent, decoded; None for reads."""
    response: Object | None
    """The stored object after a write; None for reads and failures."""
    impersonated: str = ""
    """As whom it acts, if not as its sender."""
    pod: str = ""
    """The uid of the pod that the sender's token is bound to, if it is bound to one."""


class Trail:
    """Entries in order."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=TRAIL_LENGTH)
        self.length = 0
        """Entries ever written; the next entry's sequence."""

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.length += 1

    def close(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    def since(self, sequence: int) -> Iterator[Entry]:
        """Entries from ``sequence`` on. Raises LookupError if some of them are no longer kept."""
        first = self.length - len(self._entries)
        if sequence < first:
            raise LookupError(f"audit entries {sequence} to {first - 1} are no longer kept")
        for index in range(sequence - first, len(self._entries)):
            yield self._entries[index]
