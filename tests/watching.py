"""Running the watch as its users do, and comparing what it told."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from schemas.topics import RESULT_TOPICS

ROOT = Path(__file__).resolve().parents[1]

ZONES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": f"z{i}",
            "properties": {"kind": "apei" if i % 2 else "contract", **band},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y], [x + 3, y], [x + 3, y + 3], [x, y + 3], [x, y]]],
            },
        }
        for i, (x, y, band) in enumerate(
            [
                (0, 0, {}),
                (2, 2, {"min_depth_m": 100, "max_depth_m": 400}),
                (5, 0, {}),
                (5, 3, {"max_depth_m": 300}),
            ]
        )
    ],
}
RULES = """
- id: apei-no-work
  when: zone.kind == "apei" && speed_mps < 1.0
  severity: critical
  message: "{vehicle_id} at work in {zone.name} at {depth_m} m"
  source: made for this test
- id: deep
  when: depth_m > 350.0
  for: 30s
  severity: warning
  message: "{vehicle_id} deep"
  source: made for this test
- id: low-battery
  when: battery_pct < 20.0
  severity: warning
  message: "{vehicle_id} battery {battery_pct} %"
  source: made for this test
- id: quiet
  when: speed_mps < 0.2
  severity: info
  mode: shadow
  message: "{vehicle_id} quiet"
  source: made for this test
"""


def telemetry(records: int, vehicles: int = 20, seed: int = 1, name: str = "auv") -> list[str]:
    """NDJSON lines in event-time order: vehicles that wander over the zones, some records bad."""
    rng = np.random.default_rng(seed)
    steps = records // vehicles
    walk = np.cumsum(rng.normal(0, 0.15, (steps, vehicles, 2)), axis=0)
    place = np.abs((walk + rng.uniform(0, 8, (1, vehicles, 2))) % 16 - 8)
    depth = np.abs(np.cumsum(rng.normal(0, 20, (steps, vehicles)), axis=0)) % 500
    speed = rng.uniform(0, 2, (steps, vehicles))
    battery = np.clip(100 - np.cumsum(rng.uniform(-0.3, 0.5, (steps, vehicles)), axis=0), 5, 100)
    dropped = rng.random((steps, vehicles))
    lines = []
    for step in range(steps):
        for v in range(vehicles):
            record = {
                "vehicle_id": f"{name}-{v:03d}",
                "timestamp": 1_767_225_600 + step * 10 + v / vehicles,
                "latitude": round(float(place[step, v, 0]), 5),
                "longitude": round(float(place[step, v, 1]), 5),
                "depth_m": round(float(depth[step, v]), 1),
                "speed_mps": round(float(speed[step, v]), 2),
                "battery_pct": round(float(battery[step, v]), 1),
            }
            if dropped[step, v] < 0.02:
                del record["depth_m"]
            elif dropped[step, v] < 0.03:
                del record["latitude"], record["longitude"]
            elif dropped[step, v] < 0.032:
                record["latitude"] = 95.0
            lines.append(json.dumps(record))
    return lines


def with_late_records(lines: Sequence[str], vehicles: int, seed: int = 5) -> list[str]:
    """Lines of ``telemetry`` of which some come late, and of those a few too late."""
    late, rng = list(lines), random.Random(seed)
    farthest = 40 * vehicles
    for place in range(100, len(late) - farthest, 50):
        behind = vehicles * rng.choice([1, 5, 11, 40])
        late[place], late[place + behind] = late[place + behind], late[place]
    return late


def write_inputs(folder: Path, lines: Sequence[str]) -> None:
    """Telemetry, zones and rules as files of ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "telemetry.ndjson").write_text("\n".join(lines) + "\n")
    (folder / "zones.geojson").write_text(json.dumps(ZONES))
    (folder / "rules.yaml").write_text(RULES)


def environment(folder: Path, out: Path, **settings: object) -> dict[str, str]:
    """The environment of a flow over the inputs in ``folder``, results in ``out``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FARWATCH_")}
    flow = {
        "telemetry": f"file:{folder}/telemetry*.ndjson",
        "zones": f"file:{folder}/zones.geojson",
        "rules": f"file:{folder}/rules.yaml",
        "results": f"dir:{out}/topics sqlite:{out}/results.sqlite",
        **settings,
    }
    given = {f"FARWATCH_{name.upper()}": str(value) for name, value in flow.items()}
    # What is run by `python -m bytewax.run` ends with an epoch: its own take 10 s.
    return kept | {"BYTEWAX_SNAPSHOT_INTERVAL": "1"} | given


def command(*words: str) -> list[str]:
    """The `farwatch` command of this checkout."""
    return [sys.executable, "-m", "scripts.cli", *words]


def run(words: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run to the end and return what was said."""
    return run_in(ROOT, words, env)


def run_in(
    folder: Path, words: Sequence[str], env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """As ``run``, with ``folder`` as the working folder."""
    return subprocess.run(
        words, env=dict(env), cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def told(out: Path) -> dict[tuple[str, str], dict]:
    """What a watch told into ``out``, as ``read_topics`` gives it."""
    return read_topics(out / "topics")


def read_topics(folder: Path, topics: Sequence[str] = RESULT_TOPICS) -> dict[tuple[str, str], dict]:
    """(topic, CloudEvents id) -> event, of the topics; every line is one whole event."""
    found = {}
    for topic in topics:
        for line in (folder / f"{topic}.ndjson").read_text().splitlines():
            event = json.loads(line)
            assert (topic, event["id"]) not in found, f"told twice on {topic}: {event['id']}"
            found[topic, event["id"]] = event
    return found


def rows(out: Path) -> dict[str, set[tuple[object, ...]]]:
    """Table -> rows, of the tables that hold events."""
    with closing(sqlite3.connect(out / "results.sqlite")) as file:
        return {
            table: set(file.execute(f"SELECT event_id, version, data FROM {table}"))
            for table in (
                *("zone_events", "proximity_events"),
                *("violations", "alerts", "late_telemetry"),
            )
        } | {"dead_letters": set(file.execute("SELECT event_id, reason, raw FROM dead_letters"))}
