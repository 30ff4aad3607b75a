"""Last records: what rules that look back (``previous``, ``rate``) are told of a vehicle's past.

Of each vehicle only what some rule asks for is kept, and nothing where no rule looks back. A rule
that begins to ask while the watch runs knows the records that come from then on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from rules.expressions import Columns
from rules.expressions.steps import Evaluate
from rules.past import Past
from rules.rulesets import CompiledRule
from rules.tracks import NEVER, Tracks
from schemas.frame import Bools, Floats, Frame, Longs, Rows, Texts, concat, where


def _no_records() -> Frame:
    none = np.empty(0, np.int32)
    return Frame(
        vehicle_ids=("",),
        vehicle=none,
        time_us=np.empty(0, np.int64),
        kind=none.astype(np.int8),
        body=none.astype(np.int8),
    )


@dataclass(frozen=True, slots=True)
class Readings:
    """The newest reading of one quantity that each of k vehicles had.

    ``time_us``: (k,) int64 event time, ``NEVER`` = none. ``value``: (k,).
    """

    time_us: Longs
    value: Floats

    @classmethod
    def none(cls, count: int) -> "Readings":
        """Of ``count`` vehicles none."""
        return cls(np.full(count, NEVER), np.full(count, np.nan))

    def take(self, places: Rows | slice) -> "Readings":
        """Those at the given places."""
        return Readings(self.time_us[places], self.value[places])

    def plus(self, other: "Readings") -> "Readings":
        """These and the other ones after them."""
        return Readings(
            np.concatenate([self.time_us, other.time_us]),
            np.concatenate([self.value, other.value]),
        )


@dataclass(frozen=True, slots=True)
class LastRecords:
    """The last record of k vehicles.

    ``slot``: (k,) roster slots. ``frame``: k rows without names. ``readings``: text of an
    expression that ``rate`` takes -> its newest readings, which may be older than the record.
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    frame: Frame = field(default_factory=_no_records)
    readings: Mapping[str, Readings] = field(default_factory=dict)

    def take(self, places: Rows | slice) -> "LastRecords":
        """Those at the given places."""
        readings = {text: found.take(places) for text, found in self.readings.items()}
        return LastRecords(self.slot[places], self.frame.take(places), readings)

    def plus(self, other: "LastRecords") -> "LastRecords":
        """These and the other ones after them."""
        if not len(self.slot) or not len(other.slot):
            return self if len(self.slot) else other
        return LastRecords(
            np.concatenate([self.slot, other.slot]),
            concat([self.frame, other.frame]),
            {
                text: self.reading(text).plus(other.reading(text))
                for text in (*self.readings, *(other.readings.keys() - self.readings.keys()))
            },
        )

    def reading(self, text: str) -> Readings:
        """The newest readings of an expression, by its text."""
        found = self.readings.get(text)
        return Readings.none(len(self.slot)) if found is None else found


class LookBack:
    """What the rules of a book ask of the past: fields of last records, and rates."""

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        names: set[str] = set()
        self.rates: dict[str, Evaluate] = {}
        for rule in rules:
            names |= rule.previous
            for expression in rule.expressions:
                self.rates |= expression.rates
        self.sensors = sorted(
            name.removeprefix("sensors.") for name in names if name.startswith("sensors.")
        )
        # Perhaps "sensors" among them: all of these.
        self.fields = sorted(name for name in names if "." not in name)

    @cached_property
    def asks(self) -> bool:
        """Whether any rule looks back."""
        return bool(self.sensors or self.fields or self.rates)

    def follow(
        self, last: LastRecords, tracks: Tracks, columns: Columns
    ) -> tuple[LastRecords, Past]:
        """The last records after those of the tracks, and the past of each of their rows.

        ``columns``: the tracks' rows as rules without a zone are judged on them.
        """
        slots = int(max(tracks.slot.max(initial=-1), last.slot.max(initial=-1))) + 1
        run_of_last = tracks.run_of_slot(slots)[last.slot]
        known = where(run_of_last >= 0)
        # (runs,) place in ``last`` of each run's vehicle, -1 = none.
        place = np.full(len(tracks.slot), -1, np.intp)
        place[run_of_last[known]] = known
        frame = self._asked(tracks.frame)
        row = np.arange(len(frame)) - 1 + len(last.slot)
        row[tracks.start[:-1]] = place
        rates, since_us, readings = {}, {}, {}
        for text, evaluate in self.rates.items():
            before = last.reading(text).plus(Readings.none(1)).take(place)
            found = _rate(_values(columns, evaluate), tracks, before)
            rates[text], since_us[text], readings[text] = found
        newest = LastRecords(tracks.slot, _compact(frame.take(tracks.start[1:] - 1)), readings)
        past = Past(concat([last.frame, frame]), row, rates, since_us)
        return last.take(where(run_of_last < 0)).plus(newest), past

    def _asked(self, frame: Frame) -> Frame:
        """The frame with what is asked for alone."""
        return Frame(
            vehicle_ids=("",),
            vehicle=np.zeros(len(frame), np.int32),
            time_us=frame.time_us,
            kind=frame.kind,
            body=frame.body,
            numbers={name: frame.numbers[name] for name in self.fields if name in frame.numbers},
            sensors={
                name: column
                for name, column in frame.sensors.items()
                if name in self.sensors or "sensors" in self.fields
            },
            texts={name: frame.texts[name] for name in self.fields if name in frame.texts},
            sequence=frame.sequence if "sequence" in self.fields else None,
        )


def _compact(frame: Frame) -> Frame:
    """The frame with the texts that occur alone: tables must not grow for ever."""
    return replace(frame, texts={name: _used(text) for name, text in frame.texts.items()})


def _used(text: Texts) -> Texts:
    used, codes = np.unique(text.codes, return_inverse=True)
    absent = int(len(used) > 0 and used[0] < 0)
    values = tuple(text.values[code] for code in used[absent:].tolist())
    return Texts(codes.astype(np.int32) - np.int32(absent), values)


def _values(columns: Columns, evaluate: Evaluate) -> tuple[Floats, Bools]:
    """An expression on each record, and where it has a finite value; (n,) each."""
    with np.errstate(all="ignore"):
        data, missing, error = evaluate(columns)
    value = np.broadcast_to(data, len(columns)).astype(np.float64)
    there = np.isfinite(value)
    for without in (missing, error):
        if without is not None:
            there &= ~without
    return value, there


def _rate(
    values: tuple[Floats, Bools], tracks: Tracks, before: Readings
) -> tuple[Floats, Longs, Readings]:
    """(n,) change per second since the record before that has it, NaN = not known; the newest.

    In between: (n,) when that record before was, ``NEVER`` = there is none.
    ``before``: (runs,) the newest reading of each run's vehicle before these rows.
    """
    value, there = values
    time_us, start, n = tracks.frame.time_us, tracks.start, len(value)
    # reading[i]: the last row up to i that has the value; it may be of an earlier run.
    reading = np.maximum.accumulate(np.where(there, np.arange(n), -1))
    earlier = np.concatenate([[-1], reading[:-1]])[:n]
    inside = earlier >= start[tracks.run]
    since_us = np.where(inside, time_us[earlier], before.time_us[tracks.run])
    since = np.where(inside, value[earlier], before.value[tracks.run])
    known = there & (since_us != NEVER) & (since_us < time_us)
    passed_s = np.where(known, time_us - np.where(known, since_us, 0), 1) / 1e6
    with np.errstate(all="ignore"):
        rate = np.where(known, (value - since) / passed_s, np.nan)
    last = reading[start[1:] - 1]
    fresh = last >= start[:-1]
    newest = Readings(
        np.where(fresh, time_us[last], before.time_us), np.where(fresh, value[last], before.value)
    )
    return rate, since_us, newest
