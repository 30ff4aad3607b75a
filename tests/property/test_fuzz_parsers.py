"""Every parser of what comes from outside, on broken input: an answer or its own error, no crash.

A few thousand inputs each time; more than a million with ``--slow``.
"""

import json
import random
import struct
from pathlib import Path

import pika
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import ConnectorSettings, SettingsError
from connectors.paths import url_path
from connectors.rabbitmq.frames import FrameError, frame_end, is_deliver, read_delivery
from connectors.readers.contract import SourceFileError
from connectors.registry import masked, open_sink, open_source
from rules.rulesets import load_rules
from rules.zone_geometry import ZoneGeometryError, zone_shapes
from schemas.decoding import TelemetryDecoder
from schemas.enriched import read_enriched
from schemas.event import ALARM_RAISED, TELEMETRY_REJECTED, Event, cloud_event
from schemas.event_decoding import decode_events
from schemas.message import Message, Reject
from schemas.rule import RuleFileError
from schemas.timestamps import time_us, times_us
from schemas.zone_file import ZoneFileError, load_zones
from tests.fuzzing import OPERATED, Target, file_target
from tests.mutations import mutated
from tests.watching import ROOT, RULES, ZONES, telemetry

BATCH = 100
"""Inputs of one example: a seed makes them all, so a failure names the seed and shrinks."""
SLOW = 1_100_000
FAST = 6_000

LINES = [line.encode() for line in telemetry(60)]
EVENTS = [
    cloud_event(
        Event(
            type=kind,
            event_id="a" * 32,
            vehicle_id="auv-1",
            time_us=1_767_225_600_000_000,
            data={"alarm_id": "x", "severity": "critical", "decision": {"limit": 1.5}},
        ),
        "/farwatch/watch",
    )
    for kind in (ALARM_RAISED, TELEMETRY_REJECTED)
]
GEOJSON = [json.dumps(ZONES).encode(), json.dumps(ZONES, indent=1).encode()] + [
    path.read_bytes()[:6000] for path in (ROOT / "rules" / "library").glob("*.geojson")
]
YAML = [RULES.encode()] + [
    path.read_bytes()[:3000] for path in (ROOT / "rules" / "library").glob("*.yaml")
]
TIMES = [b"2026-03-02T00:00:00Z", b"2026-03-02T00:00:00.123456+05:30", b"1767225600.5", b"-1"]
URLS = [
    b"amqp://user:secret@host:5672/vhost?exchange=auv_telemetry&queues=4",
    b"amqps://h/?queue=q&ca=/x&type=stream",
    b"kafka://u:p@a:9092,b:9093/topic?group=g&tls=true&sasl=PLAIN",
    b"postgresql://u:p@h:5432/db?sslmode=verify-full",
    b"redis://user:secret@h:6379/0",
    b"influxdb://h:8086/org/bucket?telemetry=60s&tls=true",
    b"sqlite:/tmp/none/x.sqlite",
    b"file:x?y",
]
CSV = [
    b"MMSI,BaseDateTime,LAT,LON,SOG,COG,Heading,VesselName,Status,Length,Draft\n"
    b"367000001,2020-06-30T00:00:00,40.7,-74.0,12.5,181.2,180.0,A B,0,100,5.5\n" * 3
]
WAYPOINTS = [
    json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"RMC": "3_0", "site": 3, "drive": 0, "sol": 13, "lon": 77.4},
                    "geometry": {"type": "Point", "coordinates": [77.4, 18.4, -2569.9]},
                }
            ],
        }
    ).encode()
]


def delivery(headers: dict[str, object], body: bytes) -> bytes:
    """The frames of one delivery."""
    method = struct.pack(">HHB", 60, 60, 1) + b"c" + struct.pack(">QB", 7, 1) + b"\x01e\x01k"
    properties = b"".join(
        pika.BasicProperties(
            message_id="m1", headers=headers, content_type="a/b", priority=1, delivery_mode=2
        ).encode()
    )
    header = struct.pack(">HHQ", 60, 0, len(body)) + properties
    return b"".join(
        struct.pack(">BHI", kind, 1, len(part)) + part + b"\xce"
        for kind, part in ((1, method), (2, header), (3, body))
    )


FRAMES = [
    delivery({}, b'{"a": 1}'),
    delivery({"x-delivery-count": 3, "x": [1, "2.5", None, {"y": "z"}, True]}, b"x" * 300),
]


decoder = TelemetryDecoder(max_message_bytes=15_000, max_records=200, max_keys=64)


def decode_telemetry(data: bytes, _folder: Path) -> None:
    half = len(data) // 2
    for messages in (
        [Message(data, "a", 1)],
        [Message(data[:half], "a"), Message(data[half:], "b")],
    ):
        decoded = decoder.decode(messages)
        assert all(reject.reason and "\n" not in reject.reason for reject in decoded.rejects)
        if decoded.frame is not None:
            assert len(decoded.frame) == len(decoded.frame.time_us)


def read_events(data: bytes, _folder: Path) -> None:
    for found in decode_events([Message(data, "a")], [ALARM_RAISED]):
        if not isinstance(found, Reject):
            try:
                read_enriched(found.data)
            except (KeyError, TypeError, ValueError):  # As `flows.steps.events` takes it.
                continue


def read_zones(data: bytes, _folder: Path) -> None:
    zone_shapes(load_zones(data, "z"), "z")


def read_rules(data: bytes, _folder: Path) -> None:
    load_rules(data, "r")


def read_frames(data: bytes, _folder: Path) -> None:
    if frame_end(data, 0) and is_deliver(data, 0):
        found = read_delivery(data, 0)
        assert isinstance(found, int) or found[1] <= len(data)


def read_time(data: bytes, _folder: Path) -> None:
    text = data.decode(errors="surrogateescape")
    many, good = times_us([text, text])
    try:
        alone = time_us(text)
    except ValueError:
        assert not good.any()
    else:
        assert good.all()
        assert many.tolist() == [alone, alone]


def read_address(data: bytes, _folder: Path) -> None:
    url = data.decode(errors="replace")
    masked(url)
    # Where it stands elsewhere, too, nobody can tell that it is one.
    starts = url.startswith(("amqp://user:secret@", "redis://user:secret@"))
    whole = starts and url.count("secret") == 1
    for open_url in (open_source, open_sink):
        try:
            open_url(url, ConnectorSettings())
        except SettingsError as exc:
            said = str(exc)
        else:
            said = ""
        assert not (whole and "secret" in said), said


TARGETS = {
    "telemetry": Target(
        decode_telemetry,
        [*LINES, b"\n".join(LINES[:9]), b"[" + b",".join(LINES[:5]) + b"]"],
        (),
        0.2,
    ),
    "events": Target(read_events, EVENTS, (), 0.3),
    "amqp": Target(read_frames, FRAMES, (FrameError,), 0.25),
    "times": Target(read_time, TIMES, (), 0.1),
    "urls": Target(read_address, URLS, (SettingsError,), 0.05),
    "zones": Target(read_zones, GEOJSON, (ZoneFileError, ZoneGeometryError), 0.03),
    "rules": Target(read_rules, YAML, (RuleFileError,), 0.01),
    "ndjson": file_target("ndjson", [b"\n".join(LINES[:5])], 0.02),
    "marinecadastre": file_target("marinecadastre", CSV, 0.02),
    "mars2020": file_target("mars2020-waypoints", WAYPOINTS, 0.02),
    **OPERATED,
}


@pytest.mark.parametrize("name", TARGETS)
def test_broken_input_never_crashes_a_parser(name, pytestconfig, tmp_path):
    target = TARGETS[name]
    inputs = target.share * (SLOW if pytestconfig.getoption("--slow") else FAST)

    @settings(max_examples=max(1, round(inputs / BATCH)), database=None)
    @given(st.integers(0, 2**64))
    def run(seed: int) -> None:
        rng = random.Random(seed)
        for number in range(BATCH):
            data = mutated(rng, target.corpus)
            try:
                target.parse(data, tmp_path)
            except target.errors:
                continue
            except Exception as exc:
                raise AssertionError(f"input {number} of seed {seed}: {data!r}") from exc

    run()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("routes", b'targets: {a: {url: "json://${WH\x0f}"}}'),
        ("notices", b'{"type":"zone.created","by":"a","zone":{"type":"Feature","properties":1}}'),
        ("hazard", b"- id: 2026-13-40"),
        ("policy", b"- {who: 2026-13-40, may: zones.put}"),
        ("mars2020-traverse", b'{"type": "", "features": [{"properties": {"sol": 1e999}}]}'),
    ],
)
def test_what_parsers_tripped_over(name, data, tmp_path):
    target = TARGETS[name]
    if target.errors == (SourceFileError,) or not target.errors:
        target.parse(data, tmp_path)
    else:
        with pytest.raises(target.errors):
            target.parse(data, tmp_path)


def test_a_home_of_nobody_is_refused():
    with pytest.raises(SettingsError, match="nobody's home is `~\\?y`"):
        url_path("sqlite:~?y")
