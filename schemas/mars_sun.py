"""The sun as seen from Mars: its season and its sky.

Allison & McEwen, "A post-Pathfinder evaluation of areocentric solar coordinates with improved
timing recipes for Mars seasonal/diurnal climate studies", Planet. Space Sci. 48 (2000) 215-235,
with the constants of the Mars24 algorithm page of the first author's institute, steps B-1 to D-6
(giss.nasa.gov/tools/mars24/help/algorithm.html); good to about 0.01 deg of solar longitude and some
seconds of true solar time. Mean solar time is that of ``schemas.mars_time``.

Latitudes of places are planetocentric, the sun's declination is planetographic. Refraction is left
out: it is below a hundredth of a degree on Mars.
"""

from typing import Final

import numpy as np

from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import Floats, Longs
from schemas.mars_time import SOL_S, days_since_2000, sol_date
from schemas.sun import Season, Sky

# Perturbations by other planets (step B-3): amplitude deg, period Julian years, phase deg.
_AMPLITUDE: Final = np.array([0.0071, 0.0057, 0.0039, 0.0037, 0.0021, 0.0020, 0.0018])
_PERIOD: Final = np.array([2.2353, 2.7543, 1.1177, 15.7866, 2.1354, 2.4694, 32.8493])
_PHASE: Final = np.array([49.409, 168.173, 191.837, 21.736, 15.704, 95.528, 49.095])


def season(time_us: Longs) -> Season:
    """The season at UTC times."""
    days = days_since_2000(time_us)
    mean_anomaly = np.radians(19.3871 + 0.52402073 * days)
    angle = np.radians(0.985626 * days[..., None] / _PERIOD + _PHASE)
    centre = (10.691 + 3.0e-7 * days) * np.sin(mean_anomaly)
    for times, amplitude in ((2, 0.623), (3, 0.050), (4, 0.005), (5, 0.0005)):
        centre = centre + amplitude * np.sin(times * mean_anomaly)
    for term in range(len(_AMPLITUDE)):
        centre = centre + _AMPLITUDE[term] * np.cos(angle[..., term])
    longitude = np.mod(270.3871 + 0.524038496 * days + centre, 360.0)
    ls = np.radians(longitude)
    equation_deg = 2.861 * np.sin(2 * ls) - 0.071 * np.sin(4 * ls) + 0.002 * np.sin(6 * ls) - centre
    declination = np.degrees(np.arcsin(0.42565 * np.sin(ls))) + 0.25 * np.sin(ls)
    return Season(longitude, equation_deg / 15.0, declination)


def _mean_time_h(time_us: Longs) -> Floats:
    hours: Floats = sol_date(time_us) * 24.0
    return hours


MARS: Final = Sky(ELLIPSOIDS["mars"], SOL_S, 0.0, season, _mean_time_h)
"""The sun rises and sets where the middle of its disc is on the horizon; its upper limb is 0.18 deg
higher. Solar times are LMST and LTST."""
