"""Schedules on columns: which windows of which zones are open when."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np

from rules.tracks import FOREVER, NEVER
from schemas.frame import EPOCH, Bools, Longs, Rows, where
from schemas.mars_time import sol_date, time_us_at_sol_date
from schemas.schedule import DAY_S, Schedule
from schemas.timestamps import LIMIT_US
from schemas.zone import Zone

_DAY_US: Final = DAY_S * 1_000_000
_MICROSECOND: Final = timedelta(microseconds=1)
# A local day may begin a day before or after that of UTC, and a window ends up to a day after it.
_MARGIN_DAYS: Final = 3

Spans = tuple[Longs, Longs]
"""Begin (included) and end (excluded) of stretches of time, microseconds since 1970 UTC."""


class Timetable:
    """The windows of one schedule in UTC, worked out as far as they are asked for.

    Not for several threads at once: answers are kept for later calls.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        # Days since 1970 (sol dates on Mars) for which the windows are known: none yet.
        self._days = range(0)
        self._spans: Spans = (np.empty(0, np.int64), np.empty(0, np.int64))

    def spans(self, first_us: int, last_us: int) -> Spans:
        """The windows from one time to another, (k,) each: ascending, apart from one another.

        Some more may be among them. Beyond the times that telemetry may have there are none.
        """
        first_us, last_us = max(first_us, 0), min(last_us, LIMIT_US)
        asked = self._days_of(first_us, max(last_us, first_us))
        if asked.start not in self._days or asked[-1] not in self._days:
            self._days = _grown(self._days or asked, asked)
            self._spans = _apart(*self._windows(np.arange(self._days.start, self._days.stop)))
        return self._spans

    def open_at(self, time_us: Longs) -> Bools:
        """(n,) whether a window is open."""
        if not len(time_us):
            return np.empty(0, np.bool_)
        begin_us, end_us = self.spans(int(time_us.min()), int(time_us.max()))
        window = np.searchsorted(end_us, time_us, side="right")
        is_open: Bools = window < np.searchsorted(begin_us, time_us, side="right")
        return is_open

    def _days_of(self, first_us: int, last_us: int) -> range:
        if self._schedule.solar_longitude is None:
            first, last = first_us // _DAY_US, last_us // _DAY_US
        else:
            first, last = (int(day) for day in sol_date(np.array([first_us, last_us])))
        return range(first - _MARGIN_DAYS, last + _MARGIN_DAYS + 1)

    def _windows(self, days: Longs) -> Spans:
        """The windows of days, one after the other."""
        schedule = self._schedule
        if schedule.solar_longitude is None:
            # 1970-01-01 was a Thursday.
            allowed = np.array([schedule.allows(day) for day in range(7)])
            days = days[allowed[(days + 3) % 7]]
        begin_s, end_s = np.array(schedule.windows_s, np.int64).T
        begins, ends = (
            np.concatenate([self._at(days, int(second)) for second in seconds])
            for seconds in (begin_s, end_s)
        )
        return begins, ends

    def _at(self, days: Longs, second: int) -> Longs:
        """UTC (days,) at a second of days by the schedule's own clock, microseconds."""
        schedule = self._schedule
        if schedule.solar_longitude is not None:
            ahead = second / DAY_S - schedule.solar_longitude / 360
            return time_us_at_sol_date(days.astype(np.float64) + ahead)
        clock = schedule.clock
        # None where the offset changes.
        if (offset := clock.utcoffset(None)) is not None:
            return days * _DAY_US + (timedelta(seconds=second) - offset) // _MICROSECOND
        midnight = EPOCH.replace(tzinfo=clock)
        local = (midnight + timedelta(days=day, seconds=second) for day in days.tolist())
        return np.array([(time - EPOCH) // _MICROSECOND for time in local], np.int64)


def _grown(known: range, asked: range) -> range:
    """Both ranges and what lies between; twice as far each time, for answers that go on and on."""
    start, stop = known.start, known.stop
    if asked.start < start:
        start = asked.start - len(known)
    if asked.stop > stop:
        stop = asked.stop + len(known)
    return range(start, stop)


def _apart(begin_us: Longs, end_us: Longs) -> Spans:
    """Stretches sorted, empty ones left out, those that overlap or touch made one."""
    order = where(begin_us < end_us)
    order = order[np.argsort(begin_us[order], kind="stable")]
    begin_us, end_us = begin_us[order], np.maximum.accumulate(end_us[order])
    first = np.ones(len(begin_us), np.bool_)
    first[1:] = begin_us[1:] > end_us[:-1]
    last = np.append(first[1:], [True])[: len(first)]
    return begin_us[first], end_us[last]


class Schedules:
    """The schedules of zones; ``zone`` is always an (n,) column of places in ``zones``."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        different = list(dict.fromkeys(z.schedule for z in zones if z.schedule))
        number = {schedule: i for i, schedule in enumerate(different)}
        self._timetables = [Timetable(schedule) for schedule in different]
        # (z,) the timetable of each zone, -1 = none.
        self._of = np.array([number[z.schedule] if z.schedule else -1 for z in zones], np.intp)

    @property
    def scheduled(self) -> Bools:
        """(zones,) which zones have a schedule."""
        scheduled: Bools = self._of >= 0
        return scheduled

    def open_at(self, zone: Rows, time_us: Longs) -> Bools:
        """(n,) whether a window of the zone is open; always where it has no schedule."""
        is_open = np.ones(len(zone), np.bool_)
        for rows, (begin_us, end_us) in self._met(zone, time_us, time_us):
            window = np.searchsorted(end_us, time_us[rows], side="right")
            is_open[rows] = window < np.searchsorted(begin_us, time_us[rows], side="right")
        return is_open

    def closed_us(self, zone: Rows, since_us: Longs, until_us: Longs) -> Longs:
        """(n,) the first end of a window after one time and up to another, ``FOREVER`` = none."""
        closed_us = np.full(len(zone), FOREVER)
        for rows, (_, end_us) in self._met(zone, since_us, until_us):
            following = np.append(end_us, FOREVER)
            first = following[np.searchsorted(end_us, since_us[rows], side="right")]
            closed_us[rows] = np.where(first <= until_us[rows], first, FOREVER)
        return closed_us

    def between(self, zone: Rows, since_us: Longs, until_us: Longs) -> tuple[Rows, Longs, Longs]:
        """The windows that meet stretches of time: (k,) which stretch, begin and end of each.

        By stretch, then time. A zone without a schedule has one, from ``NEVER`` to ``FOREVER``; a
        stretch that ends before it begins, as the way to a late fix does, meets no windows between.
        """
        if not self._timetables:
            return np.arange(len(zone)), np.full(len(zone), NEVER), np.full(len(zone), FOREVER)
        free = where(self._of[zone] < 0)
        found = [(free, np.full(len(free), NEVER), np.full(len(free), FOREVER))]
        for rows, (begin_us, end_us) in self._met(zone, since_us, until_us):
            first = np.searchsorted(end_us, since_us[rows], side="right")
            count = np.searchsorted(begin_us, until_us[rows], side="right") - first
            count = np.maximum(count, 0)
            window = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
            found.append((np.repeat(rows, count), begin_us[window], end_us[window]))
        of, begin_us, end_us = (np.concatenate(columns) for columns in zip(*found, strict=True))
        order = np.argsort(of, kind="stable")
        return of[order], begin_us[order], end_us[order]

    def _met(self, zone: Rows, since_us: Longs, until_us: Longs) -> list[tuple[Rows, Spans]]:
        """For each timetable that is asked about, the rows and the windows around their times."""
        if not self._timetables:
            return []
        asked = self._of[zone]
        met = []
        for number in np.unique(asked[asked >= 0]).tolist():
            rows = where(asked == number)
            first_us, last_us = int(since_us[rows].min()), int(until_us[rows].max())
            met.append((rows, self._timetables[number].spans(first_us, last_us)))
        return met
