"""Mission plans of the benchmark's fleet: what the shipped triggers for AUVs are held against."""

from importlib.resources import files
from typing import BinaryIO, Final

import msgspec
import numpy as np

from schemas.frame import rfc3339
from scripts.benchmark.fleet import DEG_PER_M, FIRST_TIME_MS, SOUTH_DEG, WEST_DEG

_HOUR_US: Final = 3_600_000_000
_CLOSED: Final = 10


def write_plans(vehicles: int, side_m: float, seed: int, file: BinaryIO) -> None:
    """A plan a vehicle: a path of six points through the region to a goal, a reserve of 2 %.

    It charges and is to be there after a day, surfaces every two hours for ten minutes, and has two
    steps.
    """
    rng = np.random.default_rng([seed, 11])
    start_us = FIRST_TIME_MS * 1_000
    encode = msgspec.json.Encoder().encode
    for number in range(vehicles):
        east_m, north_m = rng.uniform(0, side_m, (2, 6))
        points = [
            {
                "longitude": round(WEST_DEG + east * DEG_PER_M, 6),
                "latitude": round(SOUTH_DEG + north * DEG_PER_M, 6),
            }
            for east, north in zip(east_m.tolist(), north_m.tolist(), strict=True)
        ]
        opens_us = [start_us + hour * _HOUR_US for hour in (2, 4, 6)]
        plan = {
            "vehicle_id": f"auv-{number:06d}",
            "time": rfc3339(start_us),
            "reserve_pct": 2,
            "next_charge": rfc3339(start_us + 24 * _HOUR_US),
            "path": points,
            "goal": points[-1] | {"by": rfc3339(start_us + 24 * _HOUR_US)},
            "windows": [
                {"opens": rfc3339(us), "closes": rfc3339(us + _HOUR_US // 6)} for us in opens_us
            ],
            "steps": [{"id": "survey"}, {"id": "return"}],
        }
        file.write(encode(plan) + b"\n")


def write_triggers(file: BinaryIO) -> None:
    """The shipped triggers for AUVs, about the kind of the benchmark's vehicles and few zones.

    Zones cover a third of the region: were they all closed, every vehicle would need a new plan all
    the time.
    """
    shipped = (files("rules") / "library" / "triggers-auv.yaml").read_text()
    closed = ", ".join(f"zone-{number:05d}" for number in range(_CLOSED))
    text = shipped.replace("kinds: [auv, glider]", "kinds: [vehicle]")
    text = text.replace("kind: [apei, keep_out, traffic, hazard]", f"id: [{closed}]")
    file.write(text.encode())


def write_score_of_another(file: BinaryIO) -> None:
    """One hazard score, of a vehicle that is not of the fleet."""
    data = {
        "event_id": f"{0:032x}",
        "version": 1,
        "retracted": False,
        "vehicle_id": "another",
        "time": rfc3339(FIRST_TIME_MS * 1_000),
        "score": 0.1,
        "lower": 0.1,
        "upper": 0.1,
        "class": "low",
        "class_before": None,
        "profile_id": "auv",
        "profile_version": 1,
        "longitude": WEST_DEG,
        "latitude": SOUTH_DEG,
        "parts": [],
    }
    event = {
        "specversion": "1.0",
        "id": f"{data['event_id']}.1",
        "source": "/farwatch/hazard",
        "type": "farwatch.hazard.scored.v1",
        "datacontenttype": "application/json",
        "subject": data["vehicle_id"],
        "time": data["time"],
        "data": data,
    }
    file.write(msgspec.json.encode(event) + b"\n")
