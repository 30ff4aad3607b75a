"""The rover: a drive along published Perseverance waypoints, with the times of the scenario.

The route and how the rover stood at each waypoint are published; times, power, temperature and the
one slip are invented. The stops of days and weeks between real drives are cut to an hour or two.
"""

from typing import Final

import numpy as np
from numpy.random import Generator

from scripts.scenario.track import SPAN_S, Bools, Floats, Longs, Track, sample_times_ms
from scripts.scenario.waypoints import WAYPOINTS

ROVER_ID: Final = "rover-jezero"
DRIVE_MPS: Final = 0.035  # top speed on flat ground is 0.042 m/s
MARS_RADIUS_M: Final = 3_396_190.0
SOL_S: Final = 88_775.244
RELAY_PASS_S: Final = 6 * 3600.0  # an orbiter takes the stored records up
SLIP_DEG: Final = 24.0
SLIP_S: Final = 900.0
DRIVE_PERCENT_AN_HOUR: Final = 23.0

_TABLE: Final = np.array([waypoint[1:] for waypoint in WAYPOINTS])  # (waypoints, 5)
_STEEPEST: Final = int(np.abs(_TABLE[:, 4]).argmax())


def leg_lengths_m() -> Floats:
    """Straight distance from each waypoint to the next on the sphere of Mars; (waypoints - 1,)."""
    longitude, latitude = np.radians(_TABLE[:, 0]), np.radians(_TABLE[:, 1])
    east = np.diff(longitude) * np.cos(latitude[:-1])
    lengths: Floats = MARS_RADIUS_M * np.hypot(east, np.diff(latitude))
    return lengths


def timetable_s() -> tuple[Floats, Floats]:
    """When each leg starts and ends: two arrays (waypoints - 1,), seconds; stops are all equal."""
    driving_s = leg_lengths_m() / DRIVE_MPS
    stop_s = (SPAN_S - driving_s.sum()) / len(driving_s)
    ends = np.cumsum(driving_s + stop_s)
    return ends - driving_s, ends


def rover_track(count: int, rng: Generator) -> Track:
    """Simulates ``count`` records of the rover over the whole span."""
    time_ms = sample_times_ms(count, rng)
    time_s = time_ms / 1000.0
    starts, ends = timetable_s()
    leg = np.minimum(np.searchsorted(ends, time_s), len(ends) - 1)  # the leg driven now or next
    part = np.clip((time_s - starts[leg]) / (ends - starts)[leg], 0.0, 1.0)
    moving = part > 0.0
    longitude, latitude, altitude, roll, pitch = _between(leg, part).T
    pitch = pitch + _slip_deg(time_s, starts, ends)
    shake = np.where(moving, 1.2, 0.05)
    ahead = _TABLE[leg + 1] - _TABLE[leg]
    heading = np.degrees(np.arctan2(ahead[:, 0] * np.cos(np.radians(18.4)), ahead[:, 1]))
    return Track(
        vehicle_id=ROVER_ID,
        kind="rover",
        body="mars",
        time_ms=time_ms,
        arrival_s=np.ceil(time_s / RELAY_PASS_S) * RELAY_PASS_S,
        status=["driving" if drives else "parked" for drives in moving.tolist()],
        mission_id=[f"m20-sol-{WAYPOINTS[index + 1].sol:04}" for index in leg.tolist()],
        numbers={
            "longitude": longitude.round(7),
            "latitude": latitude.round(7),
            "altitude_m": (altitude + rng.normal(0.0, 0.05, count)).round(2),
            "speed_mps": np.where(moving, DRIVE_MPS, 0.0).round(3),
            "heading_deg": heading.round(1) % 360.0,
            "pitch_deg": (pitch + rng.normal(0.0, 1.0, count) * shake).round(2),
            "roll_deg": (roll + rng.normal(0.0, 1.0, count) * shake).round(2),
            **_housekeeping(time_s, starts[leg], moving, rng),
        },
    )


def _between(leg: Longs, part: Floats) -> Floats:
    """Longitude, latitude, altitude, roll and pitch on the straight line of a leg; (n, 5)."""
    interpolated: Floats = _TABLE[leg] + part[:, None] * (_TABLE[leg + 1] - _TABLE[leg])
    return interpolated


def _slip_deg(time_s: Floats, starts: Floats, ends: Floats) -> Floats:
    """Extra pitch (n,) of an invented slip: a smooth bump amid the leg off the steepest place."""
    middle = (starts[_STEEPEST] + ends[_STEEPEST]) / 2.0
    bump: Floats = SLIP_DEG * np.exp(-(((time_s - middle) / SLIP_S) ** 2))
    return bump


def _housekeeping(
    time_s: Floats, leg_start_s: Floats, moving: Bools, rng: Generator
) -> dict[str, Floats]:
    """Charge, power and temperature, each (n,)."""
    n = len(time_s)
    # A leg starts with a full battery: the stop before it is always long enough to charge.
    driven_h = np.where(moving, time_s - leg_start_s, 0.0) / 3600.0
    charge = 95.0 - DRIVE_PERCENT_AN_HOUR * driven_h
    afternoon = np.sin(2.0 * np.pi * (time_s / SOL_S - 0.3))
    return {
        "battery_pct": np.clip(charge + rng.normal(0.0, 0.2, n), 0.0, 100.0).round(1),
        "power_generation_w": rng.normal(110.0, 0.5, n).round(1),
        "power_consumption_w": (np.where(moving, 330.0, 70.0) + rng.normal(0, 4.0, n)).round(1),
        "temperature_c": (-50.0 + 30.0 * afternoon + rng.normal(0.0, 0.5, n)).round(1),
    }
