"""Time on a real cluster: it passes by itself, and faster in scenarios than for machines if it is to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from pytest_selfrep.errors import ClusterError

_LOOK_SECONDS = 0.1


class RealClock:
    """Seconds since a world was ready (clusters.base.Clock), ``pace`` of them in one second of the machine's.

    Nothing makes pods start and end faster. So before and after a sleep, at a pace above 1, time stands still
    until the world has settled: what was asked for takes as many turns at any pace. No sleep lasts longer
    than at a pace of 1.
    """

    def __init__(self, pace: float = 1.0, settled: Callable[[], bool] | None = None) -> None:
        """``settled`` says whether all that was asked of the cluster has come about."""
        self._pace = pace
        self._stopped = threading.Event()
        self._settled = settled
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """The world is ready now."""
        with self._lock:
            self._zero = time.monotonic()
            self._epoch = time.time()
            self._stood: list[tuple[float, float]] = []
            """When time stood still: from and to, in seconds of the machine's since the restart."""
            self._standing: float | None = None

    def now(self) -> float:
        return self._of(time.monotonic() - self._zero)

    def sleep(self, seconds: float) -> None:
        spare = seconds - seconds / self._pace
        spare -= self._stand(spare)
        self._pass(seconds / self._pace)
        self._stand(spare)

    def stop(self) -> None:
        """Let nobody sleep any more: ClusterError."""
        self._stopped.set()

    def ago(self, seconds: float) -> float:
        """What ``now`` would have said so many seconds of the machine's ago."""
        return self._of(time.monotonic() - self._zero - seconds)

    def at(self, timestamp: str) -> float:
        """A time as an API server writes it (RFC 3339), if its calendar is this machine's."""
        return self._of(datetime.fromisoformat(timestamp).timestamp() - self._epoch)

    def _of(self, elapsed: float) -> float:
        """The cluster's time at so many seconds of the machine's."""
        with self._lock:
            stood = sum(max(0.0, min(until, elapsed) - since) for since, until in self._stood)
            if self._standing is not None:
                stood += max(0.0, elapsed - self._standing)
        return (elapsed - stood) * self._pace

    def _pass(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise ClusterError("the trial was called off")

    def _stand(self, longest: float) -> float:
        """Let time stand still until the world has settled; for how long it did, by the machine's."""
        if self._settled is None or longest <= 0.0:
            return 0.0
        began = time.monotonic() - self._zero
        with self._lock:
            self._standing = began
        try:
            # Twice in a row: between two steps of a controller all may look settled.
            looks = 0
            while looks < 2 and time.monotonic() - self._zero - began < longest:
                looks = looks + 1 if self._settled() else 0
                self._pass(_LOOK_SECONDS)
        finally:
            with self._lock:
                self._standing = None
                ended = time.monotonic() - self._zero
                self._stood.append((began, ended))
        return ended - began
