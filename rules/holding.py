"""Holding: since when something holds along sequences of rows, on columns.

Rows of several sequences stand one behind another, each sequence in order of time. What is unknown
in a row changes nothing: what held goes on, and nothing begins.
"""

from dataclasses import dataclass

import numpy as np

from rules.expressions import FALSE, TRUE
from rules.tracks import NEVER
from schemas.frame import Bools, Codes, Longs, Rows


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of rows: m rows of k sequences, no sequence empty.

    ``start``: (k + 1,) first row of each, ending with m. ``of``: (m,) sequence of each row.
    ``time_us``: (m,) int64 event time of each row, ascending within a sequence.
    """

    start: Rows
    of: Rows
    time_us: Longs

    @classmethod
    def of_lengths(cls, length: Rows, time_us: Longs) -> "Sequences":
        """Sequences of that many rows each, (k,)."""
        start = np.concatenate([[0], np.cumsum(length)]).astype(np.intp)
        return cls(start, np.repeat(np.arange(len(length)), length), time_us)

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def last(self) -> Rows:
        """(k,) the last row of each sequence."""
        return self.start[1:] - 1

    def latest(self, marked: Bools, *, before: bool = False) -> Rows:
        """(m,) the latest marked row of the sequence up to each row (``before``: before it).

        -1 = none.
        """
        found = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
        if before:
            found = np.concatenate([np.full(min(len(found), 1), -1), found[:-1]])
        latest: Rows = np.where(found >= self.start[self.of], found, -1)
        return latest


@dataclass(frozen=True, slots=True)
class Holding:
    """Since when something holds: ``begin``, ``since_us``: (m,), meant where it holds.

    ``begin``: the row since which, -1 = since before these rows. ``open_us``: (k,) since when at
    the end of each sequence, ``NEVER`` = it does not hold; ``open_begin``: (k,) that row, or -1.
    """

    begin: Rows
    since_us: Longs
    open_us: Longs
    open_begin: Rows


def holding(rows: Sequences, code: Codes, open_us: Longs) -> Holding:
    """Since when ``code`` is TRUE.

    ``code``: (m,) TRUE, FALSE or anything else for unknown. ``open_us``: (k,) int64 since when it
    held before these rows, ``NEVER`` = it did not.
    """
    holds, known = code == TRUE, (code == TRUE) | (code == FALSE)
    before = rows.latest(known, before=True)
    held_before = np.where(before >= 0, holds[before], open_us[rows.of] != NEVER)
    begin = rows.latest(holds & ~held_before)
    since_us = np.where(begin >= 0, rows.time_us[begin], open_us[rows.of])
    at_end = rows.latest(known)[rows.last] if len(rows) else rows.last
    ends_holding = (at_end >= 0) & holds[at_end]
    still_us = np.where(at_end < 0, open_us, NEVER)
    still_us[ends_holding] = since_us[at_end[ends_holding]]
    open_begin = np.where(ends_holding, begin[at_end], -1)
    return Holding(begin, since_us, still_us, open_begin)
