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

    def known(self, *rows: Row) -> bool:
        """Whether the band can be told between the rows."""
        return (self.low is None and self.high is None) or all(r.depth is not None for r in rows)

    def passed(self, a: Row, b: Row) -> list[tuple[float, float]]:
        """From when until when the straight way from fix a to fix b lies inside."""
        if (a.longitude, a.latitude) == (b.longitude, b.latitude):
            shares = (
                [(0.0, 1.0)] if self.area.covers(shapely.Point(a.longitude, a.latitude)) else []
            )
        else:
            line = shapely.LineString([(a.longitude, a.latitude), (b.longitude, b.latitude)])
            if not self.area.intersects(line):
                return []
            parts = shapely.get_parts(line.intersection(self.area))
            shares = sorted(
                tuple(
                    line.project(shapely.Point(part.coords[end]), normalized=True)
                    for end in (0, -1)
                )
                for part in parts
                if part.geom_type == "LineString" and not part.is_empty
            )
        first, last = self._in_band(a, b)
        clipped = [(max(begin, first), min(end, last)) for begin, end in shares]
        return [
            (a.time + begin * (b.time - a.time), a.time + end * (b.time - a.time))
            for begin, end in clipped
            if begin < end
        ]

    def _in_band(self, a: Row, b: Row) -> tuple[float, float]:
        """From which to which share of the way the depth is in the band."""
        if self.low is None and self.high is None:
            return 0.0, 1.0
        if a.depth is None or b.depth is None:
            return 1.0, 0.0
        low = -1e9 if self.low is None else self.low
        high = 1e9 if self.high is None else self.high
        if a.depth == b.depth:
            return (0.0, 1.0) if low <= a.depth <= high else (1.0, 0.0)
        shares = sorted((bound - a.depth) / (b.depth - a.depth) for bound in (low, high))
        return max(shares[0], 0.0), min(shares[1], 1.0)


def zones_of(place: str) -> list[Zone]:
    found = json.loads((LIBRARY / f"{place}.geojson").read_text("utf-8"))["features"]
    return [
        Zone(f["id"], p["kind"], shape(f["geometry"]), p.get("min_depth_m"), p.get("max_depth_m"))
        for f in found
        for p in [f["properties"]]
    ]


class Walk:
    """Vehicles followed fix by fix; between fixes they go straight and evenly."""

    def __init__(self, zones: list[Zone], max_gap_s: float) -> None:
        self.zones, self.max_gap_s = zones, max_gap_s
        self.inside: dict[str, set[str]] = {}
        self.last: dict[str, Row] = {}
        self.found: list[Crossing] = []

    def take(self, row: Row) -> None:
        held = self.inside.setdefault(row.vehicle, set())
        if row.longitude is not None:
            for zone in self.zones:
                self._pass(zone, self.last.get(row.vehicle), row)
                if (now := zone.holds(row)) is not None:
                    self._change(row, zone, now, row.time)
            self.last[row.vehicle] = row
        row.zones = frozenset(held)

    def _pass(self, zone: Zone, before: Row | None, row: Row) -> None:
        if before is None or not 0 < row.time - before.time <= self.max_gap_s:
            return
        passed = zone.passed(before, row)
        if not passed and zone.holds(before) and zone.known(before, row):
            # On the edge at the fix before, and not inside from there on.
            self._change(row, zone, False, before.time)
        for begin, end in passed:
            if begin > before.time:
                self._change(row, zone, True, begin)
            if end < row.time:
                self._change(row, zone, False, end)

    def _change(self, row: Row, zone: Zone, now: bool, time: float) -> None:
        held = self.inside[row.vehicle]
        if now != (zone.id in held):
            what = "entered" if now else "exited"
            self.found.append((row.vehicle, zone.id, what, round(time, 6)))
            held.symmetric_difference_update({zone.id})


def walk(rows: list[Row], zones: list[Zone], max_gap_s: float = 86_400) -> list[Crossing]:
    """Every crossing of every vehicle, also between fixes no farther apart than ``max_gap_s``.

    Tells each row the zones its vehicle is in.
    """
    walked = Walk(zones, max_gap_s)
    for row in sorted(rows, key=lambda row: row.time):
        walked.take(row)
    return walked.found


def alike(told: list[Crossing], expected: list[Crossing], within_s: float = 1e-3) -> bool:
    """Whether both say the same, in any order, their times but for ``within_s``."""
    a, b = sorted(told), sorted(expected)
    return [c[:3] for c in a] == [c[:3] for c in b] and all(
        abs(one[3] - other[3]) <= within_s for one, other in zip(a, b, strict=True)
    )


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
