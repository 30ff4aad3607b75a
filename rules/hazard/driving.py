"""Quantities of vehicles that drive: tilt, slip, being stuck, what a vision model sees."""

from typing import Final

import numpy as np

from rules.geodesy import rough_distance_m
from rules.hazard.rows import US_PER_S, Rows, fixes, rate
from rules.hazard.signals import Held
from schemas.frame import Bools, Floats

_DRIVING_MPS: Final = 0.005


def tilt(rows: Rows) -> None:
    """The tilt, as it is told or from roll and pitch of one record."""
    signals = rows.signals
    given = signals.told("tilt_deg")
    roll, pitch = np.radians(signals.told("roll_deg")), np.radians(signals.told("pitch_deg"))
    # The angle between the vehicle's own upright and the vertical.
    worked_out = np.degrees(np.arccos(np.clip(np.cos(roll) * np.cos(pitch), -1.0, 1.0)))
    signals.hold("tilt", np.where(np.isnan(given), worked_out, given))


def tilt_rate(rows: Rows) -> None:
    """How fast the tilt changes."""
    rows.once("tilt", tilt)
    column = rows.signals.told("tilt")
    rows.signals.hold("tilt_rate", np.abs(rate(rows, "tilt", column)))


def tilt_deg(rows: Rows, _: float) -> Held:
    """The angle between the vehicle's own upright and the vertical."""
    rows.once("tilt", tilt)
    return rows.signals.held("tilt")


def tilt_rate_deg_per_s(rows: Rows, _: float) -> Held:
    """How fast that angle changes."""
    rows.once("tilt_rate", tilt_rate)
    return rows.signals.held("tilt_rate")


def slip(rows: Rows) -> None:
    """The share of what the wheels drove that the vehicle did not move.

    From the wheels' speed and the vehicle's in one record, else from the wheels' distance since the
    record before against what visual odometry or the fixes moved meanwhile.
    """
    signals, vehicle = rows.signals, rows.profile.vehicle
    rows.once("fixes", fixes)
    wheel_mps, speed_mps = signals.told("wheel_speed_mps"), signals.told("speed_mps")
    driving = np.abs(wheel_mps) >= _DRIVING_MPS
    by_speed = np.where(driving, speed_mps / np.where(driving, np.abs(wheel_mps), 1.0), np.nan)
    before = signals.earlier("wheel_distance_m")
    driven_m = signals.told("wheel_distance_m") - before.value
    moved_m = _moved(rows, before)
    enough = (driven_m >= vehicle.slip_min_drive_m) & (driven_m <= vehicle.slip_max_drive_m)
    by_way = np.where(enough, moved_m / np.where(enough, driven_m, 1.0), np.nan)
    kept = np.where(np.isnan(by_speed), by_way, by_speed)
    slipped = np.clip(1.0 - kept, 0.0, 1.0)
    signals.hold("slip", slipped)
    # Who slips so much in the first record that tells it was free until then.
    first = ~np.isnan(slipped) & np.isnan(signals.earlier("slip").value)
    free = (slipped < vehicle.stuck_slip) | first
    signals.hold("free", np.where(free, 0.0, np.nan))


def _moved(rows: Rows, since: Held) -> Floats:
    """(n,) metres moved since the records at which the wheels' distance was told before."""
    signals = rows.signals
    odometry = signals.earlier("moved_distance_m")
    by_odometry = signals.told("moved_distance_m") - odometry.value
    by_odometry = np.where(odometry.time == since.time, by_odometry, np.nan)
    lon, lat = signals.earlier("fix_longitude"), signals.earlier("fix_latitude")
    by_fixes = np.full(signals.count, np.nan)
    wanted = (lon.time == since.time) & np.isnan(by_odometry) & ~np.isnan(lon.value)
    wanted &= ~np.isnan(signals.told("longitude"))
    if wanted.any():
        columns = (lon.value, lat.value, signals.told("longitude"), signals.told("latitude"))
        by_fixes[wanted] = rough_distance_m(rows.body[wanted], *(c[wanted] for c in columns))
    return np.where(np.isnan(by_odometry), by_fixes, by_odometry)


def slip_ratio(rows: Rows, _: float) -> Held:
    """The slip that was told last."""
    rows.once("slip", slip)
    return rows.signals.held("slip")


def stuck_s(rows: Rows, _: float) -> Held:
    """For how long the wheels have driven without moving the vehicle."""
    rows.once("slip", slip)
    slipped, free = rows.signals.held("slip"), rows.signals.held("free")
    stuck = slipped.value >= rows.profile.vehicle.stuck_slip
    lasted_s = np.where(stuck, slipped.time - free.time, 0.0) / US_PER_S
    return Held(np.where(np.isnan(slipped.value), np.nan, lasted_s), slipped.time)


def seen(rows: Rows) -> None:
    """Results of a vision model, with where the vehicle was when they came to be."""
    rows.once("fixes", fixes)
    signals = rows.signals
    told, confidence = signals.told("terrain_class"), signals.told("confidence")
    counts = ~np.isnan(told) & (confidence >= rows.profile.vision.min_confidence)
    where_lon, where_lat = signals.held("fix_longitude"), signals.held("fix_latitude")
    signals.hold("seen_class", np.where(counts, told, np.nan))
    signals.hold("seen_confidence", np.where(counts, confidence, np.nan))
    version = signals.told("model_version")
    signals.hold("seen_model_version", np.where(counts, version, np.nan))
    signals.hold("seen_longitude", np.where(counts, where_lon.value, np.nan))
    signals.hold("seen_latitude", np.where(counts, where_lat.value, np.nan))


def terrain_danger(rows: Rows, _: float) -> Held:
    """The danger of the terrain class seen, times the confidence; NaN where the result is stale."""
    rows.once("seen", seen)
    signals, vision = rows.signals, rows.profile.vision
    found, confidence = signals.held("seen_class"), signals.held("seen_confidence")
    danger = np.full(signals.count, np.nan)
    for code, one in vision.danger.items():
        danger = np.where(found.value == code, one, danger)
    near = found.fresh(rows.now, vision.max_age_s * US_PER_S) & _within_reach(rows)
    return Held(np.where(near, danger * confidence.value, np.nan), found.time)


def _within_reach(rows: Rows) -> Bools:
    signals, reach_m = rows.signals, rows.profile.vision.max_distance_m
    lon, lat = signals.held("fix_longitude").value, signals.held("fix_latitude").value
    seen_lon, seen_lat = signals.held("seen_longitude"), signals.held("seen_latitude")
    distance = rough_distance_m(rows.body, seen_lon.value, seen_lat.value, lon, lat)
    # A place that is not known is nowhere else: the time alone decides then.
    near: Bools = ~(distance > reach_m)
    return near
