"""Approach: a vehicle outside a zone whose course and speed will take it there soon.

The way ahead is straight and even, like the way between two fixes: from the fix, at the vehicle's
course and speed (its own ``heading_deg`` and ``speed_mps``, else those of the way to the fix), for
``approach_s`` of the zone. Depth and altitude go on as they changed on the way to the fix. An
approach is told once: it ends when the vehicle is in the zone, or does not head there for
``approach_s``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np

from rules.fences import IN, Fences, Presence
from rules.geodesy import bearing_deg, destination
from rules.legs import Legs, turned
from rules.tracks import FIX_FIELDS, Fixes, Tracks
from rules.visits import Stays
from rules.zone_events import approaching_event
from schemas.event import Event
from schemas.frame import Bools, Floats, Frame, Longs, Rows, where

SLOWEST_MPS: Final = 0.01
"""Below this a vehicle heads nowhere."""


@dataclass(frozen=True, slots=True)
class Headings:
    """Fixes from which a zone lies ahead; k of them, by leg.

    ``leg``, ``zone``: (k,). ``distance_m``: (k,) to the zone's edge along the way; ``eta_s``: (k,).
    """

    leg: Rows
    zone: Rows
    distance_m: Floats
    eta_s: Floats

    def take(self, places: Rows | slice) -> "Headings":
        """Those at the given places."""
        return Headings(*(getattr(self, column.name)[places] for column in fields(self)))


NOWHERE: Final = Headings(
    np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float64), np.empty(0, np.float64)
)


@dataclass(frozen=True, slots=True)
class Approaches:
    """When each vehicle last headed for a zone or was in it; a of them.

    ``slot``, ``zone``: (a,). ``last_us``: (a,) int64 event time. ``inside``: (a,) in it then.
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    last_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    inside: Bools = field(default_factory=lambda: np.empty(0, np.bool_))

    def take(self, rows: Rows | slice) -> "Approaches":
        """Those at the given positions."""
        return Approaches(*(getattr(self, column.name)[rows] for column in fields(self)))

    def plus(self, other: "Approaches") -> "Approaches":
        """These and the other ones after them."""
        pairs = ((getattr(self, c.name), getattr(other, c.name)) for c in fields(self))
        return Approaches(*(np.concatenate(pair) for pair in pairs))


def headings(fences: Fences, legs: Legs, frame: Frame) -> Headings:
    """From which fixes a zone with ``approach_s`` lies ahead within that time."""
    if not fences.approach_us.any():
        return NOWHERE
    course_deg, speed_mps = _course(legs, frame)
    moving = where(speed_mps >= SLOWEST_MPS)
    found = [
        _within(fences, legs, moving, (course_deg[moving], speed_mps[moving]), int(span_us))
        for span_us in np.unique(fences.approach_us[fences.approach_us > 0])
    ]
    joined = Headings(
        *(np.concatenate([getattr(h, c.name) for h in found]) for c in fields(Headings))
    )
    return joined.take(np.lexsort((joined.zone, joined.leg)))


def _course(legs: Legs, frame: Frame) -> tuple[Floats, Floats]:
    """(legs,) course over ground (deg) and speed (m/s), NaN where nobody knows."""
    course_deg = frame.number("heading_deg")[legs.row]
    speed_mps = frame.number("speed_mps")[legs.row]
    made = where((np.isnan(course_deg) | np.isnan(speed_mps)) & legs.trusted & (legs.gap_us > 0))
    before, after = legs.before.take(made), legs.after.take(made)
    course_deg[made] = bearing_deg(
        legs.body[made],
        before.value("longitude"),
        before.value("latitude"),
        after.value("longitude"),
        after.value("latitude"),
    )
    speed_mps[made] = legs.distance_m[made] / (legs.gap_us[made] / 1e6)
    return course_deg, speed_mps


def _within(
    fences: Fences, legs: Legs, leg: Rows, course: tuple[Floats, Floats], span_us: int
) -> Headings:
    """The zones of one ``approach_s`` that lie ahead of the fixes of ``leg``."""
    course_deg, speed_mps = course
    now = legs.after.take(leg)
    longitude = turned(now.value("longitude"))
    then = _ahead(legs, leg, span_us)
    reach_m = speed_mps * (span_us / 1e6)
    ahead = destination(legs.body[leg], longitude, now.value("latitude"), course_deg, reach_m)
    then.values[0], then.values[1] = ahead
    met = fences.index.crossings(
        legs.body[leg], longitude, now.value("latitude"), turned(ahead[0]), ahead[1]
    )
    way, zone = met.segment[met.pair], met.zone[met.pair]
    wanted = (zone < len(fences.zones)) & (fences.approach_us[zone % len(fences.zones)] == span_us)
    way, zone, begin, end = way[wanted], zone[wanted], met.begin[wanted], met.end[wanted]
    allowed = fences.clip(now.take(way), then.take(way), zone, begin, end)
    clipped, last, of = allowed.begin, allowed.end, allowed.of
    way, zone, begin, end = way[of], zone[of], begin[of], end[of]
    # Nobody knows the depth: it may well be in the zone's band.
    unknown = np.isnan(clipped) | np.isnan(last)
    begin, end = np.where(unknown, begin, clipped), np.where(unknown, end, last)
    soon = where((begin > 0) & (begin <= end))
    return Headings(
        leg[way[soon]],
        zone[soon],
        begin[soon] * reach_m[way[soon]],
        begin[soon] * (span_us / 1e6),
    )


def _ahead(legs: Legs, leg: Rows, span_us: int) -> Fixes:
    """Where each vehicle would be after a time, but for its place in plan."""
    before, now = legs.before.take(leg), legs.after.take(leg)
    gap_us = np.maximum(legs.gap_us[leg], 1)
    rate = np.where(legs.trusted[leg], (now.values - before.values) / gap_us, 0.0)
    values = now.values + np.nan_to_num(rate) * span_us
    return Fixes(now.time_us + span_us, values, now.cell)


def follow(
    fences: Fences,
    approaches: Approaches,
    tracks: Tracks,
    legs: Legs,
    seen: tuple[Headings, Presence, Stays],
) -> tuple[Approaches, list[Event]]:
    """Follow approaches along the tracks: those now, and what to tell."""
    if not fences.approach_us.any():
        return approaches, []
    ahead, presence, stays = seen
    zones = len(fences.zones)
    slots = int(max(tracks.slot.max(initial=-1), approaches.slot.max(initial=-1))) + 1
    run = tracks.run_of_slot(slots)[approaches.slot]
    known = approaches.take(where(run >= 0))
    row, zone = _inside(fences, presence, stays)
    outside = where(~np.isin(legs.row[ahead.leg] * zones + ahead.zone, row * zones + zone))
    ahead = ahead.take(outside)
    found = _Entries.sorted(
        [
            (run[run >= 0] * zones + known.zone, known.last_us, known.inside),
            (
                tracks.run[row] * zones + zone,
                tracks.frame.time_us[row],
                np.ones(len(row), np.bool_),
            ),
            (
                legs.run[ahead.leg] * zones + ahead.zone,
                legs.after.time_us[ahead.leg],
                np.zeros(len(ahead.leg), np.bool_),
            ),
        ]
    )
    begun = found.begun(fences.approach_us[found.subject % zones])
    events = [_event(fences, tracks, legs, ahead.take(np.array([i]))) for i in begun.tolist()]
    newest = where(np.append(found.subject[1:] != found.subject[:-1], [True])[: len(found.of)])
    subject = found.subject[newest]
    kept = Approaches(
        tracks.slot[subject // zones], subject % zones, found.time_us[newest], found.inside[newest]
    )
    return approaches.take(where(run < 0)).plus(kept), events


@dataclass(frozen=True, slots=True)
class _Entries:
    """What was known before, records in the zone, fixes from which it lies ahead; e of them.

    ``subject``: (e,) run * zones + zone. ``time_us``, ``inside``: (e,). ``of``: (e,) which of the
    headings, -1 = none. By subject, then time.
    """

    subject: Longs
    time_us: Longs
    inside: Bools
    of: Rows

    @classmethod
    def sorted(cls, columns: Sequence[tuple[Longs, Longs, Bools]]) -> "_Entries":
        """Entries of three kinds, the last of which are the headings."""
        subject, time_us, inside = (np.concatenate(c) for c in zip(*columns, strict=True))
        headings = len(columns[-1][0])
        of = np.arange(-len(subject) + headings, headings)
        order = np.lexsort((of, time_us, subject))
        return cls(subject[order], time_us[order], inside[order], np.maximum(of[order], -1))

    def begun(self, approach_us: Longs) -> Rows:
        """The headings that begin an approach, ascending."""
        same = np.zeros(len(self.of), np.bool_)
        same[1:] = (self.subject[1:] == self.subject[:-1]) & ~self.inside[:-1]
        goes_on = same & (np.diff(self.time_us, prepend=self.time_us[:1]) <= approach_us)
        return np.sort(self.of[where((self.of >= 0) & ~goes_on)])


def _inside(fences: Fences, presence: Presence, stays: Stays) -> tuple[Rows, Rows]:
    """(row, zone) of the records in a zone with ``approach_s``, or of a visit not yet over."""
    pair = where((presence.code == IN) & (presence.zone < presence.zones))
    row, stay = stays.pairs()
    zone = np.concatenate([presence.zone[pair], stays.zone[stay]])
    row = np.concatenate([presence.row[pair], row])
    asked = where(fences.approach_us[zone] > 0)
    pairs = np.unique(row[asked] * len(fences.zones) + zone[asked])
    return pairs // len(fences.zones), pairs % len(fences.zones)


def _event(fences: Fences, tracks: Tracks, legs: Legs, heading: Headings) -> Event:
    leg = int(heading.leg[0])
    longitude, latitude, depth_m = legs.after.values[[0, 1, FIX_FIELDS.index("depth_m")], leg]
    place = {
        "longitude": float(turned(np.array([longitude]))[0]),
        "latitude": float(latitude),
        "depth_m": None if np.isnan(depth_m) else float(depth_m),
    }
    return approaching_event(
        fences.zones[heading.zone[0]],
        tracks.vehicle_id(int(legs.run[leg])),
        int(legs.after.time_us[leg]),
        {
            "distance_m": round(float(heading.distance_m[0]), 1),
            "eta_s": round(float(heading.eta_s[0]), 3),
            **place,
        },
    )
