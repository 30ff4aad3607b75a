"""Timelines: what holds for a vehicle from a time on, looked up for many rows at once."""

from dataclasses import dataclass

import numpy as np

from schemas.frame import Longs, Rows


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times at which something new holds, owner by owner, ascending within each.

    ``start``: (owners + 1,) first place of each. ``time_us``: (places,) int64.
    """

    start: Rows
    time_us: Longs

    @classmethod
    def none(cls) -> "Timeline":
        """That of nobody."""
        return cls(np.zeros(1, np.intp), np.empty(0, np.int64))

    def plus(self, other: "Timeline") -> "Timeline":
        """With the owners of another one after these."""
        return Timeline(
            np.append(self.start, self.start[-1] + other.start[1:]),
            np.append(self.time_us, other.time_us),
        )

    def latest(self, owner: Rows, at_us: Longs) -> Rows:
        """(n,) the latest place of each owner not after each time, -1 = none; owner -1 has none."""
        owned = np.maximum(owner, 0)
        if len(self.start) < 2:
            return np.full(len(owner), -1, np.intp)
        low, high = self.start[owned], self.start[owned + 1]
        first = low
        # Bisection of all rows at once: the answer is before ``high`` and not before ``low`` - 1.
        while (open_ := low < high).any():
            middle = (low + high) // 2
            later = open_ & (self.time_us[np.minimum(middle, len(self.time_us) - 1)] > at_us)
            high = np.where(later, middle, high)
            low = np.where(open_ & ~later, middle + 1, low)
        found: Rows = np.where((owner >= 0) & (low > first), low - 1, -1)
        return found
