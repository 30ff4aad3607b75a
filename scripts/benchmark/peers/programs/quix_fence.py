"""A geofence in Quix Streams: ``python quix_fence.py ZONES ANSWERS BROKER TOPIC COUNT``.

Reads ``COUNT`` records of a topic; keeps the zones that a vehicle is in as its state. Zones are
found with shapely's STRtree on prepared polygons.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely
from quixstreams import Application, State
from shapely.geometry import shape

Record = dict[str, Any]


def zone_finder(zones: Path) -> Callable[[Record], list[str]]:
    """A function of a record: the ids of the zones it is in."""
    features = json.loads(zones.read_text())["features"]
    polygons = [shape(feature["geometry"]) for feature in features]
    shapely.prepare(polygons)
    tree = shapely.STRtree(polygons)

    def in_band(properties: dict[str, Any], depth_m: float) -> bool:
        least_m = properties.get("min_depth_m", float("-inf"))
        most_m = properties.get("max_depth_m", float("inf"))
        return bool(least_m <= depth_m <= most_m)

    def find(record: Record) -> list[str]:
        point = shapely.Point(record["longitude"], record["latitude"])
        return [
            features[z]["id"]
            for z in tree.query(point, predicate="within")
            if in_band(features[z]["properties"], record["depth_m"])
        ]

    return find


def fence(find: Callable[[Record], list[str]]) -> Callable[[Record, State], list[Record]]:
    """A stateful step: a record becomes what its vehicle has entered and left with it."""

    def step(record: Record, state: State) -> list[Record]:
        before, now = state.get("zones", default=[]), find(record)
        if now == before:
            return []
        state.set("zones", now)
        changes = [("entered", zone) for zone in now if zone not in before]
        changes += [("exited", zone) for zone in before if zone not in now]
        time_us = round(datetime.fromisoformat(record["timestamp"]).timestamp() * 1e6)
        return [
            {
                "what": what,
                "vehicle_id": record["vehicle_id"],
                "zone_id": zone,
                "time_us": time_us,
            }
            for what, zone in changes
        ]

    return step


def main(zones: str, answers: str, broker: str, topic: str, count: str) -> None:
    """Run the application until it has read so many records."""
    with Path(answers).open("w") as file, tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=broker,
            consumer_group=topic,
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="WARNING",
        )
        records = app.dataframe(app.topic(topic, value_deserializer="json"))
        # A list a record, also an empty one: Quix counts outputs, not records.
        told = records.apply(fence(zone_finder(Path(zones))), stateful=True)
        told.update(lambda found: file.writelines(json.dumps(one) + "\n" for one in found))
        app.run(count=int(count), collect=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
