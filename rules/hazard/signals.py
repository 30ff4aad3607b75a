"""Signals: what was last told of each vehicle, row by row, and since when.

A vehicle's records seldom tell everything at once: each signal's value stays until the next. Times
are float64 microseconds since 1970 UTC, which are exact to the year 2255; ``NO_TIME`` = never.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.tracks import NEVER
from schemas.frame import Bools, Codes, Floats, Longs, Rows

NO_TIME: Final = -np.inf


@dataclass(frozen=True, slots=True)
class Followed:
    """What is remembered of the vehicles of a group, by slot.

    ``values``, ``times``: (signals, slots), the newest value of each signal and its time, NaN and
    ``NO_TIME`` = none. ``grade``: (slots,) the class of the newest record, -1 = none. ``last_us``:
    (slots,) its time, ``NEVER`` = none; ``last_count``: (slots,) records at that very time.
    """

    values: Floats
    times: Floats
    grade: Codes
    last_us: Longs
    last_count: Longs

    @classmethod
    def none(cls, signals: int, slots: int = 0) -> "Followed":
        """``slots`` vehicles of which nothing is known."""
        return cls(
            np.full((signals, slots), np.nan),
            np.full((signals, slots), NO_TIME),
            np.full(slots, -1, np.int8),
            np.full(slots, NEVER),
            np.zeros(slots, np.int64),
        )

    def __len__(self) -> int:
        return len(self.last_us)

    def grown(self, slots: int) -> "Followed":
        """The same with as many slots, the new ones without anything known."""
        new = slots - len(self)
        return self if new <= 0 else self.plus(Followed.none(len(self.values), new))

    def put(self, slots: Rows, other: "Followed") -> "Followed":
        """A copy in which the given slots are as ``other``, of as many slots, has them."""
        values, times = self.values.copy(), self.times.copy()
        values[:, slots], times[:, slots] = other.values[:, slots], other.times[:, slots]
        grade, last_us, last_count = self.grade.copy(), self.last_us.copy(), self.last_count.copy()
        grade[slots], last_us[slots] = other.grade[slots], other.last_us[slots]
        last_count[slots] = other.last_count[slots]
        return Followed(values, times, grade, last_us, last_count)

    def take(self, slots: Rows) -> "Followed":
        """What is remembered of the vehicles in some slots, which are the slots then."""
        return Followed(
            self.values[:, slots],
            self.times[:, slots],
            self.grade[slots],
            self.last_us[slots],
            self.last_count[slots],
        )

    @classmethod
    def joined(cls, parts: Sequence["Followed"]) -> "Followed":
        """What is remembered of the vehicles of several, whose slots follow one another."""
        whole, *others = parts
        for one in others:
            whole = whole.plus(one)
        return whole

    def plus(self, other: "Followed") -> "Followed":
        """What is remembered of these vehicles and of the others behind them."""
        return Followed(
            np.concatenate([self.values, other.values], axis=1),
            np.concatenate([self.times, other.times], axis=1),
            np.concatenate([self.grade, other.grade]),
            np.concatenate([self.last_us, other.last_us]),
            np.concatenate([self.last_count, other.last_count]),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A signal on n rows: the newest value up to each row and its time."""

    value: Floats
    time: Floats

    def fresh(self, now: Floats, age_us: float) -> Bools:
        """(n,) whether there is a value, not older than ``age_us``."""
        known: Bools = now - self.time <= age_us
        return known


class Signals:
    """The signals of n rows, each vehicle's in one run in time order.

    ``slot``: (runs,) the vehicle of each run; ``start``: (runs + 1,) first rows, ending with n;
    ``readings``: names, and (names, n) what the rows tell themselves, NaN = nothing. ``order``:
    names of all signals, in the order of ``before``, the readings first.
    """

    def __init__(
        self,
        order: Sequence[str],
        before: Followed,
        slot: Rows,
        start: Rows,
        time_us: Longs,
        readings: tuple[Sequence[str], Floats],
    ) -> None:
        self.slot, self.start, self.count = slot, start, len(time_us)
        self.now = time_us.astype(np.float64)
        self.run = np.repeat(np.arange(len(slot)), np.diff(start))
        self._place = {name: place for place, name in enumerate(order)}
        names, table = readings
        self._before, self._columns = before, dict(zip(names, table, strict=True))
        self._held: dict[str, Held] = {}
        # Of the readings, at one go: which are told nowhere, which everywhere, which were before.
        unknown = np.isnan(table)
        self._nowhere = dict(zip(names, np.all(unknown, axis=1).tolist(), strict=True))
        self._everywhere = dict(zip(names, np.all(~unknown, axis=1).tolist(), strict=True))
        self._never: list[bool] = np.all(np.isnan(before.values[:, slot]), axis=1).tolist()
        # The row before each in its run, the row itself where it is the run's first.
        self._first = start[:-1]

    def knows(self, name: str) -> bool:
        """Whether the signal has been worked out or read here."""
        return name in self._columns

    def silent(self, name: str) -> bool:
        """Whether nothing of the kind has ever been told of these vehicles."""
        return self._nowhere.get(name, True) and bool(self._never[self._place[name]])

    def told(self, name: str) -> Floats:
        """(n,) what each row tells itself, NaN = nothing."""
        column = self._columns.get(name)
        return np.full(self.count, np.nan) if column is None else column

    def hold(self, name: str, column: Floats) -> Held:
        """The signal ``name`` of values worked out here, (n,) NaN = none; kept like all others."""
        self._columns[name] = column
        unknown = np.isnan(column)
        self._nowhere[name], self._everywhere[name] = bool(unknown.all()), not unknown.any()
        return self.held(name)

    def held(self, name: str) -> Held:
        """The newest value up to each row, that of the row included."""
        found = self._held.get(name)
        if found is None:
            found = self._held[name] = self._filled(name)
        return found

    def earlier(self, name: str) -> Held:
        """The newest value before each row, that of the row left out."""
        held, place = self.held(name), self._place[name]
        value, time = np.empty_like(held.value), np.empty_like(held.time)
        value[1:], time[1:] = held.value[:-1], held.time[:-1]
        value[self._first] = self._before.values[place, self.slot]
        time[self._first] = self._before.times[place, self.slot]
        return Held(value, time)

    def after(self, before: Followed, grade: Codes, last_count: Longs) -> Followed:
        """What is remembered after these rows; ``grade``, ``last_count``: (runs,)."""
        values, times = before.values.copy(), before.times.copy()
        last = self.start[1:] - 1
        for name in self._columns:
            if self._nowhere[name]:
                continue
            held, place = self.held(name), self._place[name]
            values[place, self.slot] = held.value[last]
            times[place, self.slot] = held.time[last]
        all_grade, last_us = before.grade.copy(), before.last_us.copy()
        count = before.last_count.copy()
        all_grade[self.slot], count[self.slot] = grade, last_count
        last_us[self.slot] = self.now[last].astype(np.int64)
        return Followed(values, times, all_grade, last_us, count)

    def _filled(self, name: str) -> Held:
        column, place = self._columns.get(name), self._place[name]
        old_value = self._before.values[place, self.slot]
        old_time = self._before.times[place, self.slot]
        if column is None or self._nowhere[name]:
            return Held(old_value[self.run], old_time[self.run])
        if self._everywhere[name]:
            return Held(column, self.now)
        row = np.where(np.isnan(column), -1, np.arange(self.count))
        row = np.maximum.accumulate(row)
        begin = self._first[self.run]
        here = row >= begin
        return Held(
            np.where(here, column[row], old_value[self.run]),
            np.where(here, self.now[row], old_time[self.run]),
        )
