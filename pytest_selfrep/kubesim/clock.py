"""The cluster's time, and what is due when. It moves only when told to."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

Action = Callable[[], None]


@dataclass(order=True, slots=True)
class Timer:
    """Something that will happen at a time; equal times keep the order in which they were set."""

    seconds: float
    sequence: int
    action: Action | None = field(compare=False)

    def cancel(self) -> None:
        self.action = None


class Clock:
    """Seconds since ``start``, with timers."""

    def __init__(self, start: datetime) -> None:
        self._start = start.astimezone(UTC)
        self._start_since_1970 = start.timestamp()
        self._now = 0.0
        self._timers: list[Timer] = []
        self._set = 0
        self._written = (0.0, _rfc3339(self._start))

    @property
    def now(self) -> float:
        """Seconds since the clock's start."""
        return self._now

    def timestamp(self, seconds: float | None = None) -> str:
        """RFC 3339 with whole seconds, as meta/v1 Time is written; now unless told."""
        if seconds is None:
            seconds = self._now
        # Many times in a row are the same time: that of now.
        if seconds != self._written[0]:
            self._written = seconds, _rfc3339(self._start + timedelta(seconds=seconds))
        return self._written[1]

    def moment(self, seconds: float) -> datetime:
        """The date at a time of this clock."""
        return self._start + timedelta(seconds=seconds)

    def micro_timestamp(self) -> str:
        """RFC 3339 with microseconds, as meta/v1 MicroTime is written."""
        return _rfc3339(self._start + timedelta(seconds=self._now), "microseconds")

    def unix_nanoseconds(self) -> int:
        """Nanoseconds since 1970, as Go counts them."""
        return int((self._start_since_1970 + self._now) * 1e9)

    def http_date(self) -> str:
        """As in the Date header of HTTP."""
        return _http_date(self.moment(self._now).replace(microsecond=0))

    def seconds_at(self, timestamp: str) -> float:
        """The inverse of :meth:`timestamp`."""
        return (datetime.fromisoformat(timestamp) - self._start).total_seconds()

    def after(self, delay: float, action: Action) -> Timer:
        """Have ``action`` happen ``delay`` seconds from now."""
        self._set += 1
        timer = Timer(self._now + max(0.0, delay), self._set, action)
        heapq.heappush(self._timers, timer)
        return timer

    def close(self) -> None:
        """Forget all timers."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def next_due(self) -> float | None:
        """When the next timer fires, if one is set."""
        while self._timers and self._timers[0].action is None:
            heapq.heappop(self._timers)
        return self._timers[0].seconds if self._timers else None

    def pop_due(self, until: float) -> Action | None:
        """Move to the next timer due by ``until`` and give its action; with none, move to ``until``."""
        due = self.next_due()
        if due is None or due > until:
            self._now = max(self._now, until)
            return None
        timer = heapq.heappop(self._timers)
        self._now = max(self._now, timer.seconds)
        action = timer.action
        timer.cancel()  # whoever set it may still hold it
        return action


def _rfc3339(moment: datetime, precision: str = "seconds") -> str:
    """Several times faster than strftime."""
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


@lru_cache(maxsize=16)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)
