"""Quantities of the surroundings: the ground under a vehicle and ahead of it, the sun."""

from typing import Final

import numpy as np

from rules.geodesy import bearing_deg, distance_m, rough_distance_m
from rules.hazard.rows import Quantity, Rows, fixes
from rules.hazard.signals import Held
from rules.legs import turned
from rules.planning.paths import ways_on_paths
from rules.planning.plans import Plans
from rules.terrain.ground import Corridor, GroundLimits
from rules.terrain.surface import illumination
from schemas.frame import BODIES, Bools, Codes, Floats
from schemas.frame import Rows as Places
from schemas.mars_sun import MARS

_MOVED_M: Final = 0.5


def course(rows: Rows) -> None:
    """Whither a vehicle goes: to its waypoint, else where it heads, else whence it came."""
    rows.once("fixes", fixes)
    signals = rows.signals
    longitude, latitude = signals.told("longitude"), signals.told("latitude")
    before_lon, before_lat = signals.earlier("fix_longitude"), signals.earlier("fix_latitude")
    found = np.full(signals.count, np.nan)
    heading = signals.told("heading_deg")
    wanted = np.isnan(heading) & ~np.isnan(longitude) & ~np.isnan(before_lon.value)
    if wanted.any():
        from_to = (before_lon.value, before_lat.value, longitude, latitude)
        body, (lon0, lat0, lon1, lat1) = rows.body[wanted], (c[wanted] for c in from_to)
        moved = rough_distance_m(body, lon0, lat0, lon1, lat1) >= _MOVED_M
        found[wanted] = np.where(moved, bearing_deg(body, lon0, lat0, lon1, lat1), np.nan)
    signals.hold("course_deg", np.where(np.isnan(heading), found, heading))


def ground(rows: Rows) -> None:
    """The ground under each fix that is told."""
    rows.once("fixes", fixes)
    signals = rows.signals
    columns = np.full((6, signals.count), np.nan)
    told = ~np.isnan(signals.told("longitude"))
    if rows.terrain is not None and told.any():
        longitude, latitude = (signals.told(name)[told] for name in ("longitude", "latitude"))
        found = rows.terrain.under(
            rows.body[told], longitude, latitude, rows.profile.vehicle.max_cell_m
        )
        columns[:, told] = (
            *(found.height_m, found.slope_deg, found.roughness_m, found.step_m),
            *(found.east, found.north),
        )
    names = ("height_m", "slope_deg", "roughness_m", "step_m", "east", "north")
    for name, column in zip(names, columns, strict=True):
        signals.hold(f"ground_{name}", column)


def ahead(rows: Rows) -> None:
    """The corridor ahead of each fix that is told: on the planned path, else straight on."""
    rows.once("course", course)
    signals = rows.signals
    columns = np.full((3, signals.count), np.nan)
    straight = ~np.isnan(signals.told("longitude"))
    if rows.missions is not None and straight.any():
        columns, on_path = _on_path(rows, rows.missions, np.flatnonzero(straight))
        straight[on_path] = False
    _straight_on(rows, straight, columns)
    for name, column in zip(("slope_deg", "step_m", "distance_m"), columns, strict=True):
        signals.hold(f"ahead_{name}", column)


def _on_path(rows: Rows, missions: Plans, told: Places) -> tuple[Floats, Places]:
    """(3, n) slope, step and distance along planned paths, and the rows (of ``told``) on one.

    Of all ways of a row the first cell above a limit counts; what lies beyond the path's end is not
    looked at.
    """
    signals, reach_m = rows.signals, rows.profile.vehicle.corridor_m
    place = missions.in_force(rows.vehicle_ids, rows.vehicle, rows.now.astype(np.int64))[told]
    has_path = (place >= 0) & (np.diff(missions.path_start)[np.maximum(place, 0)] > 0)
    found = np.full((3, signals.count), np.nan)
    told, place = told[has_path], place[has_path]
    if not len(told):
        return found, told
    here = np.stack([signals.told(name)[told] for name in ("longitude", "latitude")])
    body, reach = rows.body[told], np.full(len(told), reach_m)
    ways, past = ways_on_paths(body, here, missions, place, reach)
    at = ways.row
    from_to = turned(ways.lon0), ways.lat0, turned(ways.lon1), ways.lat1
    length_m = np.minimum(ways.length_m, reach_m - ways.start_m)
    seen = _corridor(rows, body[at], *from_to[:2], bearing_deg(body[at], *from_to), length_m)
    slope, step = np.full((2, len(told)), -np.inf)
    nearest, unknown = np.full(len(told), np.inf), np.zeros(len(told), np.bool_)
    np.fmax.at(slope, at, seen.slope_deg)
    np.fmax.at(step, at, seen.step_m)
    np.fmin.at(nearest, at, ways.start_m + seen.distance_m)
    unknown[at[np.isnan(seen.distance_m)]] = True
    nearest = np.where(unknown & np.isinf(nearest), np.nan, nearest)
    looked = np.ones(len(told), np.bool_)
    looked[past] = False
    values = np.where(np.isneginf(slope), np.nan, slope), np.where(np.isneginf(step), np.nan, step)
    found[:, told[looked]] = np.stack([*values, nearest])[:, looked]
    return found, told[looked]


def _straight_on(rows: Rows, known: Bools, columns: Floats) -> None:
    """Fill in (3, n) where ``known``: to the waypoint, else along the course."""
    signals, vehicle = rows.signals, rows.profile.vehicle
    way_deg = signals.held("course_deg").value.copy()
    longitude, latitude = signals.told("longitude"), signals.told("latitude")
    length_m = np.full(signals.count, vehicle.corridor_m)
    to_lon = signals.held("waypoint_longitude").value
    to_lat = signals.held("waypoint_latitude").value
    planned = known & ~np.isnan(to_lon) & ~np.isnan(to_lat)
    if planned.any():
        way = [c[planned] for c in (longitude, latitude, to_lon, to_lat)]
        way_deg[planned] = bearing_deg(rows.body[planned], *way)
        way_m = distance_m(rows.body[planned], *way)
        length_m[planned] = np.minimum(way_m, vehicle.corridor_m)
    known = known & ~np.isnan(way_deg)
    if known.any():
        way = [column[known] for column in (longitude, latitude, way_deg, length_m)]
        found = _corridor(rows, rows.body[known], *way)
        columns[:, known] = found.slope_deg, found.step_m, found.distance_m


def _corridor(
    rows: Rows, body: Codes, longitude: Floats, latitude: Floats, way_deg: Floats, length_m: Floats
) -> Corridor:
    """The ground straight ahead of positions, held against the limits of the vehicle."""
    vehicle = rows.profile.vehicle
    if rows.terrain is None:
        return Corridor(*np.full((5, len(body)), np.nan))
    return rows.terrain.ahead(
        body,
        *(longitude, latitude, way_deg, length_m),
        GroundLimits(vehicle.max_slope_deg or np.inf, vehicle.max_step_m or np.inf),
        width_m=vehicle.corridor_width_m,
        max_cell_m=vehicle.max_cell_m,
    )


def of_ground(name: str) -> Quantity:
    """Something of the ground under the last fix."""

    def quantity(rows: Rows, _: float) -> Held:
        rows.once("ground", ground)
        return rows.signals.held(f"ground_{name}")

    return quantity


def of_ahead(name: str) -> Quantity:
    """Something of the corridor ahead of the last fix."""

    def quantity(rows: Rows, _: float) -> Held:
        rows.once("ahead", ahead)
        return rows.signals.held(f"ahead_{name}")

    return quantity


def _sun(rows: Rows) -> tuple[Floats, Floats, Held]:
    """Azimuth and elevation of the sun at the last fix, deg, NaN but on Mars; the fix."""
    rows.once("fixes", fixes)
    longitude, latitude = (rows.signals.held(f"fix_{n}") for n in ("longitude", "latitude"))
    azimuth = np.full(rows.signals.count, np.nan)
    elevation = azimuth.copy()
    mars = rows.body == BODIES.index("mars")
    if mars.any():
        time_us = rows.now[mars].astype(np.int64)
        found = MARS.position(time_us, longitude.value[mars], latitude.value[mars])
        azimuth[mars] = found.azimuth_deg
        elevation[mars] = found.elevation_deg
    return azimuth, elevation, longitude


def sun_elevation_deg(rows: Rows, _: float) -> Held:
    """How high the sun stands."""
    _azimuth, elevation, fix = _sun(rows)
    return Held(elevation, fix.time)


def illumination_share(rows: Rows, _: float) -> Held:
    """The share of the sun's light that falls on the ground under the vehicle."""
    rows.once("ground", ground)
    azimuth, elevation, _fix = _sun(rows)
    east, north = rows.signals.held("ground_east"), rows.signals.held("ground_north")
    return Held(illumination(east.value, north.value, azimuth, elevation), east.time)
