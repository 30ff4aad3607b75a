"""Readings: which fields and sensors of telemetry hazard knows, and the signals it works out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

READINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "tilt_deg": ("tilt_deg",),
        "wheel_distance_m": ("wheel_distance_m",),
        "wheel_speed_mps": ("wheel_speed_mps",),
        "moved_distance_m": ("moved_distance_m",),
        "dust_opacity": ("dust_opacity", "atmospheric_opacity", "tau"),
        "wind_mps": ("wind_mps", "wind_speed_mps"),
        "terrain_class": ("terrain_class",),
        "confidence": ("confidence",),
        "model_version": ("model_version",),
        "waypoint_longitude": ("waypoint_longitude", "state_goal_longitude_deg"),
        "waypoint_latitude": ("waypoint_latitude", "state_goal_latitude_deg"),
        "bottom_depth_m": ("bottom_depth_m", "m_water_depth"),
        "current_mps": ("current_mps", "current_speed_mps"),
        "current_east_mps": ("current_east_mps", "m_water_vx"),
        "current_north_mps": ("current_north_mps", "m_water_vy"),
        "leak_detect_v": ("leak_detect_v", "m_leakdetect_voltage"),
        "ground_fault_pct": ("ground_fault_pct", "state_gfi_pct"),
        "water_in_hull": ("water_in_hull",),
        "vacuum_inhg": ("vacuum_inhg", "m_vacuum"),
        "battery_v": ("battery_v", "m_battery", "state_voltage_v"),
        "contact_age_s": ("contact_age_s",),
    }
)


DERIVED: Final = (
    *("record", "fix_longitude", "fix_latitude", "course_deg", "tilt", "tilt_rate", "sink_mps"),
    *("slip", "free", "seen_class", "seen_confidence", "seen_model_version"),
    *("seen_longitude", "seen_latitude"),
    *("ground_height_m", "ground_slope_deg", "ground_roughness_m", "ground_step_m"),
    *("ground_east", "ground_north"),
    *("ahead_slope_deg", "ahead_step_m", "ahead_distance_m"),
)
"""Signals worked out of readings; names that are persisted."""
