"""Quantities of energy: what comes in, how long it lasts, whether it brings one up."""

import numpy as np

from rules.hazard.rows import Rows, oldest
from rules.hazard.signals import Held
from schemas.frame import Floats


def _energy(rows: Rows) -> tuple[Held, Floats]:
    """The charge, and the energy above the reserve in Wh, NaN where the capacity is not known."""
    charge, vehicle = rows.signals.held("battery_pct"), rows.profile.vehicle
    capacity_wh = np.nan if vehicle.battery_capacity_wh is None else vehicle.battery_capacity_wh
    above = np.maximum(charge.value - vehicle.battery_reserve_pct, 0.0)
    return charge, above / 100.0 * capacity_wh


def net_power_w(rows: Rows, _: float) -> Held:
    """Generation less consumption; what is not told to be generated is not."""
    used = rows.signals.held("power_consumption_w")
    made = rows.signals.held("power_generation_w")
    return Held(np.nan_to_num(made.value) - used.value, used.time)


def time_to_reserve_h(rows: Rows, age_us: float) -> Held:
    """How long the energy above the reserve lasts; infinite where none is drawn."""
    net = net_power_w(rows, age_us)
    charge, left_wh = _energy(rows)
    drawn_w = -net.value
    drawing = drawn_w > 0.0
    hours = np.where(drawing, left_wh / np.where(drawing, drawn_w, 1.0), np.inf)
    unknown = np.isnan(net.value) | np.isnan(left_wh)
    return Held(np.where(unknown, np.nan, hours), oldest(net, charge))


def surface_energy_ratio(rows: Rows, _: float) -> Held:
    """How many times the energy above the reserve suffices for the way to the surface."""
    vehicle = rows.profile.vehicle
    depth, used = rows.signals.held("depth_m"), rows.signals.held("power_consumption_w")
    charge, left_wh = _energy(rows)
    speed_mps = np.nan if vehicle.ascent_speed_mps is None else vehicle.ascent_speed_mps
    given_w = vehicle.ascent_power_w
    power_w = used.value if given_w is None else np.full(rows.signals.count, given_w)
    needed_wh = np.maximum(depth.value, 0.0) / speed_mps * power_w / 3600.0
    needs = needed_wh > 0.0
    ratio = np.where(needs, left_wh / np.where(needs, needed_wh, 1.0), np.inf)
    ratio = np.where(np.isnan(needed_wh) | np.isnan(left_wh), np.nan, ratio)
    time = oldest(depth, charge) if given_w is not None else oldest(depth, charge, used)
    return Held(ratio, time)
