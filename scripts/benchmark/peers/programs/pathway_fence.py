"""A geofence in Pathway: ``python pathway_fence.py TELEMETRY ZONES ANSWERS``.

Each record gets the zones it is in (one call of shapely's STRtree a batch of records); each
vehicle's records are sorted by time; what a record's zones have more or less than those of the one
before it was entered or left.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pathway as pw
import shapely

_BATCH = 10_000


class Record(pw.Schema):  # type: ignore[misc] # Pathway has no types here
    """The columns of the telemetry that a geofence needs."""

    vehicle_id: str
    timestamp: str
    longitude: float
    latitude: float
    depth_m: float


def zone_finder(zones: Path) -> pw.UDF:
    """A function of a batch of positions: the numbers of the zones that each is in."""
    features = json.loads(zones.read_text())["features"]
    bands = [feature["properties"] for feature in features]
    least_m = np.array([band.get("min_depth_m", -np.inf) for band in bands])
    most_m = np.array([band.get("max_depth_m", np.inf) for band in bands])
    polygons = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    tree = shapely.STRtree(polygons)

    @pw.udf(max_batch_size=_BATCH, deterministic=True)  # type: ignore[untyped-decorator]
    def find(
        longitude: list[float], latitude: list[float], depth_m: list[float]
    ) -> list[tuple[int, ...]]:
        row, zone = tree.query(shapely.points(longitude, latitude), predicate="within")
        depth = np.asarray(depth_m)[row]
        in_band = (least_m[zone] <= depth) & (depth <= most_m[zone])
        found: list[tuple[int, ...]] = [()] * len(longitude)
        for r, z in zip(row[in_band].tolist(), zone[in_band].tolist(), strict=True):
            found[r] += (z,)
        return found

    return find


@pw.udf(max_batch_size=_BATCH, deterministic=True)  # type: ignore[untyped-decorator]
def time_us(timestamp: list[str]) -> list[int]:
    """Microseconds since 1970 UTC."""
    return [round(datetime.fromisoformat(text).timestamp() * 1e6) for text in timestamp]


@pw.udf(max_batch_size=_BATCH, deterministic=True)  # type: ignore[untyped-decorator]
def changes(
    zones: list[tuple[int, ...]], before: list[tuple[int, ...] | None]
) -> list[tuple[tuple[str, int], ...]]:
    """What was entered and left between two records of a vehicle."""
    return [
        tuple(("entered", z) for z in now if z not in (was or ()))
        + tuple(("exited", z) for z in was or () if z not in now)
        for now, was in zip(zones, before, strict=True)
    ]


def main(telemetry: str, zones: str, answers: str) -> None:
    """Run the pipeline to the end of the file."""
    records = pw.io.jsonlines.read(telemetry, schema=Record, mode="static")
    find = zone_finder(Path(zones))
    placed = records.select(
        pw.this.vehicle_id,
        time_us=time_us(pw.this.timestamp),
        zones=find(pw.this.longitude, pw.this.latitude, pw.this.depth_m),
    )
    placed += placed.sort(key=pw.this.time_us, instance=pw.this.vehicle_id)
    before = placed.ix(placed.prev, optional=True)
    moved = placed.select(
        pw.this.vehicle_id, pw.this.time_us, change=changes(pw.this.zones, before.zones)
    )
    told = moved.filter(pw.this.change != ()).flatten(pw.this.change)
    names = [feature["id"] for feature in json.loads(Path(zones).read_text())["features"]]
    pw.io.jsonlines.write(
        told.select(
            pw.this.vehicle_id,
            pw.this.time_us,
            what=pw.this.change[0],
            zone_id=pw.apply_with_type(names.__getitem__, str, pw.this.change[1]),
        ),
        answers,
    )
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
