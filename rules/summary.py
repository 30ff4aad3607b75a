"""Summary: the records of a frame as windows, all key groups at once, where a pass is cheapest."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rules import exact_sums
from rules.assessment import KeyGroups
from rules.stretches import Stretches
from rules.windows import COUNT, NEVER, Fields, Windows
from schemas.frame import BODIES, Bools, Floats, Frame, Longs, Rows, where

ANGLES: Final = ("heading_deg", "latitude", "longitude")
"""Columns that go round or that only mean something together: they have no mean."""
KIND_AND_BODY: Final = "kind and body"
"""The column of what the vehicle is: index of its kind times the number of bodies, plus body."""


@dataclass(frozen=True, slots=True)
class Windowing:
    """How records are put in windows.

    ``length_us``: of a window; windows begin at whole lengths from 1970. ``gap_us``: records of a
    window further apart have a gap between them. ``lateness_us``: how far behind its vehicle's
    newest record one may come and still be counted in its own window.
    """

    length_us: int = 60_000_000
    gap_us: int = 30_000_000
    lateness_us: int = 120_000_000

    @property
    def kept(self) -> int:
        """How many windows before the one a vehicle is in still take records."""
        return -(-self.lateness_us // self.length_us)


@dataclass(frozen=True, slots=True)
class Part:
    """A frame's records of one key group by vehicle, window and window the vehicle was in.

    ``windows``: in that order; their ``vehicle`` is an index into ``vehicle_ids``, all of which
    occur. ``current``: (rows,) the window of the newest record of the vehicle in the frame when
    those of the row came: later than the row's own if they came late.
    """

    key: str
    vehicle_ids: tuple[str, ...]
    windows: Windows
    current: Longs


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The rows of a frame in order of key group, vehicle, window, current window, time.

    ``order``: (n,) rows of the frame. ``time_us``: (n,). ``row``: (n,) row of the result.
    ``start``: (rows,) where each begins, ``window``, ``current``: (rows,) what it stands for;
    ``fresh``: (rows,) where another vehicle begins.
    """

    order: Rows
    time_us: Longs
    row: Rows
    start: Rows
    window: Longs
    current: Longs
    fresh: Bools


def summarise(windowing: Windowing, groups: KeyGroups, frame: Frame) -> Iterator[Part]:
    """The frame's records as windows, cut by key group, in group order."""
    if not len(frame):
        return
    group = groups.of_ids(frame.vehicle_ids)
    rank = np.empty(len(group), np.intp)
    rank[np.argsort(group, kind="stable")] = np.arange(len(group))
    found = _sorted(windowing.length_us, rank, frame)
    vehicle = frame.vehicle[found.order[found.start]]
    number = np.cumsum(found.fresh) - 1
    windows = Windows(
        *_figures(frame, number, found), stretches=_stretches(found, windowing.gap_us)
    )
    of_row = group[vehicle]
    present = np.unique(of_row)
    bound = np.append(np.searchsorted(of_row, present), len(of_row)).tolist()
    for place, one in enumerate(present.tolist()):
        rows = slice(bound[place], bound[place + 1])
        part = windows.part(rows.start, rows.stop)
        names = vehicle[rows][found.fresh[rows]].tolist()
        yield Part(
            groups.key(one),
            tuple(map(frame.vehicle_ids.__getitem__, names)),
            replace(part, vehicle=part.vehicle - number[rows.start]),
            found.current[rows],
        )


def _sorted(length_us: int, rank: Rows, frame: Frame) -> _Sorted:
    """``rank``: (len(vehicle_ids),) place of each vehicle in the order to be made."""
    # Below 65,536 vehicles numpy's stable sort is a radix sort.
    key = rank[frame.vehicle].astype(np.uint16 if len(rank) <= 1 << 16 else np.uint32)
    order = np.argsort(key, kind="stable")
    vehicle, time_us = frame.vehicle[order], frame.time_us[order]
    window = time_us // length_us
    other = np.ones(len(order), np.bool_)
    other[1:] = vehicle[1:] != vehicle[:-1]
    current = window
    if not (other[1:] | (time_us[1:] >= time_us[:-1])).all():
        run = np.cumsum(other, dtype=np.int64)
        current = _newest_so_far(run, window)
        again = np.lexsort((time_us, current, window, run))
        order, time_us, window = order[again], time_us[again], window[again]
        current = current[again]
    fresh = other.copy()
    fresh[1:] |= (window[1:] != window[:-1]) | (current[1:] != current[:-1])
    start = where(fresh)
    row = np.cumsum(fresh) - 1
    return _Sorted(order, time_us, row, start, window[start], current[start], other[start])


def _newest_so_far(run: Longs, window: Longs) -> Longs:
    """(n,) greatest of the windows up to each row within its run; ``run`` ascends."""
    found, place = np.unique(window, return_inverse=True)
    # A run's keys are all greater than those of the runs before.
    key = np.maximum.accumulate(run * len(found) + place)
    newest: Longs = found[key - run * len(found)]
    return newest


def _figures(frame: Frame, vehicle: Rows, found: _Sorted) -> tuple[Fields, Rows, Longs, Floats]:
    linear = {name: column for name, column in frame.numbers.items() if name not in ANGLES}
    linear |= {f"sensors.{name}": column for name, column in frame.sensors.items()}
    others = {name: column for name, column in frame.numbers.items() if name in ANGLES}
    others[KIND_AND_BODY] = frame.kind.astype(np.float64) * len(BODIES) + frame.body
    fields = Fields(tuple(sorted(linear)), tuple(sorted(others)))
    count = np.diff(found.start, append=len(found.order))
    columns = np.zeros((fields.width, len(found.start)))
    columns[COUNT] = count
    for place, name in enumerate(fields.all):
        values = (linear[name] if name in linear else others[name])[found.order]
        if name in linear:
            step = len(linear)
            columns[3 + place : fields.added.stop : step] = _added(values, found, count)
            columns[fields.bounds][place::step] = _bounds(values, found.start)
        columns[fields.last_us.start + place], columns[fields.last.start + place] = _last(
            values, found
        )
    return fields, vehicle, found.window, np.ascontiguousarray(columns.T)


def _added(values: Floats, found: _Sorted, count: Longs) -> Floats:
    """(5, rows) how many values each row has, and the sums of their parts."""
    added = np.zeros((5, len(found.start)))
    added[0] = count
    known = ~np.isnan(values)
    if not known.all():
        added[0] = np.add.reduceat(known, found.start, dtype=np.float64)
        values = np.where(known, values, 0.0)
    end = np.append(found.start[1:], len(values)) - 1
    for place, part in enumerate(exact_sums.parts(values), start=1):
        if part is not None:
            # Exact, for parts are whole numbers: differences of running sums are sums.
            added[place] = np.diff(np.cumsum(part)[end], prepend=0.0)
    return added


def _bounds(values: Floats, start: Rows) -> Floats:
    """(2, rows) the greatest of the negated values and of the values; NaN = none."""
    high, low = np.maximum.reduceat(values, start), np.minimum.reduceat(values, start)
    if np.isnan(high).any():
        high, low = np.fmax.reduceat(values, start), np.fmin.reduceat(values, start)
    return np.stack([-low, high])


def _last(values: Floats, found: _Sorted) -> tuple[Floats, Floats]:
    """(rows,) time of the last value, and the value; of values at the same time the greatest."""
    start, time_us = found.start, found.time_us
    last = np.append(start[1:], len(values)) - 1
    value = values[last]
    tied = (last > start) & (time_us[last - 1] == time_us[last])
    if not tied.any() and not np.isnan(value).any():
        return time_us[last].astype(np.float64), value
    at_us = np.where(np.isnan(values), NEVER, time_us)
    newest_us = np.maximum.reduceat(at_us, start)
    newest = np.where(at_us == newest_us[found.row], values, np.nan)
    return newest_us, np.fmax.reduceat(newest, start)


def _stretches(found: _Sorted, gap_us: int) -> Stretches:
    apart = np.ones(len(found.order), np.bool_)
    apart[1:] = (found.row[1:] != found.row[:-1]) | (np.diff(found.time_us) > gap_us)
    first = where(apart)
    last = np.append(first[1:], len(apart)) - 1
    return Stretches(found.row[first], found.time_us[first], found.time_us[last])
