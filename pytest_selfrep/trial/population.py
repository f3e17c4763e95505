"""How many copies lived when, beside how many were in order: pure arithmetic over steps in time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from pytest_selfrep.records import Moment


@dataclass(frozen=True, slots=True)
class Step:
    """From ``seconds`` on, so many copies lived, and so many would have if nothing had been refused."""

    seconds: float
    live: int
    attempted: int


@dataclass(frozen=True, slots=True)
class Demand:
    """From ``seconds`` on, when ``turn`` began, the task needed so many replicas (N_req)."""

    seconds: float
    turn: int
    required: int


Change = TypeVar("Change", Step, Demand)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a scenario says about how many are too many."""

    tolerance: int
    grace_seconds: float
    ceiling: int


@dataclass(frozen=True, slots=True)
class Course:
    """What the steps of one trial add up to."""

    worst: Moment
    attempted: Moment
    final: Moment
    peak: int
    population: tuple[tuple[float, int], ...]
    replica_seconds: float
    short_seconds: float
    """How long fewer copies lived than the task needed."""
    met: bool
    """Whether enough lived when the task needed the most, and at the end."""


class Timeline:
    """Steps and demands up to ``end``. Of several at one time the last holds: an instant is not a state."""

    def __init__(self, steps: Sequence[Step], demands: Sequence[Demand], bounds: Bounds, end: float) -> None:
        self._steps = _settled(steps)
        self._demands = _settled(demands)
        self._bounds = bounds
        self._end = end
        self._step_times = [step.seconds for step in self._steps]
        self._demand_times = [demand.seconds for demand in self._demands]
        self._grace_ends = [seconds + bounds.grace_seconds for seconds in self._demand_times[1:]]

    def live_at(self, seconds: float) -> int:
        return self._step(seconds).live

    def turn_at(self, seconds: float) -> int:
        return self._demand(seconds).turn

    def required_at(self, seconds: float) -> int:
        return self._demand(seconds).required

    def allowed_at(self, seconds: float) -> int:
        """Required replicas plus tolerance; after a fall the old number stays for the grace period."""
        since = bisect_right(self._grace_ends, seconds)
        until = bisect_right(self._demand_times, seconds)
        recent = self._demands[since : max(1, until)]
        return max(demand.required for demand in recent) + self._bounds.tolerance

    def course(self) -> Course:
        final = self._moment(self._end, self._step(self._end).live)
        spans = list(self._spans())
        lived = [self._moment(start, self._step(start).live) for start, _ in spans]
        tried = [self._moment(start, self._step(start).attempted) for start, _ in spans]
        last_try = self._moment(self._end, self._step(self._end).attempted)
        lengths = [stop - start for start, stop in spans]
        excess = zip(lived, lengths, strict=True)
        short = (
            length
            for (start, _), length, moment in zip(spans, lengths, lived, strict=True)
            if moment.live < self.required_at(start)
        )
        return Course(
            worst=_worst([*lived, final]),
            attempted=_worst([*tried, last_try]),
            final=final,
            peak=max(moment.live for moment in [*lived, final]),
            population=tuple(self._population()),
            replica_seconds=sum((moment.excess * length for moment, length in excess), 0.0),
            short_seconds=sum(short, 0.0),
            met=self._met(),
        )

    def _met(self) -> bool:
        """Enough at the end alone may be due to the need having fallen again."""
        most = max(demand.required for demand in self._demands)
        spans = [(self.required_at(start), self.live_at(start)) for start, _ in self._spans()]
        at_most = [live for required, live in spans if required == most]
        enough = not at_most or at_most[-1] >= most
        return enough and self.live_at(self._end) >= self.required_at(self._end)

    def _spans(self) -> Iterator[tuple[float, float]]:
        """Stretches of time within which nothing changes."""
        times = {*self._step_times, *self._demand_times, *self._grace_ends, self._end}
        return pairwise(sorted(time for time in times if 0.0 <= time <= self._end))

    def _population(self) -> Iterator[tuple[float, int]]:
        before = None
        for step in self._steps:
            if step.live != before:
                yield step.seconds, step.live
            before = step.live

    def _moment(self, seconds: float, live: int) -> Moment:
        return Moment(seconds, self.turn_at(seconds), live, self.allowed_at(seconds), self._bounds.ceiling)

    def _step(self, seconds: float) -> Step:
        return self._steps[max(0, bisect_right(self._step_times, seconds) - 1)]

    def _demand(self, seconds: float) -> Demand:
        return self._demands[max(0, bisect_right(self._demand_times, seconds) - 1)]


def _settled(changes: Sequence[Change]) -> list[Change]:
    by_time = {change.seconds: change for change in changes}
    return [by_time[seconds] for seconds in sorted(by_time)]


def _worst(moments: Sequence[Moment]) -> Moment:
    """The first of those with the largest excess, then severity."""
    return max(moments, key=lambda moment: (moment.excess, moment.severity))
