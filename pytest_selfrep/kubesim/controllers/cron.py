"""Cron schedules, as CronJobs spell them (robfig/cron's standard parser)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pytest_selfrep.kubesim.decoding.gonumbers import parse_int

_MACROS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[int, int, Mapping[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_ITEM = re.compile(r"(\*|\?|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?")
_HORIZON_DAYS = 366 * 5
"""How far ahead to look: a leap year's 29 February comes within that."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a CronJob is due, in a time zone."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both days of month and of week are restricted: then either will do."""
    zone: str

    def after(self, moment: datetime) -> datetime | None:
        """The first due minute after ``moment`` (which has a time zone), in UTC; None if there is none."""
        local = moment.astimezone(ZoneInfo(self.zone) if self.zone else UTC)
        start = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start
        for _ in range(_HORIZON_DAYS):
            if self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        due = day.replace(hour=hour, minute=minute)
                        if due >= start:
                            return due.astimezone(UTC)
            day = (day + timedelta(days=1)).replace(hour=0, minute=0)
        return None

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last due minute after ``since`` and not after ``until``; None if there is none."""
        span = timedelta(minutes=1)
        while True:
            start = max(since, until - span)
            due = self.after(start)
            if due is not None and due <= until:
                break
            if start == since:
                return None
            span *= 2
        following = self.after(due)
        while following is not None and following <= until:
            due, following = following, self.after(following)
        return due

    def count(self, since: datetime, until: datetime, most: int) -> int:
        """How many due minutes lie after ``since`` and not after ``until``, counting to ``most``."""
        number, due = 0, self.after(since)
        while due is not None and due <= until and number < most:
            number, due = number + 1, self.after(due)
        return number

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month or of_week) if self.either_day else (of_month and of_week)


@lru_cache(maxsize=256)
def parse(text: str, zone: str = "") -> Schedule:
    """Raises ValueError, in the parser's words, for what is no schedule."""
    spec = _MACROS.get(text, text)
    fields = spec.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (
        _values(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)
    )
    either_day = fields[2][0] not in "*?" and fields[4][0] not in "*?"
    return Schedule(minutes, hours, days, months, weekdays, either_day, zone)


def _values(field: str, least: int, most: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for item in field.lower().split(","):
        matched = _ITEM.fullmatch(item)
        if matched is None:
            raise ValueError(f"failed to parse int from {item}")
        first, last, step = matched.groups()
        if first in ("*", "?"):
            low, high = least, most
        else:
            low = _number(first, names)
            high = _number(last, names) if last else (most if step else low)
        if low < least:
            raise ValueError(f"beginning of range ({low}) below minimum ({least}): {item}")
        if high > most:
            raise ValueError(f"end of range ({high}) above maximum ({most}): {item}")
        if low > high:
            raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {item}")
        stride = _number(step, {}) if step else 1
        if stride == 0:
            raise ValueError(f"step of range should be a positive number: {item}")
        found.update(range(low, high + 1, stride))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    try:
        return parse_int(text)
    except ValueError as error:
        why = str(error).replace("ParseInt", "Atoi")
        raise ValueError(f"failed to parse int from {text}: {why}") from None
