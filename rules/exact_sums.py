"""Sums that do not depend on the order of what is summed.

Each value is cut at fixed binary places into parts, and the parts of each place are summed for
themselves. Those are whole numbers below 2**30, so float64 holds their sums exactly up to 8
million values; what lies below 2**-60 is cut off each value alone.
"""

from typing import Final

import numpy as np

from schemas.frame import Bools, Floats

PLACES: Final = (2.0**30, 1.0, 2.0**-30, 2.0**-60)
"""What one unit of each part is worth."""
LIMIT: Final = 2.0**60
"""Values from here on, either sign, are left out: their parts are 0."""

_STEP: Final = 2.0**30


def parts(values: Floats) -> list[Floats | None]:
    """The parts of ``values`` (n,), finite, in the order of ``PLACES``; None = 0 in all of them."""
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if largest >= LIMIT:
        values = np.where(np.abs(values) < LIMIT, values, 0.0)
    top = None
    if largest >= _STEP:
        top = np.trunc(values / _STEP)
        values = values - top * _STEP
    whole = np.trunc(values)
    if largest and bool((whole == values).all()):
        return [top, whole, None, None]
    # Powers of two and remainders: each of these steps is exact.
    rest = (values - whole) * _STEP
    upper = np.trunc(rest)
    return [top, whole, upper, np.trunc((rest - upper) * _STEP)]


def mean(sums: Floats, count: Floats, low: Floats, high: Floats) -> Floats:
    """Means, from the sums of the parts (places, ...) and the number of values (...).

    NaN where there is no value, or one that ``LIMIT`` leaves out; ``low``, ``high``: the least
    and greatest value.
    """
    total = sums[3] * PLACES[3] + sums[2] * PLACES[2] + sums[1] + sums[0] * PLACES[0]
    known: Bools = (count > 0) & (low > -LIMIT) & (high < LIMIT)
    found = np.full(count.shape, np.nan)
    np.divide(total, count, out=found, where=known)
    # The last bit of a division may leave the range of the values.
    within: Floats = np.clip(found, low, high)
    return within
