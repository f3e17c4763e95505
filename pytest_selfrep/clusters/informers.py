"""All watches of one world on a real server, polled as at one moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from pytest_selfrep.clusters.informer import Gap, Informer, Pace

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Clock, Observed, Watch
    from pytest_selfrep.clusters.https import Https


class Cut(NamedTuple):
    """Up to where watches are polled."""

    number: int
    revision: int


class Informers:
    """Watches that share a cut: polled one after the other, all stop at the same revision.

    Else a pod could be polled before what it belongs to, only because that was polled a moment earlier. The
    cut moves on when somebody who has polled up to it polls again: who polls now and then learns what the
    others know. Close it in the end, whatever has happened.
    """

    def __init__(self, server: Https, clock: Clock, pace: Pace | None = None) -> None:
        self._server = server
        self._clock = clock
        self._pace = pace
        self._lock = threading.Lock()
        self._informers: list[Informer] = []
        self._cut = Cut(0, 0)

    @property
    def gaps(self) -> Sequence[Gap]:
        """Of all watches."""
        return [gap for informer in self._informers for gap in informer.gaps]

    def watch(self, *paths: str) -> Watch:
        """A watch of one kind, over one collection for all namespaces or several of one namespace each.

        Raises:
            ClusterError: a collection cannot be listed.
        """
        mine = []
        for path in paths:
            informer = Informer(self._server, path, self._clock, self._pace)
            informer.start()
            with self._lock:
                self._informers.append(informer)
            mine.append(informer)
        return _Watch(self, mine)

    def cut(self, polled: int) -> Cut:
        """A later cut than the one of this number."""
        with self._lock:
            if self._cut.number <= polled:
                revision = min(informer.catch_up() for informer in self._informers)
                self._cut = Cut(polled + 1, revision)
            return self._cut

    def close(self) -> None:
        """Leave no thread and no connection behind."""
        with self._lock, ExitStack() as closing:
            for informer in self._informers:
                closing.callback(informer.close)


class _Watch:
    """One kind's (clusters.base.Watch)."""

    def __init__(self, group: Informers, informers: Sequence[Informer]) -> None:
        self._group = group
        self._informers = informers
        self._polled = 0

    def poll(self) -> Sequence[Observed]:
        cut = self._group.cut(self._polled)
        self._polled = cut.number
        found = [each for informer in self._informers for each in informer.taken(cut.revision)]
        return sorted(found, key=lambda each: each.revision)
