"""Vertical bands: what zones bound, in which field of the telemetry, from where it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Reference = Literal["surface", "bottom", "ellipsoid", "areoid"]


@dataclass(frozen=True, slots=True)
class Band:
    """A vertical band that zones may have and what it is held against.

    ``column``: of the telemetry, m; ``least``, ``most``: properties of the zone with the bounds;
    ``references``: body -> what both are measured from; bodies without one are left out.
    """

    column: str
    least: str
    most: str
    references: Mapping[str, Reference]


BANDS: Final = (
    Band("depth_m", "min_depth_m", "max_depth_m", {"earth": "surface"}),
    Band(
        "altitude_m",
        "min_altitude_m",
        "max_altitude_m",
        {"earth": "ellipsoid", "mars": "areoid", "moon": "ellipsoid"},
    ),
    Band("height_above_bottom_m", "min_height_m", "max_height_m", {"earth": "bottom"}),
)


def misfit(reference: Reference, body: str, bounds: Mapping[str, object]) -> str:
    """Why a zone on ``body`` cannot measure its bounds from ``reference``; empty where it can.

    ``bounds``: the zone's properties, by name.
    """
    for band in BANDS:
        bounded = any(bounds.get(name) is not None for name in (band.least, band.most))
        if bounded and (real := band.references.get(body)) != reference:
            measured = f"from the {real}" if real else "nowhere"
            names = f"`{band.least}` and `{band.most}`"
            return f"{names} are measured {measured} on {body}: give bounds that belong to it"
    known = sorted({band.references[body] for band in BANDS if body in band.references})
    if reference not in known:
        return f"nothing is measured from it on {body}: give {' or '.join(known)}"
    return ""
