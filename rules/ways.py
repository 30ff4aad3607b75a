"""Ways: what happens to a vehicle between two fixes, zone by zone.

None of it depends on anything but the two fixes, so it can be worked out for whole frames, before
they are cut by key group (``rules.ahead``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from rules.fences import IN, NEAR, OUT, Fences, Presence
from rules.legs import Legs, turned
from schemas.frame import Bools, Codes, Floats, Longs, Rows, where

AT_GAP: Final = -1.0
AT_FIX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Changes in the making; m of them.

    ``subject``: (m,) run * zones + zone. ``leg``: (m,) the way they lie on, -1 = a record without a
    position; ``row``: (m,) the record that shows them. ``what``: (m,) int8. ``order``: (m,) the
    share of the way, ``AT_GAP`` before it or ``AT_FIX`` behind it. ``rezoned``: (m,) the zone's
    time in force made it.
    """

    subject: Longs
    leg: Rows
    row: Rows
    what: Codes
    order: Floats
    rezoned: Bools

    def take(self, places: Rows | slice) -> "Marks":
        """The marks at the given places."""
        return Marks(*(getattr(self, column.name)[places] for column in fields(self)))


def joined(marks: Sequence[Marks]) -> Marks:
    """All of the marks, one after the other."""
    return Marks(
        *(np.concatenate([getattr(m, column.name) for m in marks]) for column in fields(Marks))
    )


def marks_at(
    legs: Legs,
    subject: Longs,
    leg: Rows,
    what: Codes,
    order: Floats | None = None,
    rezoned: Bools | None = None,
) -> Marks:
    """Marks on legs, at their fixes unless ``order`` says where."""
    return Marks(
        subject,
        leg,
        legs.row[leg],
        what,
        np.full(len(leg), AT_FIX) if order is None else order,
        np.zeros(len(leg), np.bool_) if rezoned is None else rezoned,
    )


def among(values: Longs, ascending: Longs) -> Bools:
    """Which of ``values`` are in ``ascending``: np.isin for sorted columns."""
    if not len(ascending):
        return np.zeros(len(values), np.bool_)
    place = np.searchsorted(ascending, values)
    found: Bools = ascending[np.minimum(place, len(ascending) - 1)] == values
    return found


def between_fixes(fences: Fences, legs: Legs, presence: Presence) -> Marks:
    """Where a way meets an edge, or a bound of depth, altitude or time.

    ``presence``: of the rows that the legs lead to. Marks are by leg; subjects are of its runs.
    """
    edge = (legs.before.cell != legs.after.cell) | (legs.after.cell < 0)
    leg, zone, begin, end = (
        np.concatenate(columns)
        for columns in zip(
            _meeting_edges(fences, legs, where(legs.trusted & edge), presence),
            _in_one_cell(fences, legs, presence, legs.trusted & ~edge),
            strict=True,
        )
    )
    zones = len(fences.zones)
    near = legs.gap_us[leg] <= fences.max_gap_us[zone % max(zones, 1)]
    leg, zone, begin, end = leg[near], zone[near], begin[near], end[near]
    allowed = fences.clip(legs.before.take(leg), legs.after.take(leg), zone, begin, end)
    leg, zone, begin, end = leg[allowed.of], zone[allowed.of], allowed.begin, allowed.end
    # What lasts less than a microsecond between two fixes is a touch.
    with np.errstate(invalid="ignore"):
        inner = (begin > 0) & (end < 1)
        some = np.where(inner, (end - begin) * legs.gap_us[leg] >= 1, begin < end)
    subject = legs.run[leg] * zones + zone % max(zones, 1)
    # A zone that comes into force at the very fix holds it; one that goes out of force does not.
    come_in = where((some & (begin > 0)) | (allowed.opened & (begin == 1) & (end == 1)))
    left = where(
        some & ((end < 1) | allowed.closed) & (fences.way_out[zone % max(zones, 1)] == zone)
    )
    what = np.where(zone[come_in] < zones, IN, NEAR).astype(np.int8)
    marks = joined(
        [
            marks_at(
                legs, subject[come_in], leg[come_in], what, begin[come_in], allowed.opened[come_in]
            ),
            marks_at(
                legs,
                subject[left],
                leg[left],
                np.full(len(left), OUT, np.int8),
                end[left],
                allowed.closed[left],
            ),
        ]
    )
    return marks.take(np.argsort(marks.leg, kind="stable"))


_Ways = tuple[Rows, Rows, Floats, Floats]


def _meeting_edges(fences: Fences, legs: Legs, asked: Rows, presence: Presence) -> _Ways:
    """(leg, zone, begin, end) in plan of the ways that may meet an edge, with every zone there."""
    before, after = legs.before, legs.after
    found = fences.index.crossings(
        legs.body[asked],
        before.value("longitude")[asked],
        before.value("latitude")[asked],
        turned(after.value("longitude")[asked]),
        after.value("latitude")[asked],
    )
    leg, zone = asked[found.segment[found.pair]], found.zone[found.pair]
    # Zones that hold the fix, whose edges the way does not meet, hold all of it: their bands and
    # times may still be met.
    pair = where(fences.limited[presence.zone])
    at = np.searchsorted(legs.row, presence.row[pair])
    chosen = np.zeros(len(legs), np.bool_)
    chosen[asked] = True
    pair, at = pair[chosen[at]], at[chosen[at]]
    places = 2 * max(len(fences.zones), 1)
    met = asked[found.segment] * places + found.zone
    whole = ~among(at * places + presence.zone[pair], np.sort(met))
    more, more_zone = at[whole], presence.zone[pair[whole]]
    return (
        np.concatenate([leg, more]),
        np.concatenate([zone, more_zone]),
        np.concatenate([found.begin, np.zeros(len(more))]),
        np.concatenate([found.end, np.ones(len(more))]),
    )


def _in_one_cell(fences: Fences, legs: Legs, presence: Presence, within: Bools) -> _Ways:
    """(leg, zone, begin, end) of ways inside a zone in plan all along whose bounds may matter."""
    pair = where(fences.limited[presence.zone])
    leg = np.searchsorted(legs.row, presence.row[pair])
    pair, leg = pair[within[leg]], leg[within[leg]]
    return leg, presence.zone[pair], np.zeros(len(leg)), np.ones(len(leg))
