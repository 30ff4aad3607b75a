"""Quantities: what parts of a hazard score read, worked out of telemetry on columns.

Each is a function of rows and of the age from which a reading is stale; it gives a value a row with
the time of what it rests on (the oldest of its readings). NaN = not known, infinite where there is
no such danger (nothing ahead, not sinking).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rules.hazard import diving, driving, power, rows, surroundings

FIX: Final = ("longitude", "latitude")
_COURSE: Final = (*FIX, "heading_deg", "waypoint_longitude", "waypoint_latitude")
_SLIP: Final = (*FIX, "speed_mps", "wheel_speed_mps", "wheel_distance_m", "moved_distance_m")
_CLEARANCE: Final = (*FIX, "height_above_bottom_m", "depth_m", "bottom_depth_m")
_POWER: Final = ("power_generation_w", "power_consumption_w")
_TILT: Final = ("tilt_deg", "roll_deg", "pitch_deg")

HOLDS: Final[Mapping[str, tuple[rows.Hold, rows.Needs]]] = MappingProxyType(
    {
        "fixes": (rows.fixes, (("longitude",),)),
        "course": (surroundings.course, (("heading_deg", "longitude"),)),
        "tilt": (driving.tilt, (("tilt_deg", "roll_deg"),)),
        "tilt_rate": (driving.tilt_rate, (("tilt_deg", "roll_deg"),)),
        "slip": (driving.slip, (("wheel_speed_mps", "wheel_distance_m"),)),
        "seen": (driving.seen, (("terrain_class",),)),
        "sink": (diving.sink, (("depth_m",),)),
        "record": (diving.record, ()),
        "ground": (surroundings.ground, ((rows.TERRAIN,), ("longitude",))),
        "ahead": (surroundings.ahead, ((rows.TERRAIN,), ("longitude",))),
    }
)
"""What is worked out and remembered, with what it needs: without that there is nothing of it.

For a profile that has any use for it, it is worked out of every record, whatever else is known: so
no answer depends on where frames end."""


@dataclass(frozen=True, slots=True)
class Known:
    """A quantity: what works it out, the ``readings`` it rests on, what it ``needs``.

    Without what it needs it is not known. ``holds``: names of ``HOLDS`` that it has use for.
    """

    work_out: rows.Quantity
    readings: tuple[str, ...]
    needs: rows.Needs = ()
    holds: tuple[str, ...] = ()


def _told(name: str) -> Known:
    return Known(rows.reading(name), (name,), ((name,),))


_ON_GROUND: Final = ((rows.TERRAIN,), ("longitude",))
_TILTED: Final = (("tilt_deg", "roll_deg"),)
_HOLD_GROUND: Final = ("fixes", "ground")
_HOLD_AHEAD: Final = ("fixes", "course", "ahead")
_SLIPPING: Final = (("wheel_speed_mps", "wheel_distance_m"),)
_ABOVE_BOTTOM: Final = (("height_above_bottom_m", "bottom_depth_m", rows.TERRAIN),)


def _of_ground(name: str) -> Known:
    return Known(surroundings.of_ground(name), FIX, _ON_GROUND, _HOLD_GROUND)


def _of_ahead(name: str) -> Known:
    return Known(surroundings.of_ahead(name), _COURSE, _ON_GROUND, _HOLD_AHEAD)


QUANTITIES: Final[Mapping[str, Known]] = MappingProxyType(
    {
        "tilt_deg": Known(driving.tilt_deg, _TILT, _TILTED, ("tilt",)),
        "tilt_rate_deg_per_s": Known(
            driving.tilt_rate_deg_per_s, _TILT, _TILTED, ("tilt", "tilt_rate")
        ),
        "slip_ratio": Known(driving.slip_ratio, _SLIP, _SLIPPING, ("fixes", "slip")),
        "stuck_s": Known(driving.stuck_s, _SLIP, _SLIPPING, ("fixes", "slip")),
        "battery_pct": _told("battery_pct"),
        "battery_v": _told("battery_v"),
        "net_power_w": Known(power.net_power_w, _POWER, (("power_consumption_w",),)),
        "time_to_reserve_h": Known(
            power.time_to_reserve_h,
            ("battery_pct", *_POWER),
            (("battery_pct",), ("power_consumption_w",)),
        ),
        "temperature_c": _told("temperature_c"),
        "dust_opacity": _told("dust_opacity"),
        "wind_mps": _told("wind_mps"),
        "terrain_danger": Known(
            driving.terrain_danger,
            (*FIX, "terrain_class", "confidence", "model_version"),
            (("terrain_class",),),
            ("fixes", "seen"),
        ),
        "ground_slope_deg": Known(
            surroundings.of_ground("slope_deg"), FIX, _ON_GROUND, _HOLD_GROUND
        ),
        "ground_roughness_m": Known(
            surroundings.of_ground("roughness_m"), FIX, _ON_GROUND, _HOLD_GROUND
        ),
        "ground_step_m": _of_ground("step_m"),
        "ahead_slope_deg": Known(
            surroundings.of_ahead("slope_deg"), _COURSE, _ON_GROUND, _HOLD_AHEAD
        ),
        "ahead_step_m": _of_ahead("step_m"),
        "ahead_distance_m": Known(
            surroundings.of_ahead("distance_m"), _COURSE, _ON_GROUND, _HOLD_AHEAD
        ),
        "sun_elevation_deg": Known(
            surroundings.sun_elevation_deg, FIX, (("longitude",),), ("fixes",)
        ),
        "illumination": Known(surroundings.illumination_share, FIX, _ON_GROUND, _HOLD_GROUND),
        "clearance_m": Known(diving.clearance_m, _CLEARANCE, _ABOVE_BOTTOM, _HOLD_GROUND),
        "time_to_bottom_s": Known(
            diving.time_to_bottom_s,
            _CLEARANCE,
            (*_ABOVE_BOTTOM, ("depth_m",)),
            (*_HOLD_GROUND, "sink"),
        ),
        "depth_margin_m": Known(diving.depth_margin_m, ("depth_m",), (("depth_m",),)),
        "vertical_speed_mps": Known(
            diving.vertical_speed_mps, ("depth_m",), (("depth_m",),), ("sink",)
        ),
        "surface_energy_ratio": Known(
            power.surface_energy_ratio,
            ("depth_m", "battery_pct", "power_consumption_w"),
            (("depth_m",), ("battery_pct",)),
        ),
        "current_mps": Known(
            diving.current_mps,
            ("current_mps", "current_east_mps", "current_north_mps"),
            (("current_mps", "current_east_mps"),),
        ),
        "leak_detect_v": _told("leak_detect_v"),
        "ground_fault_pct": _told("ground_fault_pct"),
        "water_in_hull": _told("water_in_hull"),
        "vacuum_inhg": _told("vacuum_inhg"),
        "silence_s": Known(diving.silence_s, ("contact_age_s",), (), ("record",)),
    }
)


def quantity_of(reads: str) -> Known:
    """What a part reads: one of ``QUANTITIES``, or a sensor as it is told."""
    return _told(reads) if reads.startswith("sensors.") else QUANTITIES[reads]
