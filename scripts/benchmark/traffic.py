"""BerlinMOD-like traffic: vehicles drive to work, home and about a generated town.

After the model of BerlinMOD (Düntgen, Behr, Güting 2009): every vehicle has a home and a place of
work; on weekdays it drives to work about 8:00 and home about 16:00; on weekday evenings, and in
the middle and at the end of weekend days, it goes out with probability 0.4 to one to three places,
most of them within 3 km of home. It drives the fastest way at the speed of each street's class and
its own pace and waits at some corners. While it drives it reports every 1 or 2 s, with the error
of a GPS receiver; parked it is silent. Day 0 is a Sunday.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Final

import numpy as np

from schemas.frame import Floats, Longs
from scripts.benchmark.areas import Zones, draw_stars
from scripts.benchmark.fleet import DEG_PER_M, FIRST_TIME_MS
from scripts.benchmark.streets import SIDE_M, SPEED_MPS, Streets, build_streets

WEST_DEG, SOUTH_DEG = 13.3, 52.45
EAST_DEG_PER_M: Final = DEG_PER_M / float(np.cos(np.radians(SOUTH_DEG + SIDE_M / 2 * DEG_PER_M)))
REGION_RADIUS_M: Final = 300.0
_DAY_S, _HOUR_S = 86_400.0, 3_600.0
_WEEKEND = (0, 6)
_NEAR_M = 3_000.0
_GOES_OUT = 0.4
_FIX_ERROR_M = 2.0  # 1 sigma a coordinate
_WAITS = 0.25  # share of corners at which a vehicle waits
_WAIT_S = 8.0  # mean

_TEMPLATE = (
    '{"vehicle_id":"car-%06d","kind":"vehicle","timestamp":"%sZ","latitude":%.6f,'
    '"longitude":%.6f,"speed_mps":%.2f}\n'
)
_ROWS_A_WRITE = 100_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Fixes as columns of shape (n,) in time order, rounded as written.

    ``vehicle``: number of the vehicle; ``time_ms``: milliseconds since 1970 UTC; ``latitude``,
    ``longitude``: deg; ``speed_mps``. Cars have no depth.
    """

    vehicle: Longs
    time_ms: Longs
    latitude: Floats
    longitude: Floats
    speed_mps: Floats
    depth_m: Floats | None = None

    def __len__(self) -> int:
        return len(self.vehicle)


@dataclass(frozen=True, slots=True)
class Trip:
    """One drive without a break: who, when (seconds from day 0, 0:00), from and to which corner."""

    vehicle: int
    leaves_s: float
    start: int
    goal: int


def simulate_traffic(vehicles: int, records: int, seed: int) -> Traffic:
    """``records`` fixes of so many vehicles: as many days as it takes, the last one cut short."""
    streets, rng = build_streets(seed), np.random.default_rng([seed, 5])
    drivers = _Drivers(streets, vehicles, rng)
    columns: list[tuple[Longs, Longs, Floats, Floats, Floats]] = []
    day = 0
    while sum(len(of_trip[0]) for of_trip in columns) < records:
        columns += [drivers.drive(trip) for trip in drivers.trips(day)]
        day += 1
    vehicle, time_ms, east_m, north_m, speed_mps = map(np.concatenate, zip(*columns, strict=True))
    order = np.lexsort([vehicle, time_ms])[:records]
    return Traffic(
        vehicle[order],
        time_ms[order],
        np.round(SOUTH_DEG + north_m[order] * DEG_PER_M, 6),
        np.round(WEST_DEG + east_m[order] * EAST_DEG_PER_M, 6),
        np.round(speed_mps[order], 2),
    )


class _Drivers:
    """The vehicles: their homes, places of work, pace, and how often they report."""

    def __init__(self, streets: Streets, vehicles: int, rng: np.random.Generator) -> None:
        self._streets, self._rng = streets, rng
        corners = len(streets.corner_m)
        self._home, self._work = rng.integers(corners, size=(2, vehicles))
        self._pace = rng.uniform(0.8, 1.05, vehicles)
        self._every_ms = rng.choice([1_000, 2_000], vehicles)
        # A vehicle is never back later than it leaves again: one trip after the other.
        self._free_s = np.zeros(vehicles)

    def trips(self, day: int) -> Iterator[Trip]:
        """The trips of a day, vehicle by vehicle, each vehicle's in order.

        Drive each before taking the next: none begins before the one before it has ended.
        """
        for vehicle in range(len(self._home)):
            if day % 7 not in _WEEKEND:
                yield self._leave(vehicle, day, 8.0, self._home, self._work)
                yield self._leave(vehicle, day, 16.0, self._work, self._home)
                yield from self._outing(vehicle, day, 19.5)
            else:
                yield from self._outing(vehicle, day, 10.0)
                yield from self._outing(vehicle, day, 17.0)

    def _leave(self, vehicle: int, day: int, hour: float, start: Longs, goal: Longs) -> Trip:
        late_s = np.clip(self._rng.normal(), -2, 2) * _HOUR_S
        return self._trip(
            vehicle, day * _DAY_S + hour * _HOUR_S + late_s, int(start[vehicle]), int(goal[vehicle])
        )

    def _outing(self, vehicle: int, day: int, hour: float) -> Iterator[Trip]:
        """From home to one to three places, half an hour to an hour and a half at each, home."""
        if self._rng.random() >= _GOES_OUT:
            return
        at_s = day * _DAY_S + (hour + self._rng.uniform(0, 1)) * _HOUR_S
        home = int(self._home[vehicle])
        stops = [self._place_near(home) for _ in range(self._rng.integers(1, 4))]
        for start, goal in zip([home, *stops], [*stops, home], strict=True):
            yield self._trip(vehicle, at_s, start, goal)
            at_s = self._free_s[vehicle] + self._rng.uniform(0.5, 1.5) * _HOUR_S

    def _place_near(self, home: int) -> int:
        corner_m = self._streets.corner_m
        if self._rng.random() < 0.2:
            return int(self._rng.integers(len(corner_m)))
        near = np.hypot(*(corner_m - corner_m[home]).T) < _NEAR_M
        return int(self._rng.choice(np.flatnonzero(near)))

    def _trip(self, vehicle: int, at_s: float, start: int, goal: int) -> Trip:
        return Trip(vehicle, max(at_s, float(self._free_s[vehicle]) + 60), start, goal)

    def drive(self, trip: Trip) -> tuple[Longs, Longs, Floats, Floats, Floats]:
        """The fixes of a trip: vehicle, time (ms), east and north (m), speed (m/s), each (n,)."""
        rng, streets = self._rng, self._streets
        way = streets.way(trip.start, trip.goal)
        taken = [streets.street(a, b) for a, b in pairwise(way)]
        speed_mps = self._pace[trip.vehicle] * SPEED_MPS[streets.kind[taken]]
        drives_s = streets.length_m[taken] / speed_mps
        waits_s = rng.exponential(_WAIT_S, len(taken)) * (rng.random(len(taken)) < _WAITS)
        # Knots of the drive: at each corner when it is reached and when it is left.
        leaves_s = np.concatenate([[0.0], np.cumsum(drives_s + waits_s)])
        knot_s = np.stack([leaves_s[:-1], leaves_s[:-1] + drives_s], axis=1).ravel()
        knot_m = np.repeat(streets.corner_m[way], 2, axis=0)[1:-1]
        self._free_s[trip.vehicle] = trip.leaves_s + leaves_s[-1]
        every_ms = int(self._every_ms[trip.vehicle])
        fix_ms = np.arange(0, leaves_s[-1] * 1000 + 1, every_ms).astype(np.int64)
        if not taken:
            knot_s, knot_m = np.zeros(1), streets.corner_m[way]
        east_m, north_m = (np.interp(fix_ms / 1000, knot_s, knot_m[:, axis]) for axis in (0, 1))
        moved_m = np.hypot(*np.diff([east_m, north_m], axis=1, prepend=[east_m[:1], north_m[:1]]))
        error_m = rng.normal(0, _FIX_ERROR_M, (2, len(fix_ms)))
        return (
            np.full(len(fix_ms), trip.vehicle),
            FIRST_TIME_MS + round(trip.leaves_s * 1000) + fix_ms,
            east_m + error_m[0],
            north_m + error_m[1],
            moved_m / (every_ms / 1000),
        )


def draw_regions(count: int, seed: int) -> Zones:
    """``count`` regions of the town to ask "who entered?" of, without depth."""
    rng = np.random.default_rng([seed, 6])
    from_centre_m = draw_stars(rng, count, REGION_RADIUS_M)
    at_m = rng.uniform(0, SIDE_M, (2, count, 1)) + from_centre_m
    ring = np.stack(
        [WEST_DEG + at_m[0] * EAST_DEG_PER_M, SOUTH_DEG + at_m[1] * DEG_PER_M], axis=-1
    ).round(6)
    return Zones(
        rings=np.concatenate([ring, ring[:, :1]], axis=1),
        min_depth_m=np.full(count, -np.inf),
        max_depth_m=np.full(count, np.inf),
    )


def write_traffic(traffic: Traffic, file: BinaryIO) -> None:
    """One JSON object a line."""
    for first in range(0, len(traffic), _ROWS_A_WRITE):
        rows = slice(first, first + _ROWS_A_WRITE)
        columns = (
            traffic.vehicle[rows].tolist(),
            np.datetime_as_string(traffic.time_ms[rows].astype("datetime64[ms]")).tolist(),
            traffic.latitude[rows].tolist(),
            traffic.longitude[rows].tolist(),
            traffic.speed_mps[rows].tolist(),
        )
        file.write("".join(map(_TEMPLATE.__mod__, zip(*columns, strict=True))).encode())
