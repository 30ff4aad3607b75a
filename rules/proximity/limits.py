"""Limits: at what distances vehicles are near and far, and when that is judged."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as near, and how positions become comparable.

    A pair is near from ``nearby_m`` on until it is farther apart than ``faraway_m``. Positions are
    compared every ``every_us`` of event time; a vehicle is known at a moment when the fixes before
    and after lie at most ``max_age_us`` apart. Records may come ``lateness_us`` behind the newest
    of their body.
    """

    nearby_m: float = 100.0
    faraway_m: float = 150.0
    every_us: int = 10_000_000
    max_age_us: int = 300_000_000
    lateness_us: int = 120_000_000
