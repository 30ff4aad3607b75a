"""Seeded zones and rules for the benchmark, and how much of a fleet's telemetry they touch."""

from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

import msgspec
import numpy as np
import shapely
import yaml

from schemas.frame import Bools, Floats, Longs, Rows
from scripts.benchmark.fleet import DEG_PER_M, SOUTH_DEG, WEST_DEG, simulate

KINDS: Final = ("apei", "contract", "hazard", "mpa")
VERTICES: Final = 64
FENCED: Final = {
    "exit_buffer_m": 20.0,
    "min_inside_s": 5.0,
    "min_outside_s": 15.0,
    "max_dwell_s": 300.0,
}
"""Hysteresis and dwell of a fenced zone; vehicles make some 2 m/s and report every 5 s."""
_COVERAGE = 0.36  # sum of the zones' areas over the region's area
_BANDED = 0.3  # share of zones with a depth band
_NEVER: Final = {
    "id": "never",
    "when": "speed_mps < -1.0",
    "severity": "info",
    "message": "never",
    "source": "made for the benchmark",
}
_TRUE_IN_ALL = 0.02  # sum over all rules of the share of rows for which a rule is true
_TRUE_AT_MOST = 0.005  # the same for one rule


@dataclass(frozen=True, slots=True)
class Zones:
    """Z star-shaped polygons with their depth bands.

    ``rings``: (Z, VERTICES + 1, 2), longitude and latitude in deg, counter-clockwise, closed.
    ``min_depth_m``, ``max_depth_m``: (Z,), infinite where there is no band. Zone z has the kind
    ``KINDS[z % 4]``.
    """

    rings: Floats
    min_depth_m: Floats
    max_depth_m: Floats

    def __len__(self) -> int:
        return len(self.rings)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of all rows: inside some zone, and entering or leaving some zone."""

    inside: float
    crossing: float


def radius_m(zones: int) -> float:
    """The mean radius of a zone: 640 m for 500 zones, smaller where there are more."""
    return float(640 * (zones / 500) ** -0.05)


def region_side_m(zones: int) -> float:
    """The side of the square region: the zones always cover the same share of it."""
    return float(np.sqrt(zones * np.pi * radius_m(zones) ** 2 / _COVERAGE))


def draw_zones(count: int, seed: int, *, banded: float = _BANDED) -> Zones:
    """``count`` zones all over the region, the share ``banded`` of them with a depth band."""
    rng = np.random.default_rng([seed, 2])
    side_m = region_side_m(count)
    from_centre_m = draw_stars(rng, count, radius_m(count))
    centre_m = rng.uniform(0, side_m, (2, count, 1))
    ring = np.stack(
        [
            WEST_DEG + (centre_m[0] + from_centre_m[0]) * DEG_PER_M,
            SOUTH_DEG + (centre_m[1] + from_centre_m[1]) * DEG_PER_M,
        ],
        axis=-1,
    ).round(6)
    # Limits end in .05 and depths have one decimal: no depth lies on a limit.
    top_m = rng.uniform(100, 600, count).round() + 0.05
    bottom_m = top_m + rng.uniform(200, 500, count).round()
    has_band = rng.random(count) < banded
    return Zones(
        rings=np.concatenate([ring, ring[:, :1]], axis=1),
        min_depth_m=np.where(has_band, top_m, -np.inf),
        max_depth_m=np.where(has_band, bottom_m, np.inf),
    )


def draw_stars(rng: np.random.Generator, count: int, mean_radius_m: float) -> Floats:
    """East and north of ``count`` rings' vertices from their centres: (2, count, VERTICES) m."""
    # A ring r(angle) > 0 with rising angles is star-shaped about its centre, so it cannot cross
    # itself. Waves 2 to 5 bend it; the noise of 2 % makes every vertex matter.
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    waves = np.arange(2, 6)
    bend = rng.uniform(-0.1, 0.1, (count, 4, 1)) * np.sin(
        waves[:, None] * angle + rng.uniform(0, 2 * np.pi, (count, 4, 1))
    )
    size_m = mean_radius_m * rng.uniform(0.7, 1.3, (count, 1))
    distance_m = size_m * (1 + bend.sum(axis=1) + rng.uniform(-0.02, 0.02, (count, VERTICES)))
    return np.stack([distance_m * np.cos(angle), distance_m * np.sin(angle)])


def write_geojson(zones: Zones, file: BinaryIO, *, fenced: bool = False) -> None:
    """A GeoJSON FeatureCollection, one feature a line; ``fenced``: with hysteresis and dwell."""
    encode = msgspec.json.Encoder().encode
    file.write(b'{"type": "FeatureCollection", "features": [\n')
    for z in range(len(zones)):
        properties: dict[str, Any] = {"name": f"Zone {z}", "kind": KINDS[z % 4]}
        if np.isfinite(zones.min_depth_m[z]):
            properties["min_depth_m"] = round(float(zones.min_depth_m[z]), 2)
            properties["max_depth_m"] = round(float(zones.max_depth_m[z]), 2)
        if fenced:
            properties |= FENCED
        feature = {
            "type": "Feature",
            "id": f"zone-{z:05d}",
            "properties": properties,
            "geometry": {"type": "Polygon", "coordinates": [zones.rings[z].tolist()]},
        }
        file.write((b",\n" if z else b"") + encode(feature))
    file.write(b"\n]}\n")


class Fixes(Protocol):
    """Rows in time order as columns (n,): number of the vehicle, position in deg, depth in m."""

    @property
    def vehicle(self) -> Longs: ...  # noqa: D102 - described above
    @property
    def longitude(self) -> Floats: ...  # noqa: D102
    @property
    def latitude(self) -> Floats: ...  # noqa: D102
    @property
    def depth_m(self) -> Floats | None: ...  # noqa: D102


def memberships(fixes: Fixes, zones: Zones) -> tuple[Bools, Bools, Bools]:
    """Which rows (n,) lie inside some zone, enter some zone, leave some zone.

    A vehicle first seen inside a zone enters it at that row; it leaves a zone at its first row
    outside it. Without depths no zone may have a band.
    """
    tree = shapely.STRtree(shapely.polygons(zones.rings))
    row, zone = tree.query(shapely.points(fixes.longitude, fixes.latitude), predicate="within")
    if fixes.depth_m is not None:
        depth_m = fixes.depth_m[row]
        in_band = (zones.min_depth_m[zone] <= depth_m) & (depth_m <= zones.max_depth_m[zone])
        row, zone = row[in_band], zone[in_band]
    before, after = _neighbours(fixes.vehicle)
    # One number a (row, zone) pair; -1 = no such row, and no pair has a number below 0.
    count = len(zones)
    pair = row * count + zone
    entered = ~np.isin(np.where(before[row] < 0, -1, before[row] * count + zone), pair)
    left = (after[row] >= 0) & ~np.isin(after[row] * count + zone, pair)
    inside, enters, leaves = np.zeros((3, len(fixes.vehicle)), bool)
    inside[row] = True
    enters[row[entered]] = True
    leaves[after[row[left]]] = True
    return inside, enters, leaves


def _neighbours(vehicle: Longs) -> tuple[Rows, Rows]:
    """The same vehicle's row before and after each row, -1 = none: (n,) each."""
    order = np.argsort(vehicle, kind="stable")
    goes_on = vehicle[order[1:]] == vehicle[order[:-1]]
    before, after = np.full((2, len(vehicle)), -1)
    before[order[1:]] = np.where(goes_on, order[:-1], -1)
    after[order[:-1]] = np.where(goes_on, order[1:], -1)
    return before, after


def shares(fixes: Fixes, zones: Zones) -> Shares:
    """How many of the rows the zones touch."""
    inside, enters, leaves = memberships(fixes, zones)
    return Shares(float(inside.mean()), float((enters | leaves).mean()))


def draw_rules(count: int, seed: int) -> list[dict[str, str]]:
    """``count`` rules, by turns on the record alone and on record and zone; every third waits.

    Limits are quantiles of a fleet of 1,000 vehicles, chosen so that a rule is true for about
    0.1 % of all rows when there are 20. With more rules each is true more rarely (2 % of the rows
    in sum): the benchmark asks what rules cost to judge, not what alarms cost to tell.
    """
    rng = np.random.default_rng([seed, 3])
    fleet = simulate(1_000, 100_000, region_side_m(500), seed + 1)
    depth_m, speed_mps, battery_pct = map(
        np.sort, (fleet.depth_m, fleet.speed_mps, fleet.battery_pct)
    )
    share = min(_TRUE_AT_MOST, _TRUE_IN_ALL / max(count, 1)) * rng.uniform(0.5, 1.5, count)
    rules = []
    for r in range(count):
        when = _condition(r, float(share[r]), depth_m, speed_mps, battery_pct)
        rule = {"id": f"rule-{r:04d}", "when": when}
        if r % 3 == 2:
            rule["for"] = ("10s", "30s", "60s")[r // 3 % 3]
        place = "in {zone.name} at {depth_m} m" if r % 2 else "at {depth_m} m, {battery_pct} %"
        rule |= {
            "severity": ("warning", "critical", "info")[r % 3],
            "message": "{vehicle_id} " + place,
            "source": "made for the benchmark",
        }
        rules.append(rule)
    return rules


def _condition(
    r: int, share: float, depth_m: Floats, speed_mps: Floats, battery_pct: Floats
) -> str:
    """The ``when`` of rule r, true for about ``share`` of the rows; columns come sorted."""
    kind = KINDS[r // 2 % 4]
    zone_share = min(share / 0.06, 0.5)  # about 6 % of all rows lie in zones of one kind

    def below(column: Floats, part: float) -> str:
        return f"{column[int(part * (len(column) - 1))]:.4f}"

    def above(column: Floats, part: float) -> str:
        return below(column, 1 - part)

    conditions = (
        f"battery_pct < {below(battery_pct, share)}",
        f'zone.kind == "{kind}" && depth_m > {above(depth_m, zone_share)}',
        f"speed_mps > {above(speed_mps, share)}",
        f'zone.kind == "{kind}" && speed_mps > {above(speed_mps, zone_share)}',
        f"depth_m > {above(depth_m, 2 * share)} && speed_mps < {below(speed_mps, 0.5)}",
        f'zone.kind == "{kind}" && battery_pct < {below(battery_pct, zone_share)}',
        f"speed_mps < {below(speed_mps, 2 * share)} && heading_deg >= 0.0 && heading_deg < 180.0",
        f'zone.kind == "{kind}" && (depth_m < {below(depth_m, zone_share / 2)}'
        f" || speed_mps < {below(speed_mps, zone_share / 2)})",
    )
    return conditions[r % len(conditions)]


def write_rules(rules: list[dict[str, str]], file: BinaryIO) -> None:
    """The rules as a YAML list; of no rules one that is never true, as a watch needs one."""
    file.write(yaml.safe_dump(rules or [_NEVER], sort_keys=False, width=1000).encode())
