"""What is seen of a body during a window of ticks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rules.proximity.limits import Limits
from rules.proximity.samples import Samples
from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import Floats, where


@dataclass(frozen=True, slots=True)
class Window:
    """The samples at the ticks ``first`` to ``last`` of a body, sorted by vehicle, then tick.

    ``first`` was judged before: encounters that are not lost are known there. ``ids``: (slots,)
    str array. ``place_m``: (3, samples) as of ``Ellipsoid.surface_m``.
    """

    limits: Limits
    body: str
    ids: NDArray[np.str_]
    samples: Samples
    place_m: Floats
    first: int
    last: int

    @property
    def ticks(self) -> int:
        """Number of ticks judged here."""
        return self.last - self.first


def window(
    limits: Limits, body: str, ids: tuple[str, ...], samples: Samples, ticks: tuple[int, int]
) -> Window:
    """The window of the ticks ``(first, last)``."""
    first, last = ticks
    rows = where((samples.tick >= first) & (samples.tick <= last))
    rows = rows[np.lexsort((samples.tick[rows], samples.slot[rows]))]
    samples = samples.take(rows)
    place_m = ELLIPSOIDS[body].surface_m(*samples.values[:2])
    return Window(limits, body, np.array(ids), samples, place_m, first, last)
