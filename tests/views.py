"""Sinks that show the present instead of keeping events, and the way to see what they show."""

import json
from abc import ABC, abstractmethod
from typing import Any

import redis

from connectors.redis.keys import ZONES_TIME_KEY
from schemas.delivery import Delivery
from schemas.event import ZONE_EXITED, Event
from schemas.live import VehicleStates, pipeline_delivery, states_delivery, telemetry_delivery
from schemas.topics import GEOFENCING_EVENTS
from tests.frames import frame_of
from tests.influxdb_buckets import Bucket

T0 = 1_767_225_600


class ViewUnderTest(ABC):
    """A sink and what it shows; two runs that show the same are equal."""

    bad_urls: tuple[str, ...]

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def shown(self) -> Any: ...


class RedisUnderTest(ViewUnderTest):
    bad_urls = (
        "redis:",
        "redis://",
        "redis://host/name",
        "redis://:pass/word@host:port/0",
        "redis://:pass@host/0?colour=blue",
    )

    def shown(self) -> Any:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return {
                key: client.hgetall(key) if client.type(key) == "hash" else client.get(key)
                for key in client.scan_iter()
                # How far time had come at the last look: as often as one looks.
                if key != ZONES_TIME_KEY
            }


class InfluxdbUnderTest(ViewUnderTest):
    bad_urls = (
        "influxdb:",
        "influxdb://host",
        "influxdb://host/org",
        "influxdb://host:port/org/bucket",
        "influxdb://host/org/bucket/more",
        "influxdb://me:pass@host/org/bucket?colour=blue",
        "influxdb://host/org/bucket?token=pass&telemetry=often",
        "influxdb://host/org/bucket?token=pass&tls=perhaps",
    )

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(f"{bucket.url}?telemetry=all")
        self._bucket = bucket

    def shown(self) -> Any:
        return json.loads(json.dumps(self._bucket.everything()))


VIEWS = ("influxdb", "redis", "rediss")


def view_deliveries(number: int) -> list[Delivery]:
    """What a flow tells of record ``number``: telemetry, state, counts, now and then an event."""
    vehicle_id, at = f"auv-{number % 3}", T0 + number
    record = {"vehicle_id": vehicle_id, "time_s": at, "depth_m": number / 2, "status": "diving"}
    frame = frame_of([record])
    inside = number % 5 != 0
    stays = ([0], ["z"], [at * 1_000_000 - 1]) if inside else ([], [], [])
    told = [
        telemetry_delivery("group-0000", frame),
        states_delivery("group-0000", VehicleStates(frame, *stays)),
        pipeline_delivery("group-0000", at * 1_000_000, {"records": number + 1}),
    ]
    if not inside:
        event = Event(
            type=ZONE_EXITED,
            event_id=f"e{number}",
            vehicle_id=vehicle_id,
            time_us=at * 1_000_000,
            data={"zone_id": "z", "duration_s": 2.0},
        )
        told.append(Delivery(GEOFENCING_EVENTS, event))
    return told
