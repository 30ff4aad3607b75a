"""Sunlight: where the sun stands over vehicles, solar time there, when it rises and sets next."""

from collections.abc import Collection
from typing import Final

import numpy as np

from schemas.earth_sun import EARTH
from schemas.frame import BODIES, Floats, Frame
from schemas.mars_sun import MARS
from schemas.mars_time import MISSIONS, local_sol, mission_sol
from schemas.sun import Sky

_SKIES: Final[dict[str, Sky]] = {"earth": EARTH, "mars": MARS}


def sunlight(frame: Frame, wanted: Collection[str]) -> dict[str, Floats]:
    """The columns of ``sun`` that are wanted, by name, at the rows of a frame.

    NaN without a position, and on bodies whose sky is not known.
    """
    columns = {}
    for column in sorted(name for name in wanted if name.startswith("sun.")):
        name = column.removeprefix("sun.")
        sols = {"local_sol": _local_sol, "mission_sol": _mission_sol}
        columns[column] = sols[name](frame) if name in sols else _of_sky(name, frame)
    return columns


def _of_sky(name: str, frame: Frame) -> Floats:
    longitude, latitude = frame.number("longitude"), frame.number("latitude")
    found = np.full(len(frame), np.nan)
    for body, sky in _SKIES.items():
        rows = np.flatnonzero(frame.body == BODIES.index(body))
        if not len(rows):
            continue
        time_us, lon, lat = frame.time_us[rows], longitude[rows], latitude[rows]
        match name:
            case "elevation_deg":
                found[rows] = sky.position(time_us, lon, lat).elevation_deg
            case "rises_in_s":
                found[rows] = sky.rises_in_s(time_us, lon, lat)
            case "sets_in_s":
                found[rows] = sky.sets_in_s(time_us, lon, lat)
            case "mean_solar_time_h":
                found[rows] = sky.mean_solar_time_h(time_us, lon)
            case "true_solar_time_h":
                found[rows] = sky.true_solar_time_h(time_us, lon)
    return found


def _local_sol(frame: Frame) -> Floats:
    mars = frame.body == BODIES.index("mars")
    sol = np.floor(local_sol(frame.time_us, frame.number("longitude")))
    return np.where(mars, sol, np.nan)


def _mission_sol(frame: Frame) -> Floats:
    """By the clock of the record's mission, NaN where that is none of those known."""
    missions = frame.text("mission_id")
    found = np.full(len(frame), np.nan)
    for name in MISSIONS:
        if name in missions.values:
            rows = np.flatnonzero(missions.codes == missions.values.index(name))
            found[rows] = np.floor(mission_sol(frame.time_us[rows], name))
    return found
