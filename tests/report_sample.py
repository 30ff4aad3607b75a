"""Data for tests of the report: a fleet at work in the Pacific, a rover on Mars, a far glider."""

from typing import Any

import numpy as np

from schemas.event import ALARM_CLEARED, ALARM_RAISED, ZONE_ENTERED, ZONE_EXITED, identity
from schemas.frame import rfc3339
from schemas.zone import Zone
from scripts.report import Counts, Relief, ReportData, Track
from scripts.report.projection import Bounds
from scripts.report.relief import hillshade

START_US = 1_772_582_400_000_000  # 2026-03-04T00:00:00Z
LANDED_US = 1_614_000_000_000_000  # 2021-02-22
SECOND_US = 1_000_000

RULES = (
    ("apei-no-work", "critical", "at work in a protected area"),
    ("speed-over-ground", "warning", "faster than the permit allows"),
    ("battery-low", "warning", "battery below what the way home takes"),
    ("depth-limit", "emergency", "deeper than the hull is rated for"),
)


def event(kind: str, vehicle_id: str, time_us: int, **data: Any) -> dict[str, Any]:
    """A CloudEvent as the watch tells it."""
    event_id = identity(kind, ascii(vehicle_id), time_us, ascii(data))
    payload = {"event_id": event_id, "version": 1, "retracted": False, "vehicle_id": vehicle_id}
    return {
        "specversion": "1.0",
        "id": f"{event_id}.1",
        "source": "/farwatch/watch",
        "subject": vehicle_id,
        "time": rfc3339(time_us),
        "type": kind,
        "data": {**payload, "time": rfc3339(time_us), **data},
    }


def raised(vehicle_id: str, number: int, time_us: int, **changed: Any) -> dict[str, Any]:
    """An alarm raised, its rule chosen by ``number``."""
    rule_id, severity, words = RULES[number % len(RULES)]
    data = {
        "alarm_id": f"alarm-{vehicle_id}-{number}",
        "rule_id": rule_id,
        "rule_version": 2,
        "severity": severity,
        "state": "active",
        "message": f"{vehicle_id} {words}",
        "zone_id": "apei-1",
        "decision": {
            "inputs": {"depth_m": 4213.25, "speed_mps": 0.31, "zone.kind": "apei"},
            "limit": 200.0,
            "margin": -4013.25,
            "zone_version": 3,
            "fixes": [f"m-{number}-{n}" for n in range(20)],
        },
    }
    return event(ALARM_RAISED, vehicle_id, time_us, **(data | changed))


def cleared(vehicle_id: str, number: int, time_us: int) -> dict[str, Any]:
    """The same alarm cleared."""
    alarm_id = f"alarm-{vehicle_id}-{number}"
    return event(ALARM_CLEARED, vehicle_id, time_us, alarm_id=alarm_id, state="cleared")


def crossed(kind: str, track: Track, row: int, zone_id: str, visit: str) -> dict[str, Any]:
    """A zone entered or exited at one fix of a track."""
    return event(
        kind,
        track.vehicle_id,
        int(track.time_us[row]),
        zone_id=zone_id,
        zone_version=1,
        visit_id=visit,
        longitude=float(track.longitude[row]),
        latitude=float(track.latitude[row]),
        depth_m=None,
        reason="observed",
    )


def zone(zone_id: str, kind: str, *polygons: list[Any], **properties: Any) -> Zone:
    """A zone of polygons, each a list of rings."""
    geometry = {"type": "MultiPolygon", "coordinates": list(polygons)}
    named = {"name": zone_id.upper(), "kind": kind, **properties}
    return Zone.model_validate({"id": zone_id, "geometry": geometry, **named})


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A closed ring."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def dive(vehicle_id: str, number: int, fixes: int, seed: int = 7) -> Track:
    """An AUV mowing the lawn at 4 km depth, coming up every six hours."""
    rng = np.random.default_rng(seed + number)
    t = np.linspace(0, 2 * 86_400, fixes, endpoint=False)
    leg = np.floor(t / 7_200)
    along = np.abs((t / 7_200) % 2 - 1) * 0.12
    phase = (t % 21_600) / 21_600
    depth = np.clip(np.minimum(phase, 1 - phase) * 16_000, 0, 4_200) + rng.normal(0, 8, fixes)
    depth[(t > 40_000) & (t < 46_000)] = np.nan
    return Track(
        vehicle_id=vehicle_id,
        kind="auv",
        body="earth",
        time_us=START_US + (t * SECOND_US).astype(np.int64),
        longitude=-150.0 + number * 3.1 + along + rng.normal(0, 2e-4, fixes),
        latitude=14.0 - number * 0.4 + leg * 0.006 + rng.normal(0, 2e-4, fixes),
        depth_m=depth,
    )


def rover(fixes: int = 400) -> Track:
    """A rover wandering in Jezero crater for 400 sols."""
    rng = np.random.default_rng(20)
    unknown = np.full(fixes, np.nan)
    return Track(
        vehicle_id="M2020",
        kind="rover",
        body="mars",
        time_us=LANDED_US + np.arange(fixes) * 88_775 * SECOND_US,
        longitude=77.45 + np.cumsum(rng.normal(0, 8e-4, fixes)),
        latitude=18.44 + np.cumsum(rng.normal(2e-5, 8e-4, fixes)),
        depth_m=unknown,
    )


def far_glider(fixes: int = 900) -> Track:
    """A glider that crosses 180 deg eastward, south of Fiji."""
    t = np.arange(fixes) * 600.0
    longitude = 178.2 + t / t[-1] * 3.4
    return Track(
        vehicle_id="SG-180",
        kind="glider",
        body="earth",
        time_us=START_US + (t * SECOND_US).astype(np.int64),
        longitude=(longitude + 180) % 360 - 180,
        latitude=-22 + 0.4 * np.sin(t / 40_000),
        depth_m=500 - 500 * np.cos(t / 3_000),
    )


def relief() -> Relief:
    """A crater with ripples."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    elevation_m = 900 * np.hypot(x, y) + 60 * np.sin(9 * x + 4 * y)
    bounds = Bounds(west=77.3, south=18.3, east=77.6, north=18.6)
    return hillshade(elevation_m, bounds, "mars")


def zones() -> list[Zone]:
    """Protected areas, contract areas with a hole, one over 180 deg, one on Mars."""
    around = zip((-158, -150, -142, -134, -126, -146), (16, 10, 12, 16, 9, 20), strict=True)
    apeis = [
        zone(f"apei-{n}", "apei", [box(west, south, west + 4, south + 4)])
        for n, (west, south) in enumerate(around, start=1)
    ]
    contract = zone(
        "ifremer-e", "contract", [box(-150.4, 12.6, -146.2, 14.9), box(-148.4, 13.4, -147.6, 14.1)]
    )
    near = zone("plume", "hazard", [box(-149.95, 14.05, -149.9, 14.1)], name="Plume, day 2")
    split = zone(
        "tonga-sector",
        "keep_in",
        [box(178.9, -23, 180, -21.2)],
        [box(-180, -23, -178.9, -21.2)],
        name="Tonga sector",
    )
    sand = zone("sand", "hazard", [box(77.446, 18.436, 77.456, 18.448)], body="mars")
    return [*apeis, contract, near, split, sand]


def sample(vehicles: int = 10, fixes: int = 2_000, alarms_each: int = 3) -> ReportData:
    """A whole report: fleet, rover and glider, with alarms, visits and rejects."""
    fleet = [dive(f"CCZ-{number:02}", number, fixes) for number in range(vehicles)]
    tracks = [*fleet, rover(), far_glider()]
    events = []
    for track in tracks:
        span = int(track.time_us[-1] - track.time_us[0])
        for number in range(alarms_each):
            start_us = int(track.time_us[0]) + span * (number + 1) // (alarms_each + 2)
            events.append(raised(track.vehicle_id, number, start_us))
            if number % 3 != 1:
                events.append(cleared(track.vehicle_id, number, start_us + span // 30))
        zone_id = {"M2020": "sand", "SG-180": "tonga-sector"}.get(track.vehicle_id, "ifremer-e")
        rows = len(track.time_us)
        events.append(crossed(ZONE_ENTERED, track, rows // 5, zone_id, "v1"))
        events.append(crossed(ZONE_EXITED, track, rows // 2, zone_id, "v1"))
        events.append(crossed(ZONE_ENTERED, track, rows * 4 // 5, zone_id, "v2"))
    rejects = [
        event(
            "farwatch.telemetry.rejected.v1",
            "",
            START_US + number,
            reason=f"latitude: {91 + number} is above 90",
            field="latitude",
            raw=f'{{"auv_id":"CCZ-00","latitude":{91 + number}}}',
            origin=f"file:telemetry.ndjson:{17 + number}",
        )
        for number in range(5)
    ]
    return ReportData(
        title="Clarion-Clipperton Zone, Jezero and Tonga",
        created="2026-03-06T00:00:00Z",
        inputs={"telemetry": "file:telemetry.ndjson", "zones": "file:zones.geojson"},
        counts=Counts(
            records_in=sum(len(track.time_us) for track in tracks) + 5,
            rejected=5,
            late=12,
            unknown_depth=1400,
        ),
        zones=zones(),
        tracks=tracks,
        events=events,
        rejects=rejects,
        reliefs=[relief()],
    )
