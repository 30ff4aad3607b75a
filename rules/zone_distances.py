"""Distances to zones, for rules that ask how far a vehicle is from one."""

from collections.abc import Sequence

import numpy as np

from rules.nearest import Nearest
from rules.tracks import FOREVER, NEVER
from rules.zone_geometry import zone_shapes
from schemas.frame import BODIES, Floats, Frame, Rows, where
from schemas.zone import Zone


class ZoneDistances:
    """How far records are from zones, in plan; shapes are made ready when first asked about.

    A distance is known where the record has a position on the zone's body, and the zone is in force
    at its time (whatever its schedule, depths or altitudes).
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._versions: dict[str, list[int]] = {}
        for place, zone in enumerate(zones):
            self._versions.setdefault(zone.id, []).append(place)
        self._nearest: dict[int, Nearest] = {}

    def to(
        self, zone_id: str, frame: Frame, rows: Rows | None = None, exact_below_m: float = np.inf
    ) -> Floats:
        """(n,) geodesic metres of records to a zone, 0 inside, NaN = not known.

        ``rows``: (n,) which records, None = all. What is farther than ``exact_below_m`` may come
        out as any less far that still is.
        """
        rows = np.arange(len(frame)) if rows is None else rows
        distance = np.full(len(rows), np.nan)
        for place in self._versions.get(zone_id, ()):
            zone, time_us = self._zones[place], frame.time_us[rows]
            asked = frame.body[rows] == BODIES.index(zone.body)
            asked &= time_us >= _or(zone.effective_from_us, NEVER)
            asked &= time_us < _or(zone.effective_to_us, FOREVER)
            of = where(asked)
            distance[of] = self._distance(place, frame, rows[of], exact_below_m)
        return distance

    def of_pairs(self, frame: Frame, rows: Rows, zone: Rows) -> Floats:
        """(n,) the same of record ``rows[i]`` to the zone at place ``zone[i]``."""
        distance = np.full(len(rows), np.nan)
        for place in np.unique(zone).tolist():
            of = where(zone == place)
            distance[of] = self._distance(place, frame, rows[of], np.inf)
        return distance

    def _distance(self, place: int, frame: Frame, rows: Rows, exact_below_m: float) -> Floats:
        if not len(rows):
            return np.empty(0)
        nearest = self._nearest.get(place)
        if nearest is None:
            zone = self._zones[place]
            (shape,) = zone_shapes([zone])
            nearest = self._nearest[place] = Nearest(BODIES.index(zone.body), shape)
        longitude, latitude = frame.number("longitude")[rows], frame.number("latitude")[rows]
        return nearest.distance_m(longitude, latitude, exact_below_m=exact_below_m)


def _or(time_us: int | None, otherwise: int) -> int:
    return otherwise if time_us is None else time_us
