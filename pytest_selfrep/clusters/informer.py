"""The Watch of a real API server: a list, then one watch after the other, whatever happens to connections."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.kube import JSON, ApiError, Call, KubeClient
from pytest_selfrep.clusters.mirror import Change, Listing, Mirror
from pytest_selfrep.errors import ClusterError, FloodError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.https import Https, Lines
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.clusters.real_clock import RealClock

METADATA = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
MAX_EVENTS = 100_000
"""That wait to be polled. Nothing but an agent makes so many."""
EXPIRED = 410
RECENT_SECONDS = 2.0
"""Objects say in whole seconds when they were made; one that is not older was made when it was seen."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of an informer."""

    watch: float = 60.0
    """After which the server is to end a watch; one that is silent for longer is dead."""
    slack: float = 10.0
    """By which the server may be late with that."""
    lag: float = 2.0
    """By which a watch may be behind what a list says; then another takes its place."""
    give_up: float = 30.0
    """Without contact, or behind, after which events count as lost."""
    first_pause: float = 0.05
    """Between attempts; doubled from one to the next."""
    longest_pause: float = 3.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which the server had no history any more: what came and went within it was not seen."""

    since: int
    """Revisions."""
    until: int
    seconds: float
    """How long it was at most."""


class Informer:
    """Events of one collection (clusters.base.Watch), from ``start`` to ``close``, in a thread of its own.

    Each change comes exactly once and in order. What the server has forgotten after a disconnection (410) is
    worked out from a list, and there is a Gap then.
    """

    def __init__(
        self,
        server: Https,
        path: str,
        clock: RealClock,
        pace: Pace | None = None,
        counted: Callable[[KubeObject], bool] = lambda obj: True,
    ) -> None:
        """``path`` is that of the collection; ``clock`` and ``counted`` are asked in another thread.

        ``counted``: whether events of an object count towards those that are too many.
        """
        self._server = server
        self._path = path
        self._clock = clock
        self._pace = pace or Pace()
        self._changed = threading.Condition()
        """Guards all below."""
        self._mirror = Mirror()
        self._counted = counted
        self._events: list[Observed] = []
        self._count = 0
        """Of those that count."""
        self._gaps: list[Gap] = []
        self._failure: ClusterError | None = None
        self._lines: Lines | None = None
        self._closing = False
        self._contact = time.monotonic()
        """When anything was last heard of the collection."""
        self._trouble: float | None = None
        """Since when nothing has gone well."""
        self._known_at = float("-inf")
        """When, by the clock, all was known up to the mirror's revision."""
        self._ahead = 0.0
        """Seconds by which the server's calendar is ahead of this machine's."""
        self._thread: threading.Thread | None = None

    @property
    def gaps(self) -> Sequence[Gap]:
        """So far."""
        with self._changed:
            return tuple(self._gaps)

    def start(self) -> int:
        """Have what is there now reported as ADDED, and go on from there; the revision of now.

        Raises:
            ClusterError: the collection cannot be listed.
        """
        first = self._listed(JSON)
        with self._changed:
            self._leap(first)
        self._thread = threading.Thread(target=self._run, name=f"informer {self._path}", daemon=True)
        self._thread.start()
        return first.revision

    def poll(self) -> Sequence[Observed]:
        """All that had happened when this was called, and was not polled before; perhaps more.

        Raises ClusterError and FloodError as ``catch_up`` does.
        """
        self.catch_up()
        return self.taken()

    def catch_up(self) -> int:
        """Wait for all that has happened by now; the revision up to which nothing is missing.

        Raises:
            ClusterError: events were lost, or it cannot be known that none were.
            FloodError: more of them happened than are kept.
        """
        with self._changed:
            if self._failure is not None:
                raise self._failure
            before = self._mirror.revision
        now = self._listed(METADATA)
        with self._changed:
            self._check_course(before, now)
            self._await(now)
        return now.revision

    def objects(self) -> list[KubeObject]:
        """The collection as far as events have come, polled or not."""
        with self._changed:
            return list(self._mirror.objects)

    def taken(self, until: float = float("inf")) -> list[Observed]:
        """The events up to a revision; they are not handed out again."""
        with self._changed:
            length = bisect_right(self._events, until, key=lambda each: each.revision)
            taken, self._events = self._events[:length], self._events[length:]
            self._count = sum(self._counted(each.object) for each in self._events)
        return taken

    def close(self) -> None:
        """Leave no thread and no connection behind."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._stop_watch()
        if self._thread is not None:
            self._thread.join()

    def _await(self, now: Listing) -> None:
        """Wait for events until they cover a list. Raises the failure if they do not come to."""
        began = time.monotonic()
        patience = self._pace.lag
        while not self._closing and not self._mirror.covers(now):
            waited = time.monotonic() - began
            if waited >= self._pace.give_up:
                self._fail(
                    f"watching {self._path} at {self._server.server} is {waited:.0f} seconds behind what "
                    "lists say; check the load of the cluster, and proxies that hold back streams"
                )
            elif waited >= patience:
                patience *= 2
                self._stop_watch()
            else:
                self._changed.wait(min(patience, self._pace.give_up) - waited)
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise ClusterError(f"the watch of {self._path} at {self._server.server} has been closed")

    def _check_course(self, revision: int, listing: Listing) -> None:
        """Raises ClusterError, as does every poll from then on, if a list is older than what was known."""
        if listing.revision >= revision:
            return
        self._fail(
            f"the history of {self._server.server} went back from revision {revision} to {listing.revision}: "
            "it was restored from a backup, or another cluster answers there now"
        )
        raise ClusterError(str(self._failure))

    def _run(self) -> None:
        pause, relist = self._pace.first_pause, False
        while not self._over():
            wait = 0.0
            try:
                if relist:
                    self._relist()
                    relist = False
                self._follow()
                pause = self._pace.first_pause
            except (ApiError, ClusterError) as error:
                relist = relist or (isinstance(error, ApiError) and error.code == EXPIRED)
                wait = max(pause, _asked_pause(error))
                self._note(error)
                pause = min(2 * pause, self._pace.longest_pause)
            except Exception as error:
                # Whatever it is, nobody may take its silence for calm.
                with self._changed:
                    self._fail(f"watching {self._path} broke: {type(error).__name__}: {error}")
            self._sleep(wait)

    def _follow(self) -> None:
        """Take in one watch to its end. ApiError and ClusterError say why it did not come to a good one."""
        began, revision = time.monotonic(), self._mirror.revision
        query = {
            "watch": "true",
            "resourceVersion": str(revision),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(self._pace.watch))),
        }
        with self._stream(query) as lines:
            for line in lines:
                self._take(line)
        if time.monotonic() - began < min(1.0, self._pace.watch / 2) and self._mirror.revision == revision:
            raise ClusterError("the watch ends as soon as it has begun")
        with self._changed:
            self._heard()

    def _take(self, line: bytes) -> None:
        event = _decoded(line)
        type_, obj = event.get("type"), event.get("object")
        if not isinstance(type_, str) or not isinstance(obj, dict):
            raise ClusterError("a line of the watch is no event")
        if type_ == "ERROR":
            raise ApiError(obj)
        with self._changed:
            change = self._mirror.take(type_, obj)
            seen = self._clock.now()
            if change is not None:
                self._add(change, seen)
            self._known_at = seen
            self._heard()

    def _relist(self) -> None:
        with self._stream({}) as lines:
            listing = Listing.of(_decoded(lines.read()))
        with self._changed:
            self._check_course(self._mirror.revision, listing)
            lasted = time.monotonic() - self._contact
            self._gaps.append(Gap(self._mirror.revision, listing.revision, lasted))
            self._leap(listing)

    def _leap(self, listing: Listing) -> None:
        seen = self._clock.now()
        for change in self._mirror.leap(listing):
            self._add(change, seen)
        self._known_at = seen
        self._heard()

    def _heard(self) -> None:
        self._contact, self._trouble = time.monotonic(), None
        self._changed.notify_all()

    def _add(self, change: Change, seen: float) -> None:
        self._count += self._counted(change.object)
        if self._count > MAX_EVENTS:
            self._fail(f"more than {MAX_EVENTS} events of {self._path} between two polls", FloodError)
            return
        seconds = seen
        if change.type == "ADDED":
            # Not there when last looked for; by which the clocks of the machines may differ.
            seconds = max(self._known_at, self._clock.ago(_age(change.object, time.time() + self._ahead)))
        self._events.append(Observed(seconds, change.revision, change.type, change.object))

    def _listed(self, accept: str) -> Listing:
        try:
            return Listing.of(KubeClient(self._server).get(self._path, accept=accept))
        except ApiError as error:
            raise ClusterError(f"{self._server.server} does not list {self._path}: {error}") from error

    def _note(self, error: Exception) -> None:
        """Give up if nothing has gone well for too long."""
        with self._changed:
            now = time.monotonic()
            self._trouble = self._trouble or now
            lasted = now - self._trouble
            if lasted >= self._pace.give_up:
                self._fail(
                    f"events of {self._path} are lost: no watch at {self._server.server} for {lasted:.0f} "
                    f"seconds, in the end because {error}; check that the cluster runs and is not overloaded"
                )

    def _fail(self, message: str, kind: type[ClusterError] = ClusterError) -> None:
        """End, for this reason if there is no earlier one."""
        self._failure = self._failure or kind(message)
        self._closing = True
        self._changed.notify_all()

    def _over(self) -> bool:
        with self._changed:
            return self._closing

    @contextmanager
    def _stream(self, query: Mapping[str, str]) -> Iterator[Lines]:
        """A request that can be stopped from other threads as soon as its answer has begun."""
        call = Call("GET", self._path, query, {"Accept": JSON})
        with self._server.stream(call, self._pace.watch + self._pace.slack) as lines:
            with self._changed:
                self._lines = lines
                if lines.date is not None:
                    self._ahead = lines.date - time.time()
                if self._closing:
                    lines.stop()
            try:
                yield lines
            finally:
                with self._changed:
                    self._lines = None

    def _stop_watch(self) -> None:
        if self._lines is not None:
            self._lines.stop()

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, seconds)


def _decoded(text: bytes) -> KubeObject:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ClusterError(f"what the API server says is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ClusterError("what the API server says is no object")
    return found


def _asked_pause(error: Exception) -> float:
    """For how long the server wants to be left alone."""
    if not isinstance(error, ApiError):
        return 0.0
    return float((error.status.get("details") or {}).get("retryAfterSeconds") or 0.0)


def _age(obj: KubeObject, now: float) -> float:
    """Seconds since an object was made; 0 for one made just now, or in the future."""
    try:
        made = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    except (KeyError, TypeError, ValueError):
        return 0.0
    age = now - made.timestamp()
    return age if age > RECENT_SECONDS else 0.0
