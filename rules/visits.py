"""Visits: stays of vehicles in zones, begun, confirmed, ending; what the geofence remembers."""

from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.frame import Bools, Codes, Longs, Rows, where

ENTERING: Final = 0
INSIDE: Final = 1
LEAVING: Final = 2
AWAY: Final = 3
"""Phases of a visit: came in, not yet for ``min_inside_s``; told as entered; went out, not yet for
``min_outside_s`` or not yet for sure; ended, its time inside still counts for the dwell limit."""


class Crossing(NamedTuple):
    """The moment of a crossing, as its event tells it."""

    time_us: int
    longitude: float | None
    latitude: float | None
    depth_m: float | None
    reason: str
    uncertainty_s: float | None


@dataclass(frozen=True, slots=True)
class Visits:
    """Stays in zones that are followed; v of them, one a vehicle and zone.

    ``slot``: (v,) roster slot of the vehicle. ``zone``: (v,) index into ``Fences.zones``.
    ``phase``: (v,) int8. ``code``: (v,) int8, what the last fix said (``rules.fences``). ``lost``:
    (v,) presence is not known for sure since then. ``entered_us``: (v,) int64 event time of the
    entry. ``since_us``: (v,) int64, from when on the phase counts. ``dwell_due_us``: (v,) int64,
    when the time inside passes its limit, ``FOREVER`` = never or told. Object columns:
    ``visit_id``, ``moment`` (the ``Crossing`` that waits to be told, None = none) and ``spent``
    (earlier times inside that count for the dwell limit, a tuple of (from, to)).
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    phase: Codes = field(default_factory=lambda: np.empty(0, np.int8))
    code: Codes = field(default_factory=lambda: np.empty(0, np.int8))
    lost: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    entered_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    since_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    dwell_due_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    visit_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    moment: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    spent: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def __len__(self) -> int:
        return len(self.slot)

    def columns(self) -> list[np.ndarray]:
        """All columns in the order of the fields."""
        return [getattr(self, column.name) for column in fields(self)]

    def take(self, rows: Rows | slice) -> "Visits":
        """The visits at the given positions."""
        return Visits(*(column[rows] for column in self.columns()))

    def plus(self, other: "Visits") -> "Visits":
        """These visits and the other ones after them."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return Visits(*(np.concatenate(pair) for pair in pairs))

    def entered(self) -> "Visits":
        """Those that have been told as entered and not as exited."""
        return self.take(where((self.phase == INSIDE) | (self.phase == LEAVING)))

    def unknown(self) -> "Visits":
        """Those of whom nobody knows now whether the vehicle is in the zone."""
        return self.take(where(self.lost & (self.phase != AWAY)))


def visits_of(rows: list[tuple[Any, ...]]) -> Visits:
    """Visits from rows in the order of the columns."""
    empty = Visits()
    if not rows:
        return empty
    columns = []
    for column, values in zip(empty.columns(), zip(*rows, strict=True), strict=True):
        filled = np.empty(len(values), column.dtype)
        filled[:] = values
        columns.append(filled)
    return Visits(*columns)


@dataclass(frozen=True, slots=True)
class Stays:
    """Visits as stretches of rows of one ``Tracks``: visit i holds rows start[i] to stop[i].

    A stay begins with the record that shows the entry for sure and ends with the one that shows
    the exit, so what is known of a record never depends on later ones. ``slot``, ``zone``,
    ``entered_us``, ``visit_id``: (s,) as of ``Visits``.
    """

    slot: Rows
    zone: Rows
    entered_us: Longs
    visit_id: np.ndarray
    start: Rows
    stop: Rows

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, places: Rows) -> "Stays":
        """The stays at the given places."""
        return Stays(*(getattr(self, column.name)[places] for column in fields(self)))

    def plus(self, other: "Stays") -> "Stays":
        """These stays and the other ones after them."""
        pairs = ((getattr(self, c.name), getattr(other, c.name)) for c in fields(self))
        return Stays(*(np.concatenate(pair) for pair in pairs))

    def pairs(self) -> tuple[Rows, Rows]:
        """Every (row, stay) pair: two (m,) arrays."""
        length = self.stop - self.start
        stay = np.repeat(np.arange(len(length)), length)
        offset = np.arange(len(stay)) - np.repeat(np.cumsum(length) - length, length)
        return self.start[stay] + offset, stay
