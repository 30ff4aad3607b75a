"""Quantities of vehicles that dive: the bottom, the depth, the current, the time unheard."""

from typing import Final

import numpy as np

from rules.hazard.rows import US_PER_S, Rows, oldest, rate
from rules.hazard.signals import NO_TIME, Held
from rules.hazard.surroundings import ground

_SINKING_MPS: Final = 0.02


def sink(rows: Rows) -> None:
    """The speed downward, from one depth to the next."""
    column = rows.signals.told("depth_m")
    rows.signals.hold("sink_mps", rate(rows, "depth_m", column))


def vertical_speed_mps(rows: Rows, _: float) -> Held:
    """The speed up or down."""
    rows.once("sink", sink)
    speed = rows.signals.held("sink_mps")
    return Held(np.abs(speed.value), speed.time)


def clearance_m(rows: Rows, age_us: float) -> Held:
    """Height above the bottom: the least that the altimeter, a sounding or the terrain says."""
    signals, now = rows.signals, rows.now
    height, depth = signals.held("height_above_bottom_m"), signals.held("depth_m")
    sounding = signals.held("bottom_depth_m")
    # A sounding of 0 or less is how instruments write "no echo".
    below = np.where(sounding.value > 0.0, sounding.value - depth.value, np.nan)
    found = [height, Held(below, oldest(sounding, depth))]
    if rows.terrain is not None:
        rows.once("ground", ground)
        bottom = signals.held("ground_height_m")
        found.append(Held(-depth.value - bottom.value, oldest(bottom, depth)))
    value, time = np.full(signals.count, np.nan), np.full(signals.count, NO_TIME)
    for one in found:
        fresh = one.fresh(now, age_us) & ~np.isnan(one.value)
        value = np.where(fresh, np.fmin(value, one.value), value)
        time = np.where(fresh, np.maximum(time, one.time), time)
    # With nothing fresh the altimeter's last word stands, as stale as it is.
    stale = np.isnan(value)
    return Held(
        np.maximum(np.where(stale, height.value, value), 0.0),
        np.where(stale, height.time, time),
    )


def time_to_bottom_s(rows: Rows, age_us: float) -> Held:
    """The clearance over the speed downward; infinite where the vehicle does not sink."""
    rows.once("sink", sink)
    clearance, speed = clearance_m(rows, age_us), rows.signals.held("sink_mps")
    sinking = speed.value > _SINKING_MPS
    seconds = np.where(sinking, clearance.value / np.where(sinking, speed.value, 1.0), np.inf)
    unknown = np.isnan(clearance.value) | np.isnan(speed.value)
    return Held(np.where(unknown, np.nan, seconds), oldest(clearance, speed))


def depth_margin_m(rows: Rows, _: float) -> Held:
    """How much deeper the vehicle's rating allows."""
    depth, limit_m = rows.signals.held("depth_m"), rows.profile.vehicle.max_depth_m
    margin = (np.nan if limit_m is None else limit_m) - depth.value
    return Held(margin, depth.time)


def current_mps(rows: Rows, age_us: float) -> Held:
    """The current, as it is told or from its two parts."""
    signals = rows.signals
    whole = signals.held("current_mps")
    east, north = signals.held("current_east_mps"), signals.held("current_north_mps")
    of_parts = Held(np.hypot(east.value, north.value), oldest(east, north))
    given = whole.fresh(rows.now, age_us)
    return Held(
        np.where(given, whole.value, of_parts.value), np.where(given, whole.time, of_parts.time)
    )


def record(rows: Rows) -> None:
    """That there was a record."""
    rows.signals.hold("record", np.zeros(rows.signals.count))


def silence_s(rows: Rows, _: float) -> Held:
    """How long nothing had been heard of the vehicle when the record came to be."""
    rows.once("record", record)
    before, told = rows.signals.earlier("record"), rows.signals.told("contact_age_s")
    gap_s = (rows.now - before.time) / US_PER_S
    gap_s = np.where(np.isfinite(gap_s), gap_s, np.nan)
    return Held(np.fmax(gap_s, told), rows.now)
