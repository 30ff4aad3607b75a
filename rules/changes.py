"""Changes: where along its track a vehicle comes into a zone, leaves it, or is lost from sight.

Most records change nothing. What does is found on columns: at fixes, by comparing what each says
of a zone with what the fix before said; between fixes, by cutting the ways that meet an edge, or
whose depth, altitude or time meets a bound. ``rules.geofence`` then judges the few changes.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rules.fences import IN, NEAR, OUT, Fences, Presence
from rules.legs import Legs
from rules.tracks import FIX_FIELDS, FOREVER, NEVER, Tracks
from rules.ways import AT_FIX, AT_GAP, Marks, among, joined, marks_at
from schemas.frame import Bools, Codes, Floats, Longs, Rows, where

LOST: Final = 4
"""A change beside those of ``rules.fences``: what happened since the fix before is not known."""


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
class Followed:
    """Subjects that are followed already: (k,) ``subject`` and what the last fix said of each."""

    subject: Longs
    code: Codes


def find_changes(
    fences: Fences,
    tracks: Tracks,
    legs: Legs,
    presence: Presence,
    between: Marks,
    followed: Followed,
) -> Changes:
    """The changes that these records show; of subjects not yet followed from their first ``IN``.

    ``presence``: of the tracks' rows; ``between``: of ``rules.ways`` on the legs.
    """
    said = _said(fences, tracks, legs, presence)
    at_fixes, gone = _at_fixes(fences, legs, said, followed)
    seen = joined([at_fixes, _left_at_once(fences, legs, gone, between), between])
    # Worth following is who is followed already, and who comes in here; ascending.
    subjects = np.unique(np.concatenate([followed.subject, seen.subject[seen.what == IN]]))
    marks = [seen.take(where(among(seen.subject, subjects)))]
    marks += _without_position(fences, tracks, legs, said, subjects)
    marks += _at_gaps(fences, legs, said, subjects)
    return _sorted(fences, tracks, legs, joined(marks))


_Said = tuple[Longs, Rows, Codes]


def _at_fixes(
    fences: Fences, legs: Legs, said: _Said, followed: Followed
) -> tuple[Marks, tuple[Marks, Codes]]:
    """Where a fix says something else of a zone than the fix before.

    Those that say it is outside come second, with what the fix before said.
    """
    subject, leg, code = said
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
    outside = marks_at(legs, subject[off], legs_off, np.full(len(off), OUT, np.int8))
    return marks_at(legs, subject[on], leg[on], code[on]), (outside, code[off])


def _left_at_once(fences: Fences, legs: Legs, gone: tuple[Marks, Codes], between: Marks) -> Marks:
    """The marks of ``gone``, those moved to the fix before that stand for leaving right there.

    Who was inside at a fix and on the way from it no more was on the edge.
    """
    marks, before = gone
    zone, size = marks.subject % max(len(fences.zones), 1), max(len(legs), 1)
    left = where(between.what == OUT)
    shown = np.unique(between.subject[left] * size + between.leg[left])
    at_once = ((before == IN) | (before == NEAR)) & legs.trusted[marks.leg]
    at_once &= legs.gap_us[marks.leg] <= fences.max_gap_us[zone]
    at_once &= ~among(marks.subject * size + marks.leg, shown)
    if at_once.any():
        at_once &= fences.tells(legs.before.take(marks.leg), legs.after.take(marks.leg), zone)
    return replace(marks, order=np.where(at_once, 0.0, marks.order))


def _said(fences: Fences, tracks: Tracks, legs: Legs, presence: Presence) -> _Said:
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


def _without_position(
    fences: Fences, tracks: Tracks, legs: Legs, said: _Said, subjects: Longs
) -> list[Marks]:
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
    next_ = where(following < legs.first[subject // zones + 1])
    gone = Marks(
        subject,
        np.full(len(row), -1),
        row,
        np.full(len(row), OUT, np.int8),
        np.full(len(row), AT_FIX),
        np.zeros(len(row), np.bool_),
    )
    return [gone, _restated(legs, said, subject[next_], following[next_])]


def _restated(legs: Legs, said: _Said, subject: Longs, leg: Rows) -> Marks:
    """What the fixes of ``leg`` say of ``subject``, whatever the fixes before them said."""
    size = max(len(legs), 1)
    known = said[0] * size + said[1]
    order = np.argsort(known)
    asked = subject * size + leg
    what = np.full(len(leg), OUT, np.int8)
    held = where(among(asked, known[order]))
    what[held] = said[2][order[np.searchsorted(known[order], asked[held])]]
    return marks_at(legs, subject, leg, what)


def _at_gaps(fences: Fences, legs: Legs, said: _Said, subjects: Longs) -> list[Marks]:
    """The subjects that are lost from sight between two fixes, and what the second fix says."""
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
    gap = marks_at(legs, subject, leg, what, np.full(len(leg), AT_GAP))
    return [gap, _restated(legs, said, subject, leg)]


def _each_in_run(run: Rows, sorted_run: Rows) -> tuple[Rows, Rows]:
    """All pairs (i, j) with ``run[i] == sorted_run[j]``."""
    first, end = np.searchsorted(sorted_run, run), np.searchsorted(sorted_run, run, side="right")
    i = np.repeat(np.arange(len(run)), end - first)
    skipped = np.repeat(np.cumsum(end - first) - (end - first), end - first)
    return i, np.repeat(first, end - first) + np.arange(len(i)) - skipped


def _sorted(fences: Fences, tracks: Tracks, legs: Legs, marks: Marks) -> Changes:
    marks = marks.take(np.lexsort((marks.order, marks.row, marks.subject)))
    subject, leg, row, what = marks.subject, marks.leg, marks.row, marks.what
    order, rezoned = marks.order, marks.rezoned
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
    begun = (before_us != NEVER) & (what == IN) & ~fences.in_force(zone, before_us)
    closed_us = fences.closed_us(zone, before_us, time_us)
    over = (order == AT_FIX) & (what == OUT) & (closed_us != FOREVER)
    rezoned = rezoned | ((order == AT_FIX) & begun) | over
    # Wherever the vehicle was, the zone ended then.
    time_us = np.where(over, closed_us, time_us)
    crossed = (order >= 0) & (order <= 1)
    return Changes(subject, row, what, time_us, place, leg, before_us, shown_us, crossed, rezoned)
