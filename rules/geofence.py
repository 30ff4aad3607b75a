"""The geofence: which vehicle is in which zone since when, who entered, left, stayed too long.

Presence is a function of continuous event time: between two fixes a vehicle moves straight and
evenly (``rules.legs``). What changes along the tracks is found on columns (``rules.changes``); the
course of each visit that has a change, or falls due, is then followed (``rules.course``). All other
visits go on as they are. A record without a position says nothing about presence, and neither does
a fix without the depth (altitude) that a zone's band asks for: no entry, no exit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from rules.changes import Changes, Followed, find_changes
from rules.course import Change, Course, Scene, Told
from rules.fences import Fences, Presence
from rules.legs import Legs
from rules.nearest import distance_to_shape_m
from rules.tracks import FIX_FIELDS, NEVER, Tracks
from rules.visits import AWAY, ENTERING, INSIDE, LEAVING, Crossing, Stays, Visits, visits_of
from rules.ways import Marks, among
from rules.zone_events import GAP_SPEED, GAP_TIME, gap_event
from schemas.event import Event
from schemas.frame import Bools, Rows, where

_LONGITUDE, _LATITUDE, _DEPTH, _ACCURACY = map(
    FIX_FIELDS.index, ("longitude", "latitude", "depth_m", "position_accuracy_m")
)


@dataclass(frozen=True, slots=True)
class Moves:
    """Records in order and what they say by themselves.

    ``presence``: of the tracks' rows; ``between``: what happens on the legs (``rules.ways``).
    """

    tracks: Tracks
    legs: Legs
    presence: Presence
    between: Marks


def follow(
    fences: Fences, names: Mapping[str, str], visits: Visits, moves: Moves
) -> tuple[Visits, Stays, list[Event]]:
    """Follow presence along the tracks.

    ``names``: visit ids given before, by the id a visit would get now. ``visits``: the group's,
    as they were before these rows. Returns the visits now, the stays that touch these rows, and the
    events by vehicle, record and time; of one moment the exits first.
    """
    tracks, legs, zones = moves.tracks, moves.legs, max(len(fences.zones), 1)
    slots = int(max(tracks.slot.max(initial=-1), visits.slot.max(initial=-1))) + 1
    run = tracks.run_of_slot(slots)[visits.slot]
    here = where(run >= 0)
    known, subject = visits.take(here), run[here] * zones + visits.zone[here]
    changes = find_changes(
        fences, tracks, legs, moves.presence, moves.between, Followed(subject, known.code)
    )
    busy = among(subject, changes.subject) | _due(fences, legs, run[here], known)
    idle = known.take(where(~busy))
    stays = _whole(idle, tracks, run[here][~busy])
    gone = np.ones(len(visits), np.bool_)
    gone[here[~busy]] = gone[run < 0] = False
    courses: list[Course] = []
    if gone.any() or len(changes):
        scene = Scene(
            fences,
            tracks,
            legs,
            names,
            legs.row.tolist(),
            legs.after.time_us.tolist(),
            legs.first.tolist(),
            _clear_of(fences, legs),
        )
        courses = _courses(scene, known.take(where(busy)), subject[busy], changes)
        visits = visits.take(where(~gone)).plus(
            visits_of([row for course in courses if (row := course.state())])
        )
        stays = _joined(stays, [stay for course in courses for stay in course.stays])
    told = [one for course in courses for one in course.told] + _gaps(moves, fences, courses)
    told.sort(key=_order)
    return visits, stays, [one.event for one in told]


def _order(told: Told) -> tuple[int, int, int, str]:
    return told.row, told.event.happened_us, told.order, told.event.event_id


def _due(fences: Fences, legs: Legs, run: Rows, known: Visits) -> Bools:
    """(k,) which visits something falls due for by the newest fix of their run."""
    begin, end = legs.first[run], legs.first[run + 1]
    has_fix = end > begin
    newest_us = np.full(len(run), NEVER)
    newest_us[has_fix] = legs.after.time_us[end[has_fix] - 1]
    hold_us = np.zeros(len(run), np.int64)
    entering, leaving = known.phase == ENTERING, known.phase == LEAVING
    hold_us[entering] = fences.min_inside_us[known.zone[entering]]
    hold_us[leaving] = fences.min_outside_us[known.zone[leaving]]
    away = known.phase == AWAY
    hold_us[away] = np.maximum(fences.dwell_window_us[known.zone[away]], 1)
    due_us = np.where(known.phase == INSIDE, known.dwell_due_us, known.since_us + hold_us)
    return has_fix & (newest_us >= due_us)


def _courses(scene: Scene, known: Visits, subject: Rows, changes: Changes) -> list[Course]:
    """The courses of all subjects with a change or something due, by subject."""
    zones = max(len(scene.fences.zones), 1)
    rows = dict(zip(subject.tolist(), _rows_of(known), strict=True))
    by_subject: dict[int, list[Change]] = {s: [] for s in rows}
    for s, change in zip(changes.subject.tolist(), _changes(scene.legs, changes), strict=True):
        by_subject.setdefault(s, []).append(change)
    courses = []
    for s in sorted(by_subject):
        course = Course(scene, s // zones, s % zones, rows.get(s))
        for change in by_subject[s]:
            course.take(change)
        course.finish()
        courses.append(course)
    return courses


def _rows_of(visits: Visits) -> list[tuple[Any, ...]]:
    if not len(visits):
        return []
    return list(zip(*(column.tolist() for column in visits.columns()), strict=True))


def _changes(legs: Legs, changes: Changes) -> list[Change]:
    place = changes.place[[_LONGITUDE, _LATITUDE, _DEPTH]].T.tolist()
    uncertainty_s = _uncertainty_s(legs, changes)
    return [
        Change(
            row,
            leg >= 0,
            what,
            time_us,
            Crossing(
                time_us,
                *_known(*at),
                "zone_changed" if rezoned else "inferred" if crossed else "observed",
                None if seconds < 0 else seconds,
            ),
        )
        for row, leg, what, time_us, at, rezoned, crossed, seconds in zip(
            changes.row.tolist(),
            changes.leg.tolist(),
            changes.what.tolist(),
            changes.time_us.tolist(),
            place,
            changes.rezoned.tolist(),
            changes.crossed.tolist(),
            uncertainty_s,
            strict=True,
        )
    ]


def _known(
    longitude: float, latitude: float, depth_m: float
) -> tuple[float | None, float | None, float | None]:
    return _or_none(longitude), _or_none(latitude), _or_none(depth_m)


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value


def _uncertainty_s(legs: Legs, changes: Changes) -> list[float]:
    """How far the time of each change may be off, seconds; -1 = there is no fix before.

    At most the time between the two fixes; less where they state their accuracy: what the vehicle
    needs for that way at the speed it went.
    """
    known = changes.before_us != NEVER
    seconds = np.where(known, (changes.shown_us - changes.before_us) / 1e6, -1.0)
    crossed = where(changes.crossed)
    leg = changes.leg[crossed]
    accuracy_m = np.fmax(legs.before.values[_ACCURACY][leg], legs.after.values[_ACCURACY][leg])
    with np.errstate(divide="ignore", invalid="ignore"):
        by_speed_s = np.round(accuracy_m * seconds[crossed] / legs.distance_m[leg], 6)
    # What nobody knows is not smaller.
    seconds[crossed] = np.where(by_speed_s < seconds[crossed], by_speed_s, seconds[crossed])
    found: list[float] = seconds.tolist()
    return found


def _gaps(moves: Moves, fences: Fences, courses: list[Course]) -> list[Told]:
    """The gaps in the tracks that end here: of a vehicle's limits, or of a zone it was in."""
    legs, tracks = moves.legs, moves.tracks
    lost: dict[int, set[str]] = {}
    for course in courses:
        for row in course.lost_at:
            lost.setdefault(row, set()).add(fences.zones[course.zone].id)
    wide = legs.row[where(legs.known & ~legs.trusted)].tolist()
    told = []
    for row in sorted(lost.keys() | set(wide)):
        leg = int(np.searchsorted(legs.row, row))
        event = gap_event(
            tracks.vehicle_id(int(legs.run[leg])),
            int(legs.before.time_us[leg]),
            int(legs.after.time_us[leg]),
            float(legs.distance_m[leg]),
            GAP_SPEED if legs.too_fast[leg] else GAP_TIME,
            sorted(lost.get(row, ())),
        )
        told.append(Told(row, -1, event))
    return told


def _whole(visits: Visits, tracks: Tracks, run: Rows) -> Stays:
    """The stays of visits that go on through all rows of their runs."""
    told = where((visits.phase == INSIDE) | (visits.phase == LEAVING))
    return Stays(
        visits.slot[told],
        visits.zone[told],
        visits.entered_us[told],
        visits.visit_id[told],
        tracks.start[run[told]],
        tracks.start[run[told] + 1],
    )


def _joined(stays: Stays, more: list[tuple[int, int, int, str, int, int]]) -> Stays:
    if not more:
        return stays
    slot, zone, entered_us, visit_id, start, stop = zip(*more, strict=True)
    return Stays(
        np.concatenate([stays.slot, np.array(slot, np.intp)]),
        np.concatenate([stays.zone, np.array(zone, np.intp)]),
        np.concatenate([stays.entered_us, np.array(entered_us, np.int64)]),
        np.concatenate([stays.visit_id, np.array(visit_id, object)]),
        np.concatenate([stays.start, np.array(start, np.intp)]),
        np.concatenate([stays.stop, np.array(stop, np.intp)]),
    )


def _clear_of(fences: Fences, legs: Legs) -> Callable[[int, int, float], bool]:
    def clear_of(leg: int, zone: int, distance_m: float) -> bool:
        place = legs.after.values[[_LONGITUDE, _LATITUDE], leg].reshape(2, 1)
        shape = fences.index.shapes[zone]
        found = distance_to_shape_m(int(legs.body[leg]), shape, place[0], place[1])
        return bool(found[0] >= distance_m)

    return clear_of
