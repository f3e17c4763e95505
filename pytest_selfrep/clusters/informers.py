"""All watches of one world on a real server, polled as at one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.informer import Gap, Informer, Pace

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Observed, Watch
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.clusters.real_clock import RealClock


class Informers:
    """Watches that share a cut: polled one after the other, all stop at the same revision.

    Else a pod could be polled before what it belongs to, only because that was polled a moment earlier. The
    cut moves on when somebody who has polled up to it polls again: who polls now and then learns what the
    others know. Over all watches, seconds grow with revisions. Close it in the end, whatever has happened.
    """

    def __init__(
        self,
        server: Https,
        clock: RealClock,
        pace: Pace | None = None,
        counted: Callable[[KubeObject], bool] = lambda obj: True,
    ) -> None:
        """``counted``: whose events are the world's own, and have to be few enough to be kept."""
        self._server = server
        self._clock = clock
        self._pace = pace
        self._counted = counted
        self._lock = threading.Lock()
        self._watches: list[_Watch] = []
        self._cuts = 0
        self._later: list[tuple[Observed, _Watch]] = []
        """Events beyond the cut, and whose they are."""

    @property
    def gaps(self) -> Sequence[Gap]:
        """Of all watches."""
        return [gap for watch in self._watches for informer in watch.informers for gap in informer.gaps]

    def watch(self, *paths: str) -> Watch:
        """A watch of one kind, over one collection for all namespaces or several of one namespace each.

        Raises:
            ClusterError: a collection cannot be listed.
        """
        watch = _Watch(self)
        with self._lock:
            watch.cuts = self._cuts
            self._watches.append(watch)
            for path in paths:
                informer = Informer(self._server, path, self._clock, self._pace, self._counted)
                there = informer.start()
                watch.informers.append(informer)
                watch.ready += informer.taken(there)
        return watch

    def poll(self, watch: _Watch) -> Sequence[Observed]:
        """What is new to this watch, up to the cut."""
        with self._lock:
            if watch.cuts == self._cuts:
                self._cut()
            watch.cuts = self._cuts
            ready, watch.ready = watch.ready, []
        return sorted(ready, key=lambda each: each.revision)

    def objects(self) -> list[KubeObject]:
        """All that is watched, as far as events have come."""
        with self._lock:
            informers = [informer for watch in self._watches for informer in watch.informers]
        return [obj for informer in informers for obj in informer.objects()]

    def close(self) -> None:
        """Leave no thread and no connection behind."""
        with self._lock, ExitStack() as closing:
            for watch in self._watches:
                for informer in watch.informers:
                    closing.callback(informer.close)

    def _cut(self) -> None:
        """Hand each watch its events up to a revision up to which all events of all watches are there."""
        informers = [informer for watch in self._watches for informer in watch.informers]
        until = min(informer.catch_up() for informer in informers)
        found = [
            (event, watch)
            for watch in self._watches
            for informer in watch.informers
            for event in informer.taken()
        ]
        events = _timed(sorted([*self._later, *found], key=lambda each: each[0].revision))
        self._later = [each for each in events if each[0].revision > until]
        for event, watch in events[: len(events) - len(self._later)]:
            watch.ready.append(event)
        self._cuts += 1


def _timed(events: Sequence[tuple[Observed, _Watch]]) -> list[tuple[Observed, _Watch]]:
    """The same, each no later than what came after it: when that was seen, it had happened."""
    timed: list[tuple[Observed, _Watch]] = []
    earliest = float("inf")
    for event, watch in reversed(events):
        earliest = min(earliest, event.seconds)
        timed.append((event._replace(seconds=earliest), watch))
    return timed[::-1]


class _Watch:
    """One kind's (clusters.base.Watch)."""

    def __init__(self, group: Informers) -> None:
        self._group = group
        self.informers: list[Informer] = []
        self.ready: list[Observed] = []
        self.cuts = 0

    def poll(self) -> Sequence[Observed]:
        return self._group.poll(self)
