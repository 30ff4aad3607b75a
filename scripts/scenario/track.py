"""What one simulated vehicle reports, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
SPAN_S: Final = 96 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The n records of one vehicle in event-time order.

    ``time_ms``: (n,) int64, milliseconds since ``START``, strictly increasing. ``arrival_s``: (n,)
    seconds since ``START`` at which the record reaches the shore, never decreasing. ``numbers``
    and ``sensors``: field name -> (n,) float64, already rounded as sent, NaN = not sent.
    ``status`` and ``mission_id``: n strings.
    """

    vehicle_id: str
    kind: str
    body: str
    time_ms: Longs
    arrival_s: Floats
    status: Sequence[str]
    mission_id: Sequence[str]
    numbers: dict[str, Floats]
    sensors: dict[str, Floats] = field(default_factory=dict)


def sample_times_ms(count: int, rng: Generator) -> Longs:
    """``count`` strictly increasing times over the whole span, unevenly spaced as real clocks are.

    Milliseconds since ``START``, (count,) int64; ``count`` is at most a hundred a second.
    """
    # One sample in each of `count` equal slots, in the slot's first 60 %: no two can meet.
    slots = (np.arange(count) + 0.6 * rng.random(count)) / count
    return (slots * SPAN_S * 1000.0).astype(np.int64)
