"""What one AUV does, measures and sends over the whole story."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from scripts.scenario import dives
from scripts.scenario.dives import CHARGING, DIVES, PHASES, SURVEY, Phases
from scripts.scenario.fleet import Fault, Vehicle
from scripts.scenario.seafloor import bottom_depth_m
from scripts.scenario.track import Bools, Floats, Track, sample_times_ms

METRES_A_DEGREE: Final = 111_195.0  # of latitude, on a sphere of 6,371 km
SURVEY_HEIGHT_M: Final = 40.0
TOO_LOW_M: Final = 3.0
TOO_LOW_S: Final = 2400.0
SOUND_S: Final = 3600.0  # every fault begins an hour into its survey
DRIFT_MPS: Final = 0.12
ALTIMETER_RANGE_M: Final = 150.0
DEPTH_DROPOUT: Final = 0.005
UPLOAD_RECORDS_A_SECOND: Final = 100.0
FULL_PCT: Final = 99.0
WATTS: Final = np.array([60.0, 180.0, 120.0, 260.0, 90.0, 200.0])  # by phase
PITCH_DEG: Final = np.array([0.0, 0.0, -35.0, 0.0, 45.0, 0.0])  # by phase


@dataclass(frozen=True, slots=True)
class Moments:
    """The n moments at which a vehicle is sampled."""

    vehicle: Vehicle
    phases: Phases

    def suffers(self, fault: Fault) -> Bools:
        """(n,) bool: moments of the faulty dive at which ``fault`` has set in on this vehicle."""
        on_dive = (self.phases.dive == self.vehicle.dive) & (self.vehicle.fault is fault)
        acts: Bools = on_dive & (self.phases.survey_s > SOUND_S)
        return acts


def auv_track(vehicle: Vehicle, count: int, rng: Generator) -> Track:
    """Simulates ``count`` records of ``vehicle`` over the whole span."""
    time_ms = sample_times_ms(count, rng)
    start_s = rng.uniform(0.0, dives.LATEST_START_S)
    phases = dives.phases_at(time_ms / 1000.0, start_s)
    moments = Moments(vehicle, phases)
    position = _position(moments, rng)
    missions = [f"{vehicle.vehicle_id}-dive-{n + 1}" for n in range(DIVES)] + ["recovered"]
    blind = moments.suffers(Fault.PRESSURE) & phases.submerged
    return Track(
        vehicle_id=vehicle.vehicle_id,
        kind="auv",
        body="earth",
        time_ms=time_ms,
        arrival_s=_arrival_s(time_ms / 1000.0, phases, start_s),
        status=[PHASES[phase] for phase in phases.phase.tolist()],
        mission_id=[missions[dive] for dive in phases.dive.tolist()],
        numbers=position
        | _depth(moments, bottom_depth_m(position["longitude"], position["latitude"]), blind, rng)
        | _motion(phases, rng)
        | {"battery_pct": _battery_pct(moments, rng)},
        sensors={
            "water_in_hull": moments.suffers(Fault.LEAK).astype(np.float64),
            "depth_sensor_ok": (~blind).astype(np.float64),
        },
    )


def _position(moments: Moments, rng: Generator) -> dict[str, Floats]:
    """Where the vehicle believes it is, how well, and where it heads."""
    phases, vehicle = moments.phases, moments.vehicle
    drifting_s = np.where(moments.suffers(Fault.DRIFT), phases.survey_s - SOUND_S, 0.0)
    east, north = dives.path_m(phases, DRIFT_MPS * drifting_s)
    heading = np.degrees(np.arctan2(np.gradient(east), np.gradient(north)))
    # Dead reckoning: the error keeps one direction through a dive and grows with the time since
    # the last fix, as the vehicle's own estimate of it does; a surfacing shows as a jump.
    unaided_s = np.where(moments.suffers(Fault.DOPPLER), phases.survey_s - SOUND_S, 0.0)
    accuracy_m = 3.0 + 0.0015 * phases.submerged_s + 0.006 * unaided_s
    error = rng.normal(0.0, 0.4, (2, DIVES + 1))[:, phases.dive] * accuracy_m
    error += rng.normal(0.0, 1.0, error.shape) * np.where(phases.submerged, 0.5, 1.5)
    metres_a_longitude = METRES_A_DEGREE * np.cos(np.radians(vehicle.ship_latitude))
    return {
        "longitude": (vehicle.ship_longitude + (east + error[0]) / metres_a_longitude).round(6),
        "latitude": (vehicle.ship_latitude + (north + error[1]) / METRES_A_DEGREE).round(6),
        "position_accuracy_m": accuracy_m.round(1),
        "heading_deg": (heading + rng.normal(0.0, 1.0, len(heading))).round(1) % 360.0,
    }


def _depth(moments: Moments, bottom_m: Floats, blind: Bools, rng: Generator) -> dict[str, Floats]:
    """Depth, height above the bottom and water temperature; ``blind``: depth is not known."""
    phases = moments.phases
    n = len(bottom_m)
    too_low = moments.suffers(Fault.BOTTOM) & (phases.phase == SURVEY)
    too_low &= phases.survey_s < SOUND_S + TOO_LOW_S
    height_m = np.where(too_low, TOO_LOW_M, SURVEY_HEIGHT_M)
    depth_m = dives.depth_part(phases) * (bottom_m - height_m)
    # The sensor's zero is a little off, so that the surface reads as some centimetres.
    measured_m = np.abs(depth_m + rng.normal(0.15, 0.1, n))
    heard_m = np.abs(bottom_m - depth_m + rng.normal(0.0, 0.3, n))
    temperature_c = 1.5 + 25.5 * np.exp(-depth_m / 400.0) + rng.normal(0.0, 0.05, n)
    absent = blind | (rng.random(n) < DEPTH_DROPOUT)
    return {
        "depth_m": np.where(absent, np.nan, measured_m).round(2),
        "height_above_bottom_m": np.where(heard_m < ALTIMETER_RANGE_M, heard_m, np.nan).round(2),
        "temperature_c": temperature_c.round(2),
    }


def _motion(phases: Phases, rng: Generator) -> dict[str, Floats]:
    """Speed, attitude and the power they take."""
    n = len(phases.phase)
    surveying = phases.phase == SURVEY
    surveyed = dives.survey_speed_mps(phases.survey_s)
    speed = np.where(surveying, surveyed, dives.SPEED_MPS[phases.phase])
    return {
        "speed_mps": np.abs(speed + rng.normal(0.0, 0.03, n)).round(3),
        "pitch_deg": (PITCH_DEG[phases.phase] + rng.normal(0.0, 1.0, n)).round(1),
        "roll_deg": rng.normal(0.0, 1.0, n).round(1),
        "power_consumption_w": (WATTS[phases.phase] * rng.normal(1.0, 0.04, n)).round(1),
    }


def _battery_pct(moments: Moments, rng: Generator) -> Floats:
    """Charge: falls while away from the ship, and is brought back to full aboard; (n,)."""
    phases, vehicle = moments.phases, moments.vehicle
    an_hour = np.full(DIVES + 1, 3.2)  # percent, by dive
    if vehicle.fault is Fault.BATTERY:
        an_hour[vehicle.dive] = 4.8
    away_s = dives.CYCLE_S - dives.DURATION_S[CHARGING]
    brought_home = np.array([FULL_PCT, *(FULL_PCT - an_hour[:-1] * away_s / 3600.0)])  # by dive
    came_with = brought_home[phases.dive]
    charging = came_with + (FULL_PCT - came_with) * phases.part
    discharging = FULL_PCT - an_hour[phases.dive] * phases.away_s / 3600.0
    percent = np.where(phases.phase == CHARGING, charging, discharging)
    return np.clip(percent + rng.normal(0.0, 0.1, len(percent)), 0.0, 100.0).round(1)


def _arrival_s(time_s: Floats, phases: Phases, start_s: float) -> Floats:
    """When each record reaches the shore: at once on the surface, else stored until surfacing."""
    sent = np.arange(len(time_s)) / UPLOAD_RECORDS_A_SECOND
    diving = phases.submerged
    first = np.maximum.accumulate(np.where(diving & ~np.roll(diving, 1), sent, 0.0))
    uploaded = dives.surfacing_s(phases.dive, start_s) + sent - first
    # What is measured during the upload waits for its end.
    arrival: Floats = np.maximum.accumulate(np.where(diving, uploaded, time_s))
    return arrival
