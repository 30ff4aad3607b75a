"""Changes: where along its track a vehicle comes into a zone, leaves it, or is lost from sight.

Most records change nothing. What does is found on columns: at fixes, by comparing what each says
of a zone with what the fix before said; between fixes, by cutting the ways that meet an edge, or
whose depth, altitude or time meets a bound. ``rules.geofence`` then judges the few changes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.fences import IN, NEAR, OUT, Fences, Presence
from rules.legs import Legs
from rules.tracks import FIX_FIELDS, NEVER, Tracks
from schemas.frame import Bools, Codes, Floats, Longs, Rows, where

LOST: Final = 4
"""A change beside those of ``rules.fences``: what happened since the fix before is not known."""

_AT_GAP: Final = -1.0
_AT_FIX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of vehicles towards zones; m of them, by subject, then in order of event time.

    ``subject``: (m,) run * zones + zone. ``row``: (m,) the record that shows it. ``what``: (m,)
    int8, the code of ``rules.fences`` that holds from here on, or ``LOST``. ``time_us``: (m,) int64
    when, at this record or between the fix before and it. ``place``:
    (FIX_FIELDS, m). ``leg``: (m,) index into the legs, -1 for a record without a position.
    ``before_us``, ``shown_us``: (m,) int64 event time of the fix before (``NEVER`` = none) and of
    the record that shows it. ``crossed``: (m,) found between fixes. ``rezoned``: (m,) the zone's
    time in force made it.
    """

    subject: Longs
    row: Rows
    what: Codes
    time_us: Longs
    place: Floats
    leg: Rows
    before_us: Longs
    shown_us: Longs
    crossed: Bools
    rezoned: Bools

    def __len__(self) -> int:
        return len(self.subject)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Changes in the making: ``order`` is the share, ``_AT_GAP`` or ``_AT_FIX``."""

    subject: Longs
    leg: Rows
    row: Rows
    what: Codes
    order: Floats
    rezoned: Bools


@dataclass(frozen=True, slots=True)
class Followed:
    """Subjects that are followed already: (k,) ``subject`` and what the last fix said of each."""

    subject: Longs
    code: Codes


def find_changes(
    fences: Fences, tracks: Tracks, legs: Legs, presence: Presence, followed: Followed
) -> Changes:
    """The changes that these records show; of subjects not yet followed from their first ``IN``.

    ``presence``: of the tracks' rows.
    """
    marks = [_at_fixes(fences, tracks, legs, presence, followed)]
    marks += _between_fixes(fences, tracks, legs, presence)
    subjects = _watched(followed, marks)
    marks = [_of(subjects, mark) for mark in marks]
    marks += _without_position(fences, tracks, legs, presence, subjects)
    marks += _at_gaps(fences, legs, subjects)
    return _sorted(fences, tracks, legs, marks)


def _at_fixes(
    fences: Fences, tracks: Tracks, legs: Legs, presence: Presence, followed: Followed
) -> _Marks:
    """Where a fix says something else of a zone than the fix before."""
    subject, leg, code = _said(fences, tracks, legs, presence)
    zones = max(len(fences.zones), 1)
    # What the last fix before these records said is an entry of rank -1.
    known = where(followed.code != OUT)
    subject = np.concatenate([followed.subject[known], subject])
    leg = np.concatenate([np.full(len(known), -1), leg])
    code = np.concatenate([followed.code[known], code])
    rank = np.where(leg < 0, -1, legs.rank[leg] if len(legs) else -1)
    order = np.lexsort((rank, subject))
    subject, leg, code, rank = subject[order], leg[order], code[order], rank[order]
    follows = np.zeros(len(subject), np.bool_)
    follows[1:] = (subject[1:] == subject[:-1]) & (rank[1:] == rank[:-1] + 1)
    before = np.where(follows, np.concatenate([[OUT], code[:-1]])[: len(code)], OUT)
    on = where((code != before) & (rank >= 0))
    # Where no entry follows, the next fix of the vehicle says it is outside.
    goes_on = np.append(follows[1:], [False])[: len(subject)]
    first, count = legs.first[:-1], np.diff(legs.first)
    run = subject // zones
    off = where(~goes_on & (rank + 1 < count[run]))
    legs_off = first[run[off]] + rank[off] + 1
    what = np.concatenate([code[on], np.full(len(off), OUT)]).astype(np.int8)
    return _marks(legs, np.concatenate([subject[on], subject[off]]),
                  np.concatenate([leg[on], legs_off]), what)  # fmt: skip


def _said(
    fences: Fences, tracks: Tracks, legs: Legs, presence: Presence
) -> tuple[Longs, Rows, Codes]:
    """(subject, leg, code) of all pairs that are not ``OUT``, each pair once."""
    pair = where(presence.code != OUT)
    row, zone, code = presence.row[pair], presence.zone[pair], presence.code[pair]
    zones = max(len(fences.zones), 1)
    leg = np.searchsorted(legs.row, row)
    buffer = zone >= zones
    subject = tracks.run[row] * zones + np.where(buffer, zone - zones, zone)
    if not buffer.any():
        return subject, leg, code
    # In the exit buffer alone is NEAR; a pair of zone and buffer counts as the zone's.
    code = np.where(buffer & (code == IN), np.int8(NEAR), code)
    order = np.lexsort((-code, leg, subject))
    subject, leg, code = subject[order], leg[order], code[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (subject[1:] != subject[:-1]) | (leg[1:] != leg[:-1])
    return subject[first], leg[first], code[first]


def _between_fixes(fences: Fences, tracks: Tracks, legs: Legs, presence: Presence) -> list[_Marks]:
    """Where a way meets an edge, or a bound of depth, altitude or time."""
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
    begin, end, opened, closed = fences.clip(
        legs.before.take(leg), legs.after.take(leg), zone, begin, end
    )
    # What lasts less than a microsecond between two fixes is a touch.
    with np.errstate(invalid="ignore"):
        inner = (begin > 0) & (end < 1)
        some = np.where(inner, (end - begin) * legs.gap_us[leg] >= 1, begin < end)
    subject = legs.run[leg] * zones + zone % max(zones, 1)
    come_in = where(some & (begin > 0))
    left = where(some & (end < 1) & (fences.way_out[zone % max(zones, 1)] == zone))
    what = np.where(zone[come_in] < zones, IN, NEAR).astype(np.int8)
    return [
        _marks(legs, subject[come_in], leg[come_in], what, begin[come_in], opened[come_in]),
        _marks(legs, subject[left], leg[left], np.full(len(left), OUT, np.int8), end[left],
               closed[left]),
    ]  # fmt: skip


_Ways = tuple[Rows, Rows, Floats, Floats]


def _meeting_edges(fences: Fences, legs: Legs, asked: Rows, presence: Presence) -> _Ways:
    """(leg, zone, begin, end) in plan of the ways that may meet an edge, with every zone there."""
    before, after = legs.before, legs.after
    found = fences.index.crossings(
        legs.body[asked],
        before.value("longitude")[asked],
        before.value("latitude")[asked],
        _in_frame(after.value("longitude")[asked]),
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
    whole = ~np.isin(at * places + presence.zone[pair], met)
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


def _in_frame(longitude: Floats) -> Floats:
    turned = np.where(longitude >= 180.0, longitude - 360.0, longitude)
    return np.where(turned < -180.0, turned + 360.0, turned)


def _watched(followed: Followed, marks: list[_Marks]) -> Longs:
    """The subjects worth following: those followed and those that come in here, ascending."""
    return np.unique(
        np.concatenate([followed.subject, *(mark.subject[mark.what == IN] for mark in marks)])
    )


def _of(subjects: Longs, marks: _Marks) -> _Marks:
    kept = where(np.isin(marks.subject, subjects))
    return _take(marks, kept)


def _take(marks: _Marks, kept: Rows) -> _Marks:
    return _Marks(
        marks.subject[kept],
        marks.leg[kept],
        marks.row[kept],
        marks.what[kept],
        marks.order[kept],
        marks.rezoned[kept],
    )


def _without_position(
    fences: Fences, tracks: Tracks, legs: Legs, presence: Presence, subjects: Longs
) -> list[_Marks]:
    """A record without a position may still say, by time or depth, where its vehicle is not.

    The fix that follows such a record is told too, whatever the fix before it said.
    """
    nowhere = where(np.isnan(tracks.frame.number("longitude")))
    zones = max(len(fences.zones), 1)
    subjects = subjects[fences.limited[subjects % zones]]
    if not len(nowhere) or not len(subjects):
        return []
    row, subject = _each_in_run(tracks.run[nowhere], subjects // zones)
    row, subject = nowhere[row], subjects[subject]
    out = where(fences.judge(tracks.frame, row, subject % zones) == OUT)
    row, subject = row[out], subject[out]
    following = np.searchsorted(legs.row, row)
    has_next = where(following < legs.first[subject // zones + 1])
    next_leg, next_subject = following[has_next], subject[has_next]
    said_subject, said_leg, code = _said(fences, tracks, legs, presence)
    size = max(len(legs), 1)
    said = said_subject * size + said_leg
    order = np.argsort(said)
    asked = next_subject * size + next_leg
    place = np.minimum(np.searchsorted(said[order], asked), max(len(said) - 1, 0))
    hit = said[order][place] == asked if len(said) else np.zeros(len(asked), np.bool_)
    what = np.where(hit, code[order][place] if len(said) else OUT, OUT).astype(np.int8)
    gone = _Marks(
        subject,
        np.full(len(row), -1),
        row,
        np.full(len(row), OUT, np.int8),
        np.full(len(row), _AT_FIX),
        np.zeros(len(row), np.bool_),
    )
    return [gone, _marks(legs, next_subject, next_leg, what)]


def _at_gaps(fences: Fences, legs: Legs, subjects: Longs) -> list[_Marks]:
    """The subjects that are lost from sight between two fixes."""
    zones = max(len(fences.zones), 1)
    shortest_us = fences.max_gap_us.min(initial=np.iinfo(np.int64).max)
    doubtful = where(legs.known & (~legs.trusted | (legs.gap_us > shortest_us)))
    if not len(doubtful) or not len(subjects):
        return []
    leg, subject = _each_in_run(legs.run[doubtful], subjects // zones)
    leg, subject = doubtful[leg], subjects[subject]
    lost = ~legs.trusted[leg] | (legs.gap_us[leg] > fences.max_gap_us[subject % zones])
    leg, subject = leg[lost], subject[lost]
    what = np.full(len(leg), LOST, np.int8)
    return [_marks(legs, subject, leg, what, np.full(len(leg), _AT_GAP))]


def _each_in_run(run: Rows, sorted_run: Rows) -> tuple[Rows, Rows]:
    """All pairs (i, j) with ``run[i] == sorted_run[j]``."""
    first, end = np.searchsorted(sorted_run, run), np.searchsorted(sorted_run, run, side="right")
    i = np.repeat(np.arange(len(run)), end - first)
    skipped = np.repeat(np.cumsum(end - first) - (end - first), end - first)
    return i, np.repeat(first, end - first) + np.arange(len(i)) - skipped


def _marks(
    legs: Legs,
    subject: Longs,
    leg: Rows,
    what: Codes,
    order: Floats | None = None,
    rezoned: Bools | None = None,
) -> _Marks:
    return _Marks(
        subject,
        leg,
        legs.row[leg],
        what,
        np.full(len(leg), _AT_FIX) if order is None else order,
        np.zeros(len(leg), np.bool_) if rezoned is None else rezoned,
    )


def _sorted(fences: Fences, tracks: Tracks, legs: Legs, marks: list[_Marks]) -> Changes:
    subject, leg, row, what, order, rezoned = (
        np.concatenate([getattr(mark, name) for mark in marks])
        for name in ("subject", "leg", "row", "what", "order", "rezoned")
    )
    sequence = np.lexsort((order, row, subject))
    subject, leg, row = subject[sequence], leg[sequence], row[sequence]
    what, order, rezoned = what[sequence], order[sequence], rezoned[sequence]
    at_leg, alone = where(leg >= 0), where(leg < 0)
    shown_us = tracks.frame.time_us[row]
    time_us, before_us = shown_us.copy(), np.full(len(row), NEVER)
    place = np.full((len(FIX_FIELDS), len(row)), np.nan)
    share = np.clip(order[at_leg], 0.0, 1.0)
    time_us[at_leg], place[:, at_leg] = legs.at(leg[at_leg], share)
    before_us[at_leg] = legs.before.time_us[leg[at_leg]]
    zone = subject % max(len(fences.zones), 1)
    for i in alone.tolist():
        before_us[i] = legs.latest_fix_us(int(row[i]), int(tracks.run[row[i]]))
    # At a fix the zone's time in force made the change where the fix before lay on its other side.
    begun = (before_us != NEVER) & (before_us < fences.from_us[zone]) & (what == IN)
    over = (time_us >= fences.to_us[zone]) & (what == OUT) & (before_us < fences.to_us[zone])
    rezoned |= (order == _AT_FIX) & (begun | over)
    # Wherever the vehicle was, the zone ended then.
    time_us = np.where(rezoned & over, fences.to_us[zone], time_us)
    crossed = (order >= 0) & (order <= 1)
    return Changes(subject, row, what, time_us, place, leg, before_us, shown_us, crossed, rezoned)
