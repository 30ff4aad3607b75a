"""An invented sea floor: smooth abyssal hills of the Clarion-Clipperton Zone's usual depth."""

import numpy as np

from scripts.scenario.track import Floats


def bottom_depth_m(longitude: Floats, latitude: Floats) -> Floats:
    """Depth of the invented bottom (m, + down) at the given degrees: 4,030 to 4,370 m."""
    ridges = 110.0 * np.sin(longitude * 40.0)  # hills run north to south, 17 km apart
    swell = 60.0 * np.cos(latitude * 25.0 + longitude * 5.0)
    return 4200.0 + ridges + swell
