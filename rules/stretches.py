"""Stretches: where a vehicle's records follow one another without a gap, and so where gaps are.

All that gaps need to know of the records: one that comes late lengthens a stretch, joins two, or
makes a new one.
"""

from dataclasses import dataclass

import numpy as np

from schemas.frame import Bools, Longs, Rows, where


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of records in windows, k of them, in order of ``row``, then time.

    ``row``: (k,) row of the window. ``start_us``, ``end_us``: (k,) int64, event time of the first
    and the last record.
    """

    row: Rows
    start_us: Longs
    end_us: Longs

    def of_rows(self, kept: Bools) -> "Stretches":
        """Those of the rows of a mask, rows numbered anew."""
        mine = where(kept[self.row])
        number = np.cumsum(kept) - 1
        return Stretches(number[self.row[mine]], self.start_us[mine], self.end_us[mine])

    def part(self, first: int, end: int) -> "Stretches":
        """Those of the rows from ``first`` to before ``end``, rows numbered anew."""
        a, b = np.searchsorted(self.row, (first, end)).tolist()
        return Stretches(self.row[a:b] - first, self.start_us[a:b], self.end_us[a:b])


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps of each of r rows.

    ``number``: (r,); ``longest_us``: (r,), 0 = none; ``first_us``, ``last_us``: (r,) event time of
    the first and the last record.
    """

    number: Longs
    longest_us: Longs
    first_us: Longs
    last_us: Longs


def no_stretches() -> Stretches:
    """Stretches of no row."""
    none = np.empty(0, np.int64)
    return Stretches(np.empty(0, np.intp), none, none)


def joined(stretches: Stretches, begin_us: Longs, length_us: int, gap_us: int) -> Stretches:
    """Stretches, in any order and overlapping, made one where no more than ``gap_us`` apart.

    ``begin_us``: (rows,) start of each row's window, ``length_us`` long.
    """
    # All rows' windows on one axis, end to end.
    shift = stretches.row * length_us - begin_us[stretches.row]
    start = stretches.start_us + shift
    order = np.argsort(start, kind="stable")
    start, row, shift = start[order], stretches.row[order], shift[order]
    end = np.maximum.accumulate(stretches.end_us[order] + shift)
    apart = np.ones(len(order), np.bool_)
    apart[1:] = (start[1:] - end[:-1] > gap_us) | (row[1:] != row[:-1])
    first = where(apart)
    last = np.append(first[1:], len(order))[: len(first)] - 1
    shift = shift[first]
    return Stretches(row[first], start[first] - shift, end[last] - shift)


def gaps(stretches: Stretches) -> Gaps:
    """The gaps of the rows, each of which has a stretch at least."""
    row = stretches.row
    begins = np.ones(len(row), np.bool_)
    begins[1:] = row[1:] != row[:-1]
    begin = where(begins)
    silence_us = np.zeros(len(row), np.int64)
    silence_us[1:] = stretches.start_us[1:] - stretches.end_us[:-1]
    silence_us[begin] = 0
    end = np.append(begin[1:], len(row))
    return Gaps(
        end - begin - 1,
        np.maximum.reduceat(silence_us, begin),
        stretches.start_us[begin],
        stretches.end_us[end - 1],
    )
