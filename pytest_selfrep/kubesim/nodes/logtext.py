"""The lines that a container prints over time, from a small template."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_selfrep.kubesim.containers.entrypoints import PORTS, base_name
from pytest_selfrep.kubesim.containers.runtime import Running
from pytest_selfrep.kubesim.objects import Object

KEPT_LINES = 5000
"""Older lines have been rotated away."""
PERIOD_SECONDS = (6, 14)
"""Between two lines of a running server, from shortest to longest."""
REQUESTS = (
    "GET /healthz 200",
    "GET /readyz 200",
    "POST /v1/requests 200",
    "GET /v1/status 200",
    "GET /metrics 200",
    "POST /v1/requests 202",
)


@dataclass(frozen=True)
class Output:
    """What one run of a container prints: its own words if it has any, else a server's usual lines.

    ``%TIME%`` in a line stands for the time at which it was printed.
    """

    identity: str
    """The container's id, from which its lines follow."""
    spec: Object
    running: Running | None
    """The container; None if it never ran here."""
    started: float
    ended: float | None

    @property
    def _printed(self) -> Sequence[tuple[float, str]]:
        return () if self.running is None else self.running.log.lines

    @cached_property
    def _opening(self) -> tuple[str, ...]:
        ports = self.spec.get("ports") or ()
        known = PORTS.get(base_name(self.spec["image"]), 8080)
        port = ports[0]["containerPort"] if ports else known
        return (
            f'time=%TIME% level=info msg="starting" component={self.spec["name"]}',
            'time=%TIME% level=info msg="configuration loaded"',
            f'time=%TIME% level=info msg="listening" addr=0.0.0.0:{port}',
        )

    @cached_property
    def _is_server(self) -> bool:
        return self.running is not None and self.running.run.serves and not self.running.run.output

    @cached_property
    def _period(self) -> int:
        low, high = PERIOD_SECONDS
        return low + self._number("period") % (high - low)

    def _number(self, what: object) -> int:
        return zlib.crc32(f"{self.identity} {what}".encode())

    def count(self, now: float) -> int:
        """How many lines there have been by then."""
        if now < self.started:
            return 0
        if not self._is_server:
            return len(self._printed)
        opening = len(self._opening)
        end = now if self.ended is None else min(now, self.ended)
        return opening + int((end - self.started) // self._period)

    def lines(
        self, count: int, *, since: float | None = None, tail: int | None = None
    ) -> Iterator[tuple[float, str]]:
        """The last lines of the first ``count``, with the times at which they were printed."""
        first = max(0, count - KEPT_LINES if tail is None else count - min(tail, KEPT_LINES))
        for index in range(first, count):
            seconds = self._seconds(index)
            if since is None or seconds >= since:
                yield seconds, self._line(index)

    def _seconds(self, index: int) -> float:
        if not self._is_server:
            return self._printed[index][0]
        opening = len(self._opening)
        if index < opening:
            return self.started + 0.04 * index
        return self.started + self._period * (index - opening + 1)

    def _line(self, index: int) -> str:
        if not self._is_server:
            return self._printed[index][1]
        if index < len(self._opening):
            return self._opening[index]
        number = self._number(index)
        request = REQUESTS[number % len(REQUESTS)]
        milliseconds = 1 + number // 7 % 43
        return f'time=%TIME% level=info msg="{request}" duration={milliseconds}ms'
