"""From simulated tracks to the lines that reach the shore, in the order in which they do."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.random import Generator

from scripts.scenario.auv import auv_track
from scripts.scenario.fleet import FLEET
from scripts.scenario.rover import rover_track
from scripts.scenario.track import START, Floats, Longs, Track

RECORDS: Final = 200_000
FEWEST: Final = 1_000
MOST: Final = 3_000_000  # about one a second from each vehicle
ROVER_SHARE: Final = 1 / 31
BROKEN_SHARE: Final = 0.0005


class Record(msgspec.Struct, omit_defaults=True):
    """One telemetry record as it is sent; the order of the fields is the order on the wire."""

    vehicle_id: str
    kind: str
    body: str
    timestamp: str
    sequence: int
    status: str
    mission_id: str
    longitude: float | None = None
    latitude: float | None = None
    depth_m: float | None = None
    altitude_m: float | None = None
    height_above_bottom_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    position_accuracy_m: float | None = None
    battery_pct: float | None = None
    power_generation_w: float | None = None
    power_consumption_w: float | None = None
    temperature_c: float | None = None
    sensors: dict[str, float] | None = None


NUMBERS: Final = Record.__struct_fields__[7:-1]


def write_telemetry(path: Path, *, seed: int, records: int = RECORDS) -> None:
    """Writes the scenario's telemetry to ``path`` as NDJSON, one line for each of ``records``.

    The same seed and size give the same bytes. The story (dives, drives, incidents) spans 96 hours
    at any size; the size sets how often each vehicle is sampled. Raises ValueError where
    ``records`` is not between ``FEWEST`` and ``MOST``, OSError where the file cannot be written.
    """
    path.write_bytes(b"\n".join(telemetry(seed, records)) + b"\n")


def telemetry(seed: int, records: int) -> list[bytes]:
    """The lines of ``write_telemetry``, without their line ends."""
    if not FEWEST <= records <= MOST:
        message = f"records is {records}: choose {FEWEST} to {MOST}"
        raise ValueError(message)
    rng = np.random.default_rng(seed)
    tracks = simulate(records, rng)
    lines = [line for track in tracks for line in encode(track)]
    damage(lines, rng)
    # Tracks lie one after the other and the sort is stable, so that records of one vehicle that
    # arrive at the same moment (an upload) stay in order.
    order = np.argsort(np.concatenate([track.arrival_s for track in tracks]), kind="stable")
    return [lines[index] for index in order.tolist()]


def simulate(records: int, rng: Generator) -> list[Track]:
    """The tracks of all vehicles, ``records`` rows in all."""
    for_rover = int(records * ROVER_SHARE)
    each, left_over = divmod(records - for_rover, len(FLEET))
    fleet = [
        auv_track(vehicle, each + (index < left_over), rng) for index, vehicle in enumerate(FLEET)
    ]
    return [*fleet, rover_track(for_rover, rng)]


def encode(track: Track) -> Iterable[bytes]:
    """Each record of ``track`` as one JSON object."""
    n = len(track.time_ms)
    records = map(
        Record,
        [track.vehicle_id] * n,
        [track.kind] * n,
        [track.body] * n,
        _timestamps(track.time_ms),
        range(1, n + 1),
        track.status,
        track.mission_id,
        *(_column(track.numbers.get(name), n) for name in NUMBERS),
        _sensors(track.sensors, n),
    )
    return map(msgspec.json.Encoder().encode, records)


def damage(lines: list[bytes], rng: Generator) -> None:
    """Breaks a few of ``lines`` in place, each in one of the ways real links and clocks do."""
    chosen = rng.choice(len(lines), int(len(lines) * BROKEN_SHARE), replace=False)
    for turn, index in enumerate(chosen.tolist()):
        lines[index] = _DAMAGES[turn % len(_DAMAGES)](lines[index])


def _latitude_out_of_range(line: bytes) -> bytes:
    return re.sub(rb'"latitude":[^,]+', b'"latitude":95.2', line)


def _timestamp_without_zone(line: bytes) -> bytes:
    return line.replace(b'Z"', b'"', 1)


def _cut_off(line: bytes) -> bytes:
    return line[: len(line) // 2]


_DAMAGES: Final[tuple[Callable[[bytes], bytes], ...]] = (
    _latitude_out_of_range,
    _timestamp_without_zone,
    _cut_off,
)


def _timestamps(time_ms: Longs) -> list[str]:
    start = np.datetime64(START.replace(tzinfo=None), "ms")
    texts = np.datetime_as_string(start + time_ms.astype("timedelta64[ms]"), timezone="UTC")
    written: list[str] = texts.tolist()
    return written


def _column(values: Floats | None, n: int) -> list[float | None]:
    if values is None:
        return [None] * n
    column: list[float | None] = values.tolist()
    for index in np.flatnonzero(np.isnan(values)).tolist():
        column[index] = None
    return column


def _sensors(sensors: dict[str, Floats], n: int) -> list[dict[str, float] | None]:
    if not sensors:
        return [None] * n
    rows = zip(*(column.tolist() for column in sensors.values()), strict=True)
    return [dict(zip(sensors, row, strict=True)) for row in rows]
