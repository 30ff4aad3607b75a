"""Ahead: when a vehicle will be in a zone, on its planned path or else on its course.

It is taken to keep its speed and its depth. On a path it goes from where it is to the end of the
stretch of the path it is nearest to, and on along it; past the last point, or without a path, it
keeps its course. Nobody knows the way of a vehicle whose speed or course is not told.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from rules.approach import SLOWEST_MPS
from rules.fences import Fences
from rules.geodesy import destination
from rules.legs import turned
from rules.planning.paths import Ways, ways_on_paths
from rules.planning.plans import Plans
from rules.tracks import Fixes
from schemas.frame import Bools, Floats, Frame, Longs, Rows


@dataclass(frozen=True, slots=True)
class Prospects:
    """What lies ahead of n rows: (n,) each.

    ``in_s``, ``distance_m``: ``inf`` = nothing, NaN = not known. ``zone``: place of the zone met
    first, -1 = none.
    """

    in_s: Floats
    distance_m: Floats
    zone: Rows


def prospects(
    fences: Fences, frame: Frame, look_ahead_s: float, plans: Plans, place: Rows, asked: Bools
) -> Prospects:
    """What each row meets within ``look_ahead_s`` of zones, where it is ``asked`` (n,).

    Of a zone to keep in it meets the end. ``place``: (n,) the plan in force, -1 = none.
    """
    if not asked.all():
        rows = np.flatnonzero(asked)
        in_s, distance_m = np.full((2, len(frame)), np.nan)
        out = Prospects(in_s, distance_m, np.full(len(frame), -1, np.intp))
        if not len(rows):
            return out
        every = np.ones(len(rows), np.bool_)
        some = prospects(fences, frame.take(rows), look_ahead_s, plans, place[rows], every)
        out.in_s[rows], out.distance_m[rows], out.zone[rows] = some.in_s, some.distance_m, some.zone
        return out
    speed_mps = frame.number("speed_mps")
    reach_m = speed_mps * look_ahead_s
    out = Prospects(
        np.full(len(frame), np.inf), np.full(len(frame), np.inf), np.full(len(frame), -1, np.intp)
    )
    moving = np.flatnonzero(speed_mps >= SLOWEST_MPS)
    ways, unknown = _ways(frame, moving, reach_m, plans, place)
    if fences.zones:
        _meet(fences, frame, ways, out)
        _now(fences, frame, out)
    met = out.zone >= 0
    with np.errstate(invalid="ignore"):
        in_s = np.where(out.distance_m > 0.0, out.distance_m / speed_mps, 0.0)
    out.in_s[met] = in_s[met]
    unknown = ~met & (unknown | np.isnan(speed_mps) | np.isnan(frame.number("longitude")))
    out.in_s[unknown] = out.distance_m[unknown] = np.nan
    return out


def _ways(
    frame: Frame, rows: Rows, reach_m: Floats, plans: Plans, place: Rows
) -> tuple[Ways, Bools]:
    """The ways ahead of ``rows``, and (n,) for which rows nobody knows one."""
    points = np.diff(plans.path_start, append=plans.path_start[-1])[place[rows]]
    on_path = (place[rows] >= 0) & (points > 0)
    on, off = rows[on_path], rows[~on_path]
    at = np.stack([frame.number("longitude")[on], frame.number("latitude")[on]])
    along, past = ways_on_paths(frame.body[on], at, plans, place[on], reach_m[on])
    along, straight = replace(along, row=on[along.row]), np.sort(np.append(off, on[past]))
    heading = frame.number("heading_deg")
    unknown = np.zeros(len(frame), np.bool_)
    unknown[straight] = np.isnan(heading[straight])
    straight = straight[~unknown[straight]]
    lon, lat = frame.number("longitude")[straight], frame.number("latitude")[straight]
    to = destination(frame.body[straight], lon, lat, heading[straight], reach_m[straight])
    ahead = Ways(straight, lon, lat, *to, np.zeros(len(straight)), reach_m[straight])
    return Ways(
        *(np.concatenate([getattr(w, f.name) for w in (ahead, along)]) for f in fields(Ways))
    ), unknown


def _meet(fences: Fences, frame: Frame, ways: Ways, out: Prospects) -> None:
    met = fences.index.crossings(
        frame.body[ways.row], turned(ways.lon0), ways.lat0, turned(ways.lon1), ways.lat1
    )
    way, zone = met.segment[met.pair], met.zone[met.pair]
    wanted = zone < len(fences.zones)
    way, zone, begin, end = way[wanted], zone[wanted], met.begin[wanted], met.end[wanted]
    at = Fixes.of(frame, ways.row[way], np.full(len(frame), -1, np.int32))
    arrival_us = _arrival_us(frame, ways, way)
    before, after = (
        Fixes(arrival_us[0], at.values, at.cell),
        Fixes(arrival_us[1], at.values, at.cell),
    )
    allowed = fences.clip(before, after, zone, begin, end)
    way, zone = way[allowed.of], zone[allowed.of]
    # Nobody knows the depth: it may well be in the zone's band.
    unknown = np.isnan(allowed.begin) | np.isnan(allowed.end)
    begin = np.where(unknown, begin[allowed.of], allowed.begin)
    end = np.where(unknown, end[allowed.of], allowed.end)
    keep_in = fences.keep_in[zone]
    share = np.where(keep_in, end, begin)
    real = (begin <= end) & (~keep_in | (end < 1.0))
    way, zone, share = way[real], zone[real], share[real]
    _nearest(out, ways.row[way], ways.start_m[way] + share * ways.length_m[way], zone, frame)


def _arrival_us(frame: Frame, ways: Ways, way: Rows) -> tuple[Longs, Longs]:
    """(m,) when the vehicle is at the beginning and at the end of each way."""
    row, speed_mps = ways.row[way], frame.number("speed_mps")[ways.row[way]]
    start_s = ways.start_m[way] / speed_mps
    end_s = (ways.start_m[way] + ways.length_m[way]) / speed_mps
    time_us = frame.time_us[row]
    return time_us + (start_s * 1e6).astype(np.int64), time_us + (end_s * 1e6).astype(np.int64)


def _nearest(out: Prospects, row: Rows, distance_m: Floats, zone: Rows, frame: Frame) -> None:
    """Note what each row meets first; of equals the zone that comes first. Not beyond reach."""
    order = np.lexsort((zone, distance_m, row))
    row, distance_m, zone = row[order], distance_m[order], zone[order]
    first = np.ones(len(row), np.bool_)
    first[1:] = row[1:] != row[:-1]
    row, distance_m, zone = row[first], distance_m[first], zone[first]
    nearer = distance_m < out.distance_m[row]
    out.distance_m[row[nearer]], out.zone[row[nearer]] = distance_m[nearer], zone[nearer]


def _now(fences: Fences, frame: Frame, out: Prospects) -> None:
    """Rows that are in a zone, or out of one to keep in, have nothing ahead of them: it is so."""
    presence = fences.presence(frame)
    held = presence.held()
    row, zone = presence.row[held], presence.zone[held]
    barred = ~fences.keep_in[zone]
    _nearest(out, row[barred], np.zeros(int(barred.sum())), zone[barred], frame)
    for place in np.flatnonzero(fences.keep_in).tolist():
        inside = np.zeros(len(frame), np.bool_)
        inside[row[zone == place]] = True
        located = ~np.isnan(frame.number("longitude"))
        now = np.full(len(frame), place)
        away = np.flatnonzero(located & ~inside & fences.in_force(now, frame.time_us))
        _nearest(out, away, np.zeros(len(away)), np.full(len(away), place), frame)
