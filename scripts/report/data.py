"""What a report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.frame import BODIES, KINDS, Floats, Frame, Longs, concat
from schemas.zone import Zone

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many records came, and what became of those that could not be judged in full.

    ``others``: further counts to show, label -> number, in the order given.
    """

    records_in: int
    rejected: int = 0
    late: int = 0
    unknown_depth: int = 0
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """The fixes of one vehicle on one body.

    ``time_us``: (n,) int64, microseconds since 1970 UTC, in any order. ``longitude``,
    ``latitude``: (n,) float64, deg, any wrap, NaN = no position. ``depth_m``: (n,) float64, m
    below the surface, NaN = unknown.
    """

    vehicle_id: str
    kind: str
    body: str
    time_us: Longs
    longitude: Floats
    latitude: Floats
    depth_m: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """A shaded relief: a PNG whose pixels are equal steps of longitude and latitude.

    The bounds are those of the outer pixel edges, deg; row 0 is north.
    """

    body: str
    png: bytes
    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that a report tells; the same data gives the same page, byte for byte.

    ``created``: when the report was made, as text. ``inputs``: what was watched, label -> text
    (telemetry, zones, rules). ``zones``: valid ones, every version that was in force. ``events``:
    CloudEvents, of each id any number of versions (the highest counts, retracted ones do not).
    ``rejects``: CloudEvents ``farwatch.telemetry.rejected.v1``, all or the first of them.
    ``basemap``: GeoJSON land polygons or coastlines of Earth.
    """

    title: str
    created: str
    inputs: Mapping[str, str]
    counts: Counts
    zones: Sequence[Zone] = ()
    tracks: Sequence[Track] = ()
    events: Sequence[Json] = ()
    rejects: Sequence[Json] = ()
    basemap: Json | None = None
    reliefs: Sequence[Relief] = ()


def tracks(frames: Sequence[Frame]) -> tuple[Track, ...]:
    """The tracks that the frames hold, one for each vehicle and body, sorted by vehicle id."""
    if not frames:
        return ()
    whole = concat(frames)
    # owner: (n,) one code for each (vehicle, body); rows sorted by owner, then time, fall into
    # one run an owner, and `starts` are the first rows of the runs.
    owner = whole.vehicle.astype(np.int64) * len(BODIES) + whole.body
    rows = np.lexsort((whole.time_us, owner))
    starts = np.flatnonzero(np.diff(owner[rows])) + 1
    found = [_track(whole, run) for run in np.split(rows, starts) if len(run)]
    return tuple(sorted(found, key=lambda track: (track.vehicle_id, track.body)))


def _track(frame: Frame, rows: np.typing.NDArray[np.intp]) -> Track:
    first = rows[0]
    return Track(
        vehicle_id=frame.vehicle_ids[frame.vehicle[first]],
        kind=KINDS[frame.kind[first]],
        body=BODIES[frame.body[first]],
        time_us=frame.time_us[rows],
        longitude=frame.number("longitude")[rows],
        latitude=frame.number("latitude")[rows],
        depth_m=frame.number("depth_m")[rows],
    )
