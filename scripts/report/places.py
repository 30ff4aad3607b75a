"""Which maps to draw: one a place where vehicles are, and an overview where it tells more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.frame import BODIES, Bools, Floats
from schemas.zone import Zone
from scripts.report.data import Track
from scripts.report.projection import (
    Bounds,
    View,
    bounds_of,
    latitude_label,
    longitude_label,
    metres_per_degree,
    view_of,
)
from scripts.report.zones import ZoneShape

MOST_PLACES: Final = 12
_NEAR: Final = 3.0
_SMALL_M: Final = 5_000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedTrack:
    """A track of n > 0 fixes with position, in time order.

    ``time_us``: (n,) int64; ``longitude`` in [-180, 180), ``latitude``: (n,) float64, deg.
    """

    track: Track
    time_us: np.typing.NDArray[np.int64]
    longitude: Floats
    latitude: Floats
    bounds: Bounds

    def position_at(self, time_us: int) -> tuple[float, float]:
        """Longitude and latitude then, linear between fixes, the nearest fix outside of them."""
        turned = np.unwrap(self.longitude, period=360.0)
        return (
            float(np.interp(time_us, self.time_us, turned)),
            float(np.interp(time_us, self.time_us, self.latitude)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPlan:
    """A map to draw; ``detail`` is False for an overview."""

    title: str
    view: View
    detail: bool


def placed_tracks(tracks: Iterable[Track], body: str) -> list[PlacedTrack]:
    """The tracks on one body that have a position."""
    found = []
    for track in tracks:
        known = np.isfinite(track.longitude) & np.isfinite(track.latitude)
        if track.body == body and known.any():
            found.append(_placed(track, known))
    return found


def map_plans(
    tracks: Sequence[PlacedTrack], zones: Sequence[ZoneShape], body: str, told: set[str]
) -> list[MapPlan]:
    """The maps of one body: an overview first where it shows more, then the places.

    ``told``: vehicles with alarms; where there are more places than maps, theirs come first.
    """
    if not tracks:
        return _zones_alone(zones, body)
    places = sorted(
        _places(list(tracks), body),
        key=lambda place: (
            -sum(placed.track.vehicle_id in told for placed in place),
            -len(place),
            min(placed.track.vehicle_id for placed in place),
        ),
    )
    plans = [_detail(place, body) for place in places[:MOST_PLACES]]
    overview = _overview(tracks, zones, body)
    if len(places) == 1 and not _shows_more(overview.view.bounds, plans[0].view.bounds):
        return plans
    if len(places) > MOST_PLACES:
        title = f"{overview.title} ({len(places)} places, the first {MOST_PLACES} below)"
        overview = replace(overview, title=title)
    return [overview, *plans]


def bodies(tracks: Iterable[Track], zones: Iterable[Zone]) -> list[str]:
    """The bodies there is something to draw on, in their usual order."""
    named = {track.body for track in tracks} | {zone.body for zone in zones}
    return [body for body in BODIES if body in named]


def _placed(track: Track, known: Bools) -> PlacedTrack:
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(track.time_us[rows], kind="stable")]
    longitude = np.mod(track.longitude[rows] + 180.0, 360.0) - 180.0
    return PlacedTrack(
        track=track,
        time_us=track.time_us[rows],
        longitude=longitude,
        latitude=track.latitude[rows],
        bounds=bounds_of(longitude, track.latitude[rows]),
    )


def _places(tracks: list[PlacedTrack], body: str) -> list[list[PlacedTrack]]:
    """Cut the tracks along the widest empty strip, east-west or north-south, while one is wide.

    Wide is more than three times the longest track (at least 15 km): vehicles that far apart
    would be dots on a common map.
    """
    whole = _about(tracks)
    east_m, north_m = metres_per_degree(body, whole.middle[1])
    west = whole.middle[0] - 180.0
    # intervals: (n, 2) metres, the extent of each track along one axis.
    lon = np.array([[t.bounds.west, t.bounds.east - t.bounds.west] for t in tracks])
    lon[:, 0] = west + np.mod(lon[:, 0] - west, 360.0)
    lon[:, 1] += lon[:, 0]
    lat = np.array([[t.bounds.south, t.bounds.north] for t in tracks])
    cuts = [_widest_gap(lon * east_m), _widest_gap(lat * north_m)]
    longest_m = max(
        float(np.max(np.diff(lon, axis=1))) * east_m,
        float(np.max(np.diff(lat, axis=1))) * north_m,
        _SMALL_M,
    )
    gap_m, before = max(cuts, key=lambda cut: cut[0])
    if gap_m <= _NEAR * longest_m:
        return [tracks]
    near = [track for track, first in zip(tracks, before, strict=True) if first]
    far = [track for track, first in zip(tracks, before, strict=True) if not first]
    return _places(near, body) + _places(far, body)


def _widest_gap(intervals: Floats) -> tuple[float, Bools]:
    """The widest gap that no interval covers, and which of the (n, 2) intervals lie before it."""
    order = np.argsort(intervals[:, 0], kind="stable")
    reach = np.maximum.accumulate(intervals[order, 1])
    gaps = intervals[order[1:], 0] - reach[:-1]
    before = np.zeros(len(intervals), dtype=np.bool_)
    if not len(gaps):
        return 0.0, before
    widest = int(np.argmax(gaps))
    before[order[: widest + 1]] = True
    return float(gaps[widest]), before


def _about(tracks: Sequence[PlacedTrack]) -> Bounds:
    return bounds_of(
        np.concatenate([placed.longitude for placed in tracks]),
        np.concatenate([placed.latitude for placed in tracks]),
    )


def _detail(tracks: Sequence[PlacedTrack], body: str) -> MapPlan:
    view = view_of(body, _about(tracks))
    return MapPlan(title=f"{body.capitalize()}: {_who(tracks, view)}", view=view, detail=True)


def _overview(tracks: Sequence[PlacedTrack], zones: Sequence[ZoneShape], body: str) -> MapPlan:
    """A map of all tracks and of the zones less than a window's size away from them."""
    view = view_of(body, _about(tracks))
    neighbourhood = view.bounds.widened(3.0)
    boxes = [view.bounds, *(z.bounds for z in zones if z.bounds.meets(neighbourhood))]
    west = np.array([box.west for box in boxes])
    # Each box is turned to lie about the middle of the window.
    west += 360.0 * np.round((view.bounds.middle[0] - west) / 360.0)
    east = west + np.array([box.east - box.west for box in boxes])
    bounds = Bounds(
        west=float(west.min()),
        east=float(min(east.max(), west.min() + 360.0)),
        south=min(box.south for box in boxes),
        north=max(box.north for box in boxes),
    )
    return MapPlan(title=f"{body.capitalize()}: overview", view=view_of(body, bounds), detail=False)


def _zones_alone(zones: Sequence[ZoneShape], body: str) -> list[MapPlan]:
    if not zones:
        return []
    boxes = [zone.bounds for zone in zones]
    bounds = bounds_of(
        np.array([longitude for box in boxes for longitude in (box.west, box.east)]),
        np.array([latitude for box in boxes for latitude in (box.south, box.north)]),
    )
    title = f"{body.capitalize()}: zones"
    return [MapPlan(title=title, view=view_of(body, bounds), detail=False)]


def _shows_more(overview: Bounds, place: Bounds) -> bool:
    return (
        max(
            (overview.east - overview.west) / (place.east - place.west),
            (overview.north - overview.south) / (place.north - place.south),
        )
        >= 1.5
    )


def _who(tracks: Sequence[PlacedTrack], view: View) -> str:
    names = sorted({placed.track.vehicle_id for placed in tracks})
    longitude, latitude = view.bounds.middle
    where = f"{latitude_label(latitude, 0.1)} {longitude_label(longitude, 0.1)}"
    who = ", ".join(names) if len(names) <= 3 else f"{len(names)} vehicles"
    return f"{who} at {where}"
