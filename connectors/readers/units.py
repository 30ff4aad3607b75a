"""Units that columns of foreign files may have, as conversions to those of the telemetry."""

import math
from collections.abc import Callable
from typing import Final

from schemas.frame import NUMBER_FIELDS


def _ddmm(value: float) -> float:
    """Degrees of DDMM.mmm, the notation of NMEA 0183 and of Slocum gliders."""
    degrees, minutes = divmod(abs(value), 100)
    return math.copysign(degrees + minutes / 60, value)


def _times(factor: float) -> Callable[[float], float]:
    return lambda value: value * factor


SAME: Final = _times(1.0)
# The first unit of each dimension is the one of the telemetry field: no conversion.
LENGTH: Final = {
    "m": SAME,
    "cm": _times(0.01),
    "km": _times(1000.0),
    "ft": _times(0.3048),
    "fathom": _times(1.8288),
    "nmi": _times(1852.0),
}
_ANGLE: Final = {"deg": SAME, "rad": math.degrees, "ddmm": _ddmm}
_SPEED: Final = {
    "m/s": SAME,
    "cm/s": _times(0.01),
    "kn": _times(1852 / 3600),
    "km/h": _times(1 / 3.6),
}
_SHARE: Final = {"%": SAME, "fraction": _times(100.0)}
_POWER: Final = {"W": SAME, "mW": _times(0.001), "kW": _times(1000.0)}
_TEMPERATURE: Final = {
    "C": SAME,
    "K": lambda value: value - 273.15,
    "F": lambda value: (value - 32) * 5 / 9,
}
_BY_SUFFIX: Final = {
    "_m": LENGTH,
    "_mps": _SPEED,
    "_deg": _ANGLE,
    "_pct": _SHARE,
    "_w": _POWER,
    "_c": _TEMPERATURE,
}
UNITS: Final[dict[str, dict[str, Callable[[float], float]]]] = {
    name: next((units for suffix, units in _BY_SUFFIX.items() if name.endswith(suffix)), _ANGLE)
    for name in NUMBER_FIELDS
}
"""Telemetry field -> the units a column for it may have, with their conversions."""
