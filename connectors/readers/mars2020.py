"""Perseverance's waypoints and drives: the GeoJSON layers of NASA's location map.

Source: mars.nasa.gov/mmgis-maps/M20/Layers/json, ``M20_waypoints.json`` (a Point for each place
the rover was localized at) and ``M20_traverse.json`` (a LineString for each drive). Property
names are compared without case and underscores, and the spellings of all years are known
(``SCLK_START`` / ``sclkStart``, ``dist_total`` / ``dist_total_m``; ``RMC`` or ``site`` and
``drive``; later files have no SCLK).

**Time of a waypoint.** ``SCLK_START`` and ``SCLK_END`` frame the stay at the waypoint until about
sol 100 and the drive to it after that, so the meaning is taken from ``sol``, which is right
throughout: the time is ``SCLK_END`` if that lies in the sol, else ``SCLK_START`` if that does,
else noon of the sol by local mean solar time, and then ``sensors.time_uncertainty_s`` says half a
sol. Records of one sol keep the order of the file and are at least a second apart.

**Time of a vertex.** Vertices have no times of their own; they are spread evenly from
``SCLK_START`` to ``SCLK_END`` of the drive. A drive does not begin before its sol or before the
end of the drive ahead of it in the file. Where ``SCLK_END`` lies outside the sol or is missing,
12:00 to 14:24 local mean solar time (half of all drives end between 13:26 and 14:27) stands in,
marked by ``sensors.time_uncertainty_s``.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.readers.contract import Chunk, SourceFileError, origin_of, total_bytes
from connectors.readers.mars_clock import sol_at_time_us, time_us_at_sclk, time_us_at_sol
from connectors.readers.stored import StoredFile
from schemas.frame import rfc3339
from schemas.mars_time import SOL_S
from schemas.message import Message, Reject

_SECOND_US: Final = 1_000_000
_TEXT_LIMIT: Final = 256  # of a text field of the contract
_NUMBER_LIMIT: Final = 1e15  # beyond it nothing in these files means anything
_SOL_LIMIT: Final = 50_000  # of a mission: 140 years
_HALF_SOL_S: Final = round(SOL_S / 2)
_DRIVE_BEGINS: Final = 0.5
_DRIVE_ENDS: Final = 0.6

# Sensor name -> property, lower case, without underscores.
_WAYPOINT_SENSORS: Final = {
    "sol": ("sol",),
    "site": ("site",),
    "drive": ("drive",),
    "tilt_deg": ("tilt",),
    "dist_m": ("distm",),
    "dist_total_m": ("disttotal", "disttotalm"),
    "easting_m": ("easting",),
    "northing_m": ("northing",),
    "elev_radii_m": ("elevradii",),
    "radius_m": ("radius",),
}


_encoder: Final = msgspec.json.Encoder()


class _Collection(msgspec.Struct):
    features: list[msgspec.Raw]
    type: str


class _FeatureError(Exception):
    """A feature that is no waypoint or drive; becomes a Reject."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class _Feature:
    """A GeoJSON feature with its properties under plain names."""

    def __init__(self, raw: msgspec.Raw) -> None:
        try:
            decoded = msgspec.json.decode(raw)
        except RecursionError as exc:
            raise _FeatureError("is nested too deeply", "feature") from exc
        except msgspec.DecodeError as exc:
            raise _FeatureError(f"cannot be read ({exc})", "feature") from exc
        if not isinstance(decoded, dict):
            raise _FeatureError("is not an object", "feature")
        self.geometry = _table(decoded, "geometry")
        self._properties = {
            name.lower().replace("_", ""): value
            for name, value in _table(decoded, "properties").items()
        }

    def number(self, *names: str) -> float | None:
        for name in names:
            value = self._properties.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value if abs(value) < _NUMBER_LIMIT else None
        return None

    def text(self, name: str) -> str | None:
        value = self._properties.get(name)
        return value if isinstance(value, str) and value else None

    def sol(self) -> float:
        sol = self.number("sol")
        if sol is None or not 0 <= sol < _SOL_LIMIT:
            raise _FeatureError("is missing or no count of sols", "sol")
        return sol

    def clock_us(self, name: str) -> int | None:
        """The time of a spacecraft clock count; 0 is how the files write "none"."""
        count = self.number(name)
        return time_us_at_sclk(count) if count else None


class WaypointReader:
    """Reads the waypoints; ``message_id`` is the RMC, the rover's site and drive counter.

    ``resume`` is the number of features done.
    """

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` waypoints."""
        return _read(path, resume, rows, _waypoints)


class TraverseReader:
    """Reads the drives, a record a vertex; ``message_id`` is the RMC at the end and the vertex.

    ``resume`` is the number of records done.
    """

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` vertices."""
        return _read(path, resume, rows, _vertices)


_Records = Callable[[list[msgspec.Raw], str], Iterable[dict[str, Any] | Reject]]


def _read(path: Path, resume: object | None, rows: int, records: _Records) -> Iterator[Chunk]:
    with StoredFile(path) as file:
        content = file.whole()
    try:
        content.decode()  # The features are looked at later, one by one.
        features = msgspec.json.decode(content, type=_Collection).features
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceFileError(
            path, f"is no GeoJSON FeatureCollection ({exc})", "check --format"
        ) from exc
    origin = origin_of(path)
    # Times depend on the records before, so a resumed read converts these again: the files are
    # small.
    items = list(records(features, origin))
    done = 0 if resume is None else msgspec.convert(resume, int)
    waiting = iter(items[done:])
    while batch := list(islice(waiting, rows)):
        done += len(batch)
        body = _encoder.encode_lines([i for i in batch if isinstance(i, dict)])
        yield Chunk(
            Message(body, origin) if body else None,
            tuple(i for i in batch if isinstance(i, Reject)),
            done,
            total_bytes(path) * done // len(items),
        )


def _waypoints(features: list[msgspec.Raw], origin: str) -> Iterator[dict[str, Any] | Reject]:
    before = (-1.0, 0)
    for index, raw in enumerate(features):
        try:
            feature = _Feature(raw)
            sol = feature.sol()
            time_us, by_clock = _waypoint_time(feature, sol)
            if sol == before[0]:
                time_us = max(time_us, before[1] + _SECOND_US)
            yield _waypoint(feature, time_us, by_clock=by_clock)
        except _FeatureError as exc:
            yield Reject(str(exc), exc.field, bytes(raw), f"{origin}[{index}]")
            continue
        before = (sol, time_us)


def _waypoint_time(feature: _Feature, sol: float) -> tuple[int, bool]:
    for name in ("sclkend", "sclkstart"):
        time_us = feature.clock_us(name)
        if time_us is not None and _within(sol, time_us):
            return time_us, True
    return time_us_at_sol(int(sol) + 0.5), False


def _within(sol: float, time_us: int) -> bool:
    return int(sol) <= sol_at_time_us(time_us) < int(sol) + 1


def _waypoint(feature: _Feature, time_us: int, *, by_clock: bool) -> dict[str, Any]:
    longitude, latitude, elevation_m = _waypoint_position(feature)
    record: dict[str, Any] = {
        **_identity(feature, time_us),
        "longitude": longitude,
        "latitude": latitude,
        "altitude_m": elevation_m,
        "roll_deg": feature.number("roll"),
        "pitch_deg": feature.number("pitch"),
        "status": (feature.text("note") or feature.text("notes") or "")[:_TEXT_LIMIT] or None,
        "message_id": _counter(feature),
    }
    yaw_deg = feature.number("yaw")
    if yaw_deg is not None:
        record["heading_deg"] = yaw_deg % 360
    sensors = {name: feature.number(*spelt) for name, spelt in _WAYPOINT_SENSORS.items()}
    if not by_clock:
        sensors["time_uncertainty_s"] = _HALF_SOL_S
    record["sensors"] = _present(sensors)
    return _present(record)


def _waypoint_position(feature: _Feature) -> tuple[float, float, float | None]:
    longitude, latitude = feature.number("lon"), feature.number("lat")
    elevation_m = feature.number("elevgeoid")
    if longitude is not None and latitude is not None and elevation_m is not None:
        return longitude, latitude, elevation_m
    if feature.geometry.get("type") != "Point":
        raise _FeatureError("is not a Point", "geometry")
    x, y, z = _vertex(feature.geometry.get("coordinates"))
    return x, y, z if elevation_m is None else elevation_m


def _counter(feature: _Feature) -> str | None:
    site, drive = feature.number("site"), feature.number("drive")
    pair = None if site is None or drive is None else f"{site:.0f}_{drive:.0f}"
    return feature.text("rmc") or pair


def _vertices(features: list[msgspec.Raw], origin: str) -> Iterator[dict[str, Any] | Reject]:
    before_us = 0
    for index, raw in enumerate(features):
        try:
            feature = _Feature(raw)
            vertices = _line(feature.geometry)
            begin_us, end_us, by_clock = _drive_time(feature, before_us, len(vertices))
        except _FeatureError as exc:
            yield Reject(str(exc), exc.field, bytes(raw), f"{origin}[{index}]")
            continue
        before_us = end_us
        yield from _drive(feature, vertices, (begin_us, end_us), by_clock=by_clock)


def _drive_time(feature: _Feature, before_us: int, vertices: int) -> tuple[int, int, bool]:
    """(first, last, by clock): times of the first and the last vertex, in microseconds."""
    sol = int(feature.sol())
    begin_us, end_us = feature.clock_us("sclkstart"), feature.clock_us("sclkend")
    by_clock = end_us is not None and _within(sol, end_us)
    if begin_us is None or end_us is None or not by_clock:
        begin_us, end_us = time_us_at_sol(sol + _DRIVE_BEGINS), time_us_at_sol(sol + _DRIVE_ENDS)
    begin_us = max(begin_us, time_us_at_sol(sol))
    # Only a drive of this or the sol before can run into this one: files may come in any order.
    if begin_us <= before_us < time_us_at_sol(sol + 1):
        begin_us = before_us + _SECOND_US
    return begin_us, max(end_us, begin_us + (vertices - 1) * _SECOND_US), by_clock


def _drive(
    feature: _Feature,
    vertices: list[tuple[float, float, float | None]],
    span_us: tuple[int, int],
    *,
    by_clock: bool,
) -> Iterator[dict[str, Any]]:
    begin_us, end_us = span_us
    counter = feature.text("tormc")
    sensors = _present({"sol": feature.number("sol"), "leg_length_m": feature.number("length")})
    if not by_clock:
        sensors["time_uncertainty_s"] = _HALF_SOL_S
    for index, (longitude, latitude, elevation_m) in enumerate(vertices):
        # Integers: the last vertex gets the last time exactly.
        time_us = begin_us + (end_us - begin_us) * index // max(len(vertices) - 1, 1)
        yield _present(
            {
                **_identity(feature, time_us),
                "longitude": longitude,
                "latitude": latitude,
                "altitude_m": elevation_m,
                "message_id": f"{counter}:{index}" if counter else None,
                "sensors": sensors,
            }
        )


def _line(geometry: dict[str, Any]) -> list[tuple[float, float, float | None]]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    parts = {"LineString": [coordinates], "MultiLineString": coordinates}.get(str(kind))
    if not isinstance(parts, list):
        raise _FeatureError("is not a LineString or MultiLineString", "geometry")
    vertices = [_vertex(v) for part in parts if isinstance(part, list) for v in part]
    if not vertices:
        raise _FeatureError("has no coordinates", "geometry")
    return vertices


def _vertex(coordinates: object) -> tuple[float, float, float | None]:
    """(longitude deg, latitude deg, elevation m or None)."""
    try:
        values = msgspec.convert(coordinates, list[float])
        longitude, latitude, *rest = values
    except (msgspec.ValidationError, ValueError):
        raise _FeatureError("holds a position that is not [lon, lat, elev]", "geometry") from None
    return longitude, latitude, rest[0] if rest else None


def _identity(feature: _Feature, time_us: int) -> dict[str, Any]:
    return {
        "rover_id": "perseverance",
        "timestamp": rfc3339(time_us),
        "kind": "rover",
        "body": "mars",
        "source": "mars2020",
    }


def _table(of: dict[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    if not isinstance(value, dict):
        raise _FeatureError("is missing or not an object", key)
    return value


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
