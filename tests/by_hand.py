"""Zones and rules judged record by record in plain Python and shapely, to hold farwatch against.

Nothing here uses farwatch's columns, spans or rule language.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape

LIBRARY = Path(__file__).resolve().parents[1] / "rules" / "library"


@dataclass
class Row:
    """One record as the oracle sees it; ``None`` = unknown."""

    vehicle: str
    time: float
    longitude: float | None
    latitude: float | None
    depth: float | None = None
    cells: dict[str, Any] = field(default_factory=dict)
    zones: frozenset[str] = frozenset()


Crossing = tuple[str, str, str, float]
Condition = Callable[[Row], bool | None]


@dataclass(frozen=True)
class Zone:
    """A zone of the library, read without farwatch."""

    id: str
    kind: str
    area: shapely.Geometry
    low: float | None
    high: float | None

    def holds(self, row: Row) -> bool | None:
        if not self.area.covers(shapely.Point(row.longitude, row.latitude)):
            return False
        if self.low is None and self.high is None:
            return True
        if row.depth is None:
            return None
        deep_enough = self.low is None or row.depth >= self.low
        return deep_enough and (self.high is None or row.depth <= self.high)


def zones_of(place: str) -> list[Zone]:
    found = json.loads((LIBRARY / f"{place}.geojson").read_text("utf-8"))["features"]
    return [
        Zone(f["id"], p["kind"], shape(f["geometry"]), p.get("min_depth_m"), p.get("max_depth_m"))
        for f in found
        for p in [f["properties"]]
    ]


def walk(rows: list[Row], zones: list[Zone]) -> list[Crossing]:
    """Every crossing of every vehicle; tells each row the zones its vehicle is in."""
    inside: dict[str, set[str]] = {}
    found = []
    for row in sorted(rows, key=lambda row: row.time):
        held = inside.setdefault(row.vehicle, set())
        for zone in zones if row.longitude is not None else ():
            now = zone.holds(row)
            if now is not None and now != (zone.id in held):
                found.append((row.vehicle, zone.id, "entered" if now else "exited", row.time))
                held.symmetric_difference_update({zone.id})
        row.zones = frozenset(held)
    return found


def told_by(rows: list[Row], holds: Condition, for_s: float) -> Iterator[tuple[str, str, float]]:
    """Vehicle, ``raised`` or ``cleared``, time of one rule's alarms; unknown changes nothing."""
    since: dict[str, float] = {}
    alarmed: set[str] = set()
    for row in sorted(rows, key=lambda row: row.time):
        now = holds(row)
        if now:
            began = since.setdefault(row.vehicle, row.time)
            if row.time - began >= for_s and row.vehicle not in alarmed:
                alarmed.add(row.vehicle)
                yield row.vehicle, "raised", row.time
        elif now is False:
            since.pop(row.vehicle, None)
            if row.vehicle in alarmed:
                alarmed.remove(row.vehicle)
                yield row.vehicle, "cleared", row.time


def every(*answers: bool | None) -> bool | None:
    """And, as CEL takes it: one False decides, else one unknown leaves it open."""
    if False in answers:
        return False
    return None if None in answers else True


def while_in(zone_id: str, holds: Condition) -> Condition:
    return lambda row: zone_id in row.zones and holds(row)
