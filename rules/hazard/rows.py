"""Rows that quantities are worked out of, and what all quantities share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rules.hazard.signals import Held, Signals
from rules.planning.plans import Plans
from rules.terrain.ground import Terrain
from schemas.frame import Codes, Floats, Ints
from schemas.hazard_profile import Profile

US_PER_S: Final = 1e6
TERRAIN: Final = "terrain"
"""Among needs: an elevation model."""
Needs = tuple[tuple[str, ...], ...]
"""Names of readings: of each of the tuples one at least is needed."""


@dataclass(slots=True)
class Rows:
    """Rows to work quantities out of, with what has been worked out of them so far.

    ``body``: (n,) codes of ``BODIES``. ``vehicle``: (n,) index into ``vehicle_ids``. ``missions``:
    plans whose paths vehicles follow, None = nobody has any.
    """

    signals: Signals
    body: Codes
    profile: Profile
    terrain: Terrain | None
    vehicle_ids: tuple[str, ...] = ()
    vehicle: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    missions: Plans | None = None
    _known: dict[str, bool] = field(default_factory=dict)

    @property
    def now(self) -> Floats:
        """(n,) event time of the rows."""
        return self.signals.now

    def has(self, needs: Needs) -> bool:
        """Whether of each of some needs one at least has ever been told, or is there."""
        return all(any(map(self._has, one)) for one in needs)

    def _has(self, name: str) -> bool:
        return self.terrain is not None if name == TERRAIN else not self.signals.silent(name)

    def once(self, name: str, make: Callable[["Rows"], None]) -> None:
        """Run ``make``, which holds signals, once for these rows."""
        if name not in self._known:
            self._known[name] = True
            make(self)


Hold = Callable[[Rows], None]
Quantity = Callable[[Rows, float], Held]


def reading(name: str) -> Quantity:
    """The reading as it was told last."""
    return lambda rows, _: rows.signals.held(name)


def oldest(*held: Held) -> Floats:
    """(n,) the time of the oldest of some readings, ``NO_TIME`` where one is missing."""
    time = held[0].time
    for one in held[1:]:
        time = np.minimum(time, one.time)
    return time


def fixes(rows: Rows) -> None:
    """Positions, told as pairs."""
    signals = rows.signals
    longitude, latitude = signals.told("longitude"), signals.told("latitude")
    signals.hold("fix_longitude", longitude)
    signals.hold("fix_latitude", latitude)


def rate(rows: Rows, name: str, column: Floats) -> Floats:
    """(n,) change a second of a signal since its value before, NaN where there is none near."""
    before = rows.signals.earlier(name)
    gap_s = (rows.now - before.time) / US_PER_S
    near = (gap_s > 0.0) & (gap_s <= rows.profile.vehicle.max_rate_gap_s)
    return np.where(near, (column - before.value) / np.where(near, gap_s, 1.0), np.nan)
