"""A seeded fleet for the benchmark: smooth tracks of many vehicles as columns, and as NDJSON.

Rows are in event-time order and go round-robin through the fleet: row ``k * vehicles + v`` is
record k of vehicle v. Time, position and depth are those of a vehicle that cruises at 1 to 3 m/s
on a slowly turning course, dives and climbs by some tens of metres, and turns back at the edges of
the region.
"""

from dataclasses import dataclass, fields
from typing import BinaryIO, Final

import numpy as np

from schemas.frame import Floats, Longs, Rows

FIRST_TIME_MS: Final = 1_772_323_200_000  # 2026-03-01T00:00:00Z
LATE_BY_MS: Final = 60_000
WEST_DEG, SOUTH_DEG = -130.0, 10.0
DEG_PER_M: Final = 1 / 111_195.0  # a degree of latitude on a sphere of 6,371 km

_TEMPLATE = (
    '{"vehicle_id":"auv-%06d","timestamp":"%sZ","latitude":%.6f,"longitude":%.6f,'
    '"depth_m":%.1f,"speed_mps":%.3f,"heading_deg":%.1f,"battery_pct":%.2f}\n'
)
_ROWS_A_WRITE = 100_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """Telemetry as columns of shape (n,), rounded as written, so that text and columns are equal.

    ``vehicle``: number of the vehicle; ``time_ms``: milliseconds since 1970 UTC; the rest in the
    unit of the name (``latitude``, ``longitude``: deg).
    """

    vehicle: Longs
    time_ms: Longs
    latitude: Floats
    longitude: Floats
    depth_m: Floats
    speed_mps: Floats
    heading_deg: Floats
    battery_pct: Floats

    def __len__(self) -> int:
        return len(self.vehicle)

    def take(self, rows: Rows) -> "Fleet":
        """These rows in this order."""
        return Fleet(*(getattr(self, column.name)[rows] for column in fields(self)))


def simulate(vehicles: int, records: int, side_m: float, seed: int) -> Fleet:
    """``records`` rows of a fleet in a square region of ``side_m`` metres."""
    rng = np.random.default_rng([seed, 1])
    cycles = -(-records // vehicles)
    # Axis 0 is the cycle k, axis 1 the vehicle v. A cycle lasts 1 to 10 s and vehicle v reports at
    # the fraction v / vehicles of it: global time order, and 1 to 10 s between a vehicle's records.
    lasts_s = rng.uniform(1, 10, cycles)
    starts_s = np.cumsum(lasts_s) - lasts_s
    at_s = starts_s[:, None] + lasts_s[:, None] * (np.arange(vehicles) / vehicles)

    def wave(period_s: tuple[float, float]) -> Floats:
        """A sine a vehicle, of random period and phase: (cycles, vehicles)."""
        phase = rng.uniform(0, 2 * np.pi, vehicles)
        return np.asarray(np.sin(2 * np.pi * at_s / rng.uniform(*period_s, vehicles) + phase))

    speed_mps = rng.uniform(1.2, 2.8, vehicles) + 0.2 * wave((120, 900))
    course = rng.uniform(0, 2 * np.pi, vehicles) + 1.2 * wave((1200, 7200))
    step_m = speed_mps * np.diff(at_s, axis=0, prepend=at_s[:1])
    east_m, east_sign = _turned_back(rng, step_m * np.sin(course), side_m)
    north_m, north_sign = _turned_back(rng, step_m * np.cos(course), side_m)
    heading = np.arctan2(east_sign * np.sin(course), north_sign * np.cos(course))
    drain_pct = 4e-4 * at_s * rng.uniform(0.5, 1.5, vehicles)

    def column(values: Floats, digits: int) -> Floats:
        return np.round(values.ravel()[:records], digits)

    return Fleet(
        vehicle=np.tile(np.arange(vehicles), cycles)[:records],
        time_ms=FIRST_TIME_MS + (at_s.ravel()[:records] * 1000).astype(np.int64),
        latitude=column(SOUTH_DEG + north_m * DEG_PER_M, 6),
        longitude=column(WEST_DEG + east_m * DEG_PER_M, 6),
        depth_m=column(rng.uniform(100, 1000, vehicles) + 40 * wave((600, 3600)), 1),
        speed_mps=column(speed_mps, 3),
        heading_deg=column(np.degrees(heading) % 360, 1) % 360,
        battery_pct=column((rng.uniform(5, 100, vehicles) - drain_pct) % 100, 2),
    )


def arrival_order(time_ms: Longs, late: float, seed: int) -> Rows:
    """The rows in the order they arrive: the share ``late`` up to ``LATE_BY_MS`` after its time."""
    rng = np.random.default_rng([seed, 7])
    delay_ms = rng.uniform(0, LATE_BY_MS, len(time_ms)) * (rng.random(len(time_ms)) < late)
    return np.argsort(time_ms + delay_ms, kind="stable")


def _turned_back(rng: np.random.Generator, step_m: Floats, side_m: float) -> tuple[Floats, Floats]:
    """Steps (cycles, vehicles) from a random start, mirrored at 0 and ``side_m``.

    Returns the positions and +1 or -1 where the mirror has turned the direction.
    """
    free = rng.uniform(0, side_m, step_m.shape[1]) + np.cumsum(step_m, axis=0)
    # The mirror image of a free path is a triangle wave of period 2: rising on [0, 1).
    lap = (free / side_m) % 2
    return side_m * (1 - np.abs(lap - 1)), np.where(lap < 1, 1.0, -1.0)


def write_ndjson(fleet: Fleet, file: BinaryIO) -> None:
    """One JSON object a line, about 186 bytes and 8 fields each."""
    for first in range(0, len(fleet), _ROWS_A_WRITE):
        rows = slice(first, first + _ROWS_A_WRITE)
        columns = (
            fleet.vehicle[rows].tolist(),
            np.datetime_as_string(fleet.time_ms[rows].astype("datetime64[ms]")).tolist(),
            fleet.latitude[rows].tolist(),
            fleet.longitude[rows].tolist(),
            fleet.depth_m[rows].tolist(),
            fleet.speed_mps[rows].tolist(),
            fleet.heading_deg[rows].tolist(),
            fleet.battery_pct[rows].tolist(),
        )
        file.write("".join(map(_TEMPLATE.__mod__, zip(*columns, strict=True))).encode())
