"""What records are held against: the last record of their vehicle, and how fast things change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from schemas.frame import Floats, Frame, Longs, Rows


@dataclass(frozen=True, slots=True)
class Past:
    """The past of n records.

    ``frame``: last records, of which ``row`` (n,) says which belongs to each record, -1 = none.
    ``rates``: text of an expression -> (n,) change per second since the vehicle's record before
    that had it, NaN = not known. ``rates_since_us``: the same texts -> (n,) int64 event time of
    that record before, anything where the rate is not known.
    """

    frame: Frame
    row: Rows
    rates: Mapping[str, Floats] = field(default_factory=dict)
    rates_since_us: Mapping[str, Longs] = field(default_factory=dict)

    def no_older_than(self, age_us: int, time_us: Longs) -> "Past":
        """The past without what is more than ``age_us`` before the records, of (n,) ``time_us``."""
        oldest_us = time_us - age_us
        row = self.row
        if len(self.frame):
            row = np.where(self.frame.time_us[row] >= oldest_us, row, -1)
        rates = {
            text: np.where(self.rates_since_us[text] >= oldest_us, rate, np.nan)
            for text, rate in self.rates.items()
        }
        return Past(self.frame, row, rates, self.rates_since_us)
