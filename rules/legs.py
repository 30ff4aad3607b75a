"""Legs: the ways between consecutive fixes of each vehicle, and whether they may be trusted.

Between two fixes a vehicle's longitude, latitude, depth and altitude are taken as linear in time,
the short way round the body. Not so across a gap: too long a time, or a way that the vehicle
cannot have made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from rules.geodesy import rough_distance_m
from rules.tracks import FIX_FIELDS, NEVER, Fixes
from schemas.frame import KINDS, Bools, Codes, Floats, Frame, Ints, Longs, Rows, where

DAY_S: Final = 86_400.0

MAX_GAP_S: Final = MappingProxyType(dict.fromkeys(KINDS, DAY_S) | {"rover": 30 * 88_775.244})
"""The longest time between two fixes across which anything is inferred, by kind of vehicle.

A day is what Global Fishing Watch allows vessels; a rover stands still between its drives: 30 sols.
"""

TOLERANCE_M: Final = 100.0
"""A way this much longer than the limit allows is put down to the fixes' own error."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vehicle may do between two fixes: ``gap_us`` and ``speed_mps``, (kinds,) each.

    A kind whose speed nobody states has no limit of speed.
    """

    gap_us: Longs = field(default_factory=lambda: _by_kind(MAX_GAP_S, 1e6).astype(np.int64))
    speed_mps: Floats = field(default_factory=lambda: np.full(len(KINDS), np.inf))

    @classmethod
    def of(cls, gap_s: Mapping[str, float], speed_mps: Mapping[str, float]) -> "Limits":
        """The limits by kind; a kind that is not named keeps its own."""
        return cls(
            _by_kind({**MAX_GAP_S, **gap_s}, 1e6).astype(np.int64),
            _by_kind({**dict.fromkeys(KINDS, np.inf), **speed_mps}, 1.0),
        )


def _by_kind(values: Mapping[str, float], factor: float) -> Floats:
    return np.array([values[kind] * factor for kind in KINDS], np.float64)


@dataclass(frozen=True, slots=True)
class Legs:
    """The ways to each record that has a position, from its vehicle's fix before; k legs.

    ``row``: (k,) ascending row of ``Tracks``; ``run``: (k,) its run; ``rank``: (k,) its place
    among the run's fixes, from 0. ``before``, ``after``: the fixes at both ends, longitudes of
    ``after`` such that the way goes straight to it (beyond +-180 where it crosses that meridian).
    ``body``: (k,). ``gap_us``: (k,) int64 time from fix to fix. ``distance_m``: (k,) about.
    ``known``: there is a fix before. ``trusted``: so, and the way is within the vehicle's limits;
    ``too_fast``: it is not for the speed it takes.
    ``first``: (runs + 1,) the first leg of each run. ``fix_us``: (runs,) event time of the fix
    before each run, ``NEVER`` = none.
    """

    row: Rows
    run: Rows
    rank: Rows
    before: Fixes
    after: Fixes
    body: Codes
    gap_us: Longs
    distance_m: Floats
    known: Bools
    trusted: Bools
    too_fast: Bools
    first: Rows
    fix_us: Longs

    def __len__(self) -> int:
        return len(self.row)

    def latest_fix_us(self, row: int, run: int) -> int:
        """Event time of the newest fix of ``run`` before a row, ``NEVER`` = none."""
        leg = int(np.searchsorted(self.row, row)) - 1
        return int(self.after.time_us[leg] if leg >= self.first[run] else self.fix_us[run])

    def at(self, leg: Rows, share: Floats) -> tuple[Longs, Floats]:
        """Time (k,) and the ``FIX_FIELDS`` (fields, k) at a share of the way of each leg."""
        before, after = self.before.take(leg), self.after.take(leg)
        time_us = before.time_us + np.rint(share * self.gap_us[leg]).astype(np.int64)
        time_us = np.where(share == 1.0, after.time_us, time_us)
        values = before.values + share * (after.values - before.values)
        # At the ends the fixes' own values: what is not known at the other end says nothing there.
        values = np.where(share == 1.0, after.values, values)
        values[0] = turned(values[0])
        return time_us, values


def legs(limits: Limits, before_runs: Fixes, frame: Frame, run: Rows, cell: Ints) -> Legs:
    """The legs of records by vehicle, then event time.

    ``before_runs``: (runs,) the fix that the vehicle of each run had before; ``run``, ``cell``:
    (n,) run and cell of each record.
    """
    row = where(~np.isnan(frame.number("longitude")))
    run = run[row]
    after = Fixes.of(frame, row, cell)
    first = np.ones(len(row), np.bool_)
    first[1:] = run[1:] != run[:-1]
    # The fix before: of a run's first fix what the roster knows, else the fix one place earlier.
    before = after.take(np.maximum(np.arange(len(row)) - 1, 0))
    at_first = where(first)
    before = before.put(at_first, before_runs.take(run[at_first]))
    begin = np.maximum.accumulate(np.where(first, np.arange(len(row)), 0))
    known = before.time_us != NEVER
    gap_us = np.where(known, after.time_us - before.time_us, 0)
    _unwrap(before, after)
    distance_m = rough_distance_m(
        frame.body[row],
        before.value("longitude"),
        before.value("latitude"),
        after.value("longitude"),
        after.value("latitude"),
    )
    kind = frame.kind[row]
    too_fast = known & ~_reaches(limits.speed_mps[kind], gap_us, distance_m, before, after)
    return Legs(
        row=row,
        run=run,
        rank=np.arange(len(row)) - begin,
        before=before,
        after=after,
        body=frame.body[row],
        gap_us=gap_us,
        distance_m=distance_m,
        known=known,
        trusted=known & ~too_fast & (gap_us <= limits.gap_us[kind]),
        too_fast=too_fast,
        first=np.searchsorted(run, np.arange(len(before_runs.time_us) + 1)),
        fix_us=before_runs.time_us,
    )


_LONGITUDE: Final = FIX_FIELDS.index("longitude")
_ACCURACY: Final = FIX_FIELDS.index("position_accuracy_m")


def _unwrap(before: Fixes, after: Fixes) -> None:
    """Move the longitudes of ``after`` by whole turns to within 180 deg of ``before``'s."""
    longitude = after.values[_LONGITUDE]
    step = longitude - before.values[_LONGITUDE]
    longitude -= 360.0 * (step > 180.0)
    longitude += 360.0 * (step < -180.0)


def turned(longitude: Floats) -> Floats:
    """Longitudes brought back to [-180, 180)."""
    turned: Floats = longitude - 360.0 * (longitude >= 180.0) + 360.0 * (longitude < -180.0)
    return turned


def _reaches(
    speed_mps: Floats, gap_us: Longs, distance_m: Floats, before: Fixes, after: Fixes
) -> Bools:
    if np.isinf(speed_mps).all():
        return np.ones(len(gap_us), np.bool_)
    error_m = np.nan_to_num(before.values[_ACCURACY]) + np.nan_to_num(after.values[_ACCURACY])
    reaches: Bools = distance_m <= speed_mps * (gap_us / 1e6) + TOLERANCE_M + 3 * error_m
    return reaches
