"""Windows: the figures of records by vehicle and window of event time, as columns that merge.

Merging is commutative and associative to the bit, so a window's figures depend on which records
are in it and on nothing else: neither their order nor how they came in frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rules.stretches import Stretches, joined, no_stretches
from schemas.frame import Bools, Floats, Longs, Rows, where

COUNT, TOO_LATE, TOLD = range(3)
"""The first columns of ``Windows.figures``: records counted; records attributed that came too late
for their own window; the version told last, 0 = none."""
NEVER: Final = -1.0
"""The time of a value that there is none of."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of L + O fields and the columns of their figures.

    ``linear``: L that have a mean; ``others``: O, angles and codes, that only have a last value.
    """

    linear: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __or__(self, other: "Fields") -> "Fields":
        return Fields(
            tuple(sorted({*self.linear, *other.linear})),
            tuple(sorted({*self.others, *other.others})),
        )

    @property
    def all(self) -> tuple[str, ...]:
        """The linear ones, then the others."""
        return self.linear + self.others

    @property
    def width(self) -> int:
        """How many columns there are."""
        width: int = self.last.stop
        return width

    @property
    def added(self) -> slice:
        """The columns that add up: counts, and 5 for each linear field, figure by figure.

        Those are the number of values and their sums at ``exact_sums.PLACES``.
        """
        return slice(0, 3 + 5 * len(self.linear))

    @property
    def bounds(self) -> slice:
        """The greatest of each linear field's negated values, then of its values; NaN = none."""
        return slice(self.added.stop, self.added.stop + 2 * len(self.linear))

    @property
    def last_us(self) -> slice:
        """The time of the last value of each field."""
        return slice(self.bounds.stop, self.bounds.stop + len(self.all))

    @property
    def last(self) -> slice:
        """The last value of each field; of values at the same time the greatest; NaN = none."""
        return slice(self.last_us.stop, self.last_us.stop + len(self.all))

    def nothing(self, rows: int) -> Floats:
        """(rows, width) figures of no record."""
        figures = np.full((rows, self.width), np.nan)
        figures[:, self.added] = 0
        figures[:, self.last_us] = NEVER
        return figures

    def columns_in(self, other: "Fields") -> Rows:
        """(width,) the column of each figure in ``other``, which has all of these fields."""
        linear = np.array([other.linear.index(name) for name in self.linear], np.intp)
        every = np.array([other.all.index(name) for name in self.all], np.intp)
        figure = np.arange(5)[:, None] * len(other.linear)
        return np.concatenate(
            [
                np.arange(3),
                (3 + figure + linear).ravel(),
                (other.bounds.start + figure[:2] + linear).ravel(),
                other.last_us.start + every,
                other.last.start + every,
            ]
        )


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of r rows, one a (vehicle, window).

    ``vehicle``: (r,) who. ``window``: (r,) int64, whole window lengths from 1970 to its start.
    ``figures``: (r, ``fields.width``) float64. ``stretches``: of the rows.
    """

    fields: Fields
    vehicle: Rows
    window: Longs
    figures: Floats
    stretches: Stretches

    def __len__(self) -> int:
        return len(self.window)

    @property
    def version(self) -> Floats:
        """(r,) how many records each window counts."""
        version: Floats = self.figures[:, COUNT] + self.figures[:, TOO_LATE]
        return version

    def of_rows(self, kept: Bools) -> "Windows":
        """The rows of a mask."""
        if kept.all():
            return self
        rows = where(kept)
        return Windows(
            self.fields,
            self.vehicle[rows],
            self.window[rows],
            self.figures[rows],
            self.stretches.of_rows(kept),
        )

    def part(self, first: int, end: int) -> "Windows":
        """The rows from ``first`` to before ``end``, as views."""
        rows = slice(first, end)
        return Windows(
            self.fields,
            self.vehicle[rows],
            self.window[rows],
            self.figures[rows],
            self.stretches.part(first, end),
        )

    def with_fields(self, fields: Fields) -> "Windows":
        """The same with columns for all of ``fields``, which hold those it has."""
        if fields == self.fields:
            return self
        figures = fields.nothing(len(self))
        figures[:, self.fields.columns_in(fields)] = self.figures
        return replace(self, fields=fields, figures=figures)

    def without_idle_fields(self) -> "Windows":
        """The same without the fields that no row has a value of."""
        idle = (self.figures[:, self.fields.last_us] == NEVER).all(axis=0).tolist()
        if not any(idle):
            return self
        used = {name for name, none in zip(self.fields.all, idle, strict=True) if not none}
        fields = Fields(
            tuple(name for name in self.fields.linear if name in used),
            tuple(name for name in self.fields.others if name in used),
        )
        figures = self.figures[:, fields.columns_in(self.fields)]
        return replace(self, fields=fields, figures=figures)


def no_windows() -> Windows:
    """Windows without a row."""
    none = np.empty(0, np.int64)
    return Windows(Fields(), np.empty(0, np.intp), none, Fields().nothing(0), no_stretches())


def of_late_records(vehicle: Rows, window: Longs, records: Floats) -> Windows:
    """Rows that count nothing but ``records`` that came too late for their own window."""
    figures = Fields().nothing(len(window))
    figures[:, TOO_LATE] = records
    return Windows(Fields(), vehicle, window, figures, no_stretches())


def concat(tables: Sequence[Windows]) -> Windows:
    """The rows of all tables, in their order; what is one window stays several rows."""
    tables = [table for table in tables if len(table)]
    if len(tables) < 2:
        return tables[0] if tables else no_windows()
    fields = tables[0].fields
    for table in tables[1:]:
        fields = fields if table.fields == fields else fields | table.fields
    first = np.cumsum([0, *(len(table) for table in tables[:-1])]).tolist()
    stretches = [table.stretches for table in tables]
    return Windows(
        fields,
        np.concatenate([table.vehicle for table in tables]),
        np.concatenate([table.window for table in tables]),
        np.concatenate([table.with_fields(fields).figures for table in tables]),
        Stretches(
            np.concatenate([s.row + at for s, at in zip(stretches, first, strict=True)]),
            np.concatenate([s.start_us for s in stretches]),
            np.concatenate([s.end_us for s in stretches]),
        ),
    )


def merge(tables: Sequence[Windows], length_us: int, gap_us: int) -> Windows:
    """One row a (vehicle, window), in that order, of all rows of ``tables``."""
    every = concat(tables)
    order = np.lexsort((every.window, every.vehicle))
    vehicle, window = every.vehicle[order], every.window[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (vehicle[1:] != vehicle[:-1]) | (window[1:] != window[:-1])
    begin = where(fresh)
    figures = every.figures[order[begin]]
    merged_row = np.cumsum(fresh) - 1
    # Rows are merged into the first of their window; each window has few: one a round.
    further = np.arange(len(order)) - begin[merged_row]
    for nth in range(1, int(further.max(initial=0)) + 1):
        some = where(further == nth)
        into = merged_row[some]
        figures[into] = _together(every.fields, figures[into], every.figures[order[some]])
    of_row = np.empty(len(order), np.intp)
    of_row[order] = merged_row
    window = window[begin]
    stretches = joined(
        replace(every.stretches, row=of_row[every.stretches.row]),
        window * length_us,
        length_us,
        gap_us,
    )
    return Windows(every.fields, vehicle[begin], window, figures, stretches)


def _together(fields: Fields, a: Floats, b: Floats) -> Floats:
    """(r, width) the figures of ``a`` and ``b``, row by row."""
    out = np.empty_like(a)
    np.add(a[:, fields.added], b[:, fields.added], out=out[:, fields.added])
    np.fmax(a[:, fields.bounds], b[:, fields.bounds], out=out[:, fields.bounds])
    a_us, b_us = a[:, fields.last_us], b[:, fields.last_us]
    a_last, b_last = a[:, fields.last], b[:, fields.last]
    np.maximum(a_us, b_us, out=out[:, fields.last_us])
    newer = np.where(a_us < b_us, b_last, a_last)
    out[:, fields.last] = np.where(a_us == b_us, np.fmax(a_last, b_last), newer)
    return out
