"""How fast telemetry is decoded: 10,000 records of 8 fields in each shape of message."""

import json
import random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from schemas.decoding import TelemetryDecoder
from schemas.message import Message

RECORDS = 10_000


def records() -> list[bytes]:
    chance = random.Random(1)
    return [
        json.dumps(
            {
                "vehicle_id": f"auv-{n % 1000:04d}",
                "timestamp": f"2026-01-01T00:{n % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z",
                "latitude": round(chance.uniform(0, 10), 6),
                "longitude": round(chance.uniform(-130, -120), 6),
                "depth_m": round(chance.uniform(0, 4000), 1),
                "speed_mps": 1.2,
                "heading_deg": 90.0,
                "battery_pct": 80.5,
            },
            separators=(",", ":"),
        ).encode()
        for n in range(RECORDS)
    ]


LINES = records()
DAMAGED = [line[:-2] if number % 100 == 0 else line for number, line in enumerate(LINES)]
SHAPES = {
    "lines": [Message(b"\n".join(LINES), "", 1)],
    "array": [Message(b"[" + b",".join(LINES) + b"]", "")],
    "single": [Message(line, "") for line in LINES],
    "lines-1%-bad": [Message(b"\n".join(DAMAGED), "", 1)],
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_decoding(benchmark: BenchmarkFixture, shape: str) -> None:
    decoder = TelemetryDecoder()
    decoder.decode(SHAPES[shape])
    result = benchmark(decoder.decode, SHAPES[shape])
    assert result.frame is not None
    assert len(result.frame) + len(result.rejects) == RECORDS
