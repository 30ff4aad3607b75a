"""A geofence in PyMEOS: ``python pymeos_fence.py TELEMETRY ZONES ANSWERS``.

Each vehicle's whole track becomes a temporal point; of the zones near it (shapely's STRtree) MEOS
says when the track was inside, and when its depth was in the zone's band.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymeos
import shapely
from shapely.geometry import shape

_UNITS_A_DEG = 1e6
"""MEOS takes what is within 1e-6 for equal: of a degree that is 0.1 m, and up to a second."""
Fix = tuple[str, float, float, float]
Span = tuple[int, int]


def read_tracks(telemetry: Path) -> dict[str, list[Fix]]:
    """Time, place (``_UNITS_A_DEG``) and depth of each vehicle's records, in order."""
    tracks: dict[str, list[Fix]] = defaultdict(list)
    with telemetry.open() as lines:
        for line in lines:
            r = json.loads(line)
            time = r["timestamp"].replace("Z", "+00")  # MEOS reads no Z
            x, y = r["longitude"] * _UNITS_A_DEG, r["latitude"] * _UNITS_A_DEG
            fix = (time, x, y, r["depth_m"])
            tracks[r["vehicle_id"]].append(fix)
    return tracks


def stays(track: list[Fix], features: list[Any], tree: Any) -> Iterator[tuple[str, Span]]:
    """The zones that a track was in, with the times of each stay in microseconds."""
    places = ", ".join(f"Point({x!r} {y!r})@{t}" for t, x, y, _ in track)
    depths = ", ".join(f"{z!r}@{t}" for t, _, _, z in track)
    way = pymeos.TGeomPointSeq(f"[{places}]")
    depth_m = pymeos.TFloatSeq(f"[{depths}]")
    points = shapely.points([(x, y) for _, x, y, _ in track])
    line = shapely.LineString(points) if len(track) > 1 else points[0]
    for z in tree.query(line, predicate="intersects"):
        feature = features[z]
        inside = way.at(tree.geometries[z])
        band = feature["properties"]
        if inside is not None and "min_depth_m" in band:
            limits = pymeos.FloatSpan(
                lower=band["min_depth_m"], upper=band["max_depth_m"], upper_inc=True
            )
            in_band = depth_m.at(limits)
            inside = None if in_band is None else inside.at(in_band.time())
        for span in () if inside is None else inside.time().spans():
            yield feature["id"], (_us(span.lower()), _us(span.upper()))


def _us(time: datetime) -> int:
    return round((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


def main(telemetry: str, zones: str, answers: str) -> None:
    """Write the answers; a stay that the track ends in was not left."""
    pymeos.pymeos_initialize("UTC")
    features = json.loads(Path(zones).read_text())["features"]
    polygons = [shape(feature["geometry"]) for feature in features]
    tree = shapely.STRtree(shapely.transform(polygons, lambda places: places * _UNITS_A_DEG))
    with Path(answers).open("w") as file:
        for vehicle_id, track in read_tracks(Path(telemetry)).items():
            end_us = _us(datetime.fromisoformat(track[-1][0]))
            for zone_id, (entered_us, left_us) in stays(track, features, tree):
                answer = {"vehicle_id": vehicle_id, "zone_id": zone_id}
                told = [{"what": "entered", **answer, "time_us": entered_us}]
                if left_us < end_us:
                    told.append({"what": "exited", **answer, "time_us": left_us})
                file.writelines(json.dumps(line) + "\n" for line in told)
    pymeos.pymeos_finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
