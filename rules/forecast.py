"""Forecasts: where a quantity will be at a horizon, and when it will reach a limit.

Two straight lines through a vehicle's latest samples, each with an interval of stated confidence:
least squares with Student's t, as ever where errors are independent and alike (Draper and Smith,
Applied Regression Analysis, 3rd ed., section 1.4: interval for a new observation); and Theil and
Sen's (P. K. Sen, J. Am. Stat. Assoc. 63, 1968, sections 3 and 6), the median of the slopes of all
pairs of samples, which samples that are simply wrong hardly move.

The interval of the first is exact for normal errors. That of the second is not: of 20 samples with
normal errors an interval of 90 % held 86 to 94 % of the truth, of 8 samples 83 to 92 %, less near
now than far ahead (measured, ``tests/unit/test_forecast.py``).

Pure functions of columns: each row's answer rests on its own samples alone, summed in one order,
so that it is the same to the bit whatever other rows come with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from math import atan, cos, pi, sin, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

from schemas.frame import Bools, Floats, Rows

SAMPLES: Final = 34
"""Samples a forecast rests on at most: one in each 32nd of the time looked back on, and the record
itself. The width of the columns never varies: sums are then made in one order."""
MIN_SAMPLES: Final = 5
MIN_SPAN: Final = 0.25
"""Fewer samples, or those of a smaller part of the time looked back on, tell nothing."""
_MAD_OF_SIGMA: Final = 1.4826
"""Standard deviation over median absolute deviation of normal errors."""
_BLOCK: Final = 2_048


@dataclass(frozen=True, slots=True)
class Prospect:
    """Forecasts for n rows, (n,) float64 each, NaN = not known.

    ``value``, ``low``, ``high``: at the horizon, with the interval. ``per_h``: change in an hour.
    ``reaches_s``: seconds until the interval first touches the limit, ``inf`` = not before the
    horizon. ``horizon_s``: how far ahead it looks. ``samples``: how many it rests on.
    """

    value: Floats
    low: Floats
    high: Floats
    per_h: Floats
    reaches_s: Floats
    horizon_s: Floats
    samples: Floats

    def among(self, rows: Rows, count: int) -> "Prospect":
        """The same where they are ``rows`` of ``count``; nothing is known of the others."""
        if len(rows) == count:
            return self
        columns = np.full((len(fields(self)), count), np.nan)
        for column, one in zip(columns, fields(self), strict=True):
            column[rows] = getattr(self, one.name)
        return Prospect(*columns)


def nothing_known(count: int) -> Prospect:
    """Forecasts of rows of which none is asked for."""
    unknown = np.full(count, np.nan)
    return Prospect(unknown, unknown, unknown, unknown, unknown, unknown, unknown)


@dataclass(frozen=True, slots=True)
class _Line:
    """Lines ``at + slope * t`` with their intervals; t in seconds from now, (n,) each.

    The edges of the interval are ``at + slope_low * t - spread(t)`` and ``at + slope_high * t +
    spread(t)``, with ``spread(t)`` squared = ``width * (1 + const + (t - centre)**2 * curve)``.
    """

    at: Floats
    slope: Floats
    slope_low: Floats
    slope_high: Floats
    width: Floats
    const: Floats
    centre: Floats
    curve: Floats

    def spread(self, t_s: Floats) -> Floats:
        """Half the width of the interval about its edges' lines."""
        squared = self.width * (1.0 + self.const + (t_s - self.centre) ** 2 * self.curve)
        spread: Floats = np.sqrt(np.maximum(squared, 0.0))
        return spread


Fit = Callable[[Floats, Floats, float], _Line]


def forecast(  # noqa: PLR0913 (each a column or a choice of its own)
    method: str,
    t_s: Floats,
    values: Floats,
    *,
    horizon_s: Floats,
    limit: Floats,
    confidence: float,
    look_back_s: float,
) -> Prospect:
    """Forecasts of n rows by ``linear`` or ``robust``.

    ``t_s``, ``values``: (n, SAMPLES) seconds from the row's time, none above 0, and values there;
    NaN in either = no sample. ``horizon_s``, ``limit``: (n,) NaN = none.
    """
    none = np.isnan(t_s) | np.isnan(values)
    t_s, values = np.where(none, np.nan, t_s), np.where(none, np.nan, values)
    count = (~none).sum(axis=1)
    oldest = np.where(none, 0.0, t_s).min(axis=1, initial=0.0)
    newest = np.where(none, -np.inf, t_s).max(axis=1, initial=-np.inf)
    enough = (count >= MIN_SAMPLES) & (newest - oldest >= MIN_SPAN * look_back_s)
    out = np.full((6, len(count)), np.nan)
    fit: Fit = {"linear": _least_squares, "robust": _theil_sen}[method]
    rows = np.flatnonzero(enough)
    for begin in range(0, len(rows), _BLOCK):
        block: Rows = rows[begin : begin + _BLOCK]
        line = fit(t_s[block], values[block], confidence)
        out[:, block] = _told(line, horizon_s[block], limit[block])
    value, low, high, per_h, reaches_s, ahead_s = out
    found = count.astype(np.float64)
    return Prospect(value, low, high, per_h, reaches_s, ahead_s, found)


def _told(line: _Line, horizon_s: Floats, limit: Floats) -> Floats:
    """(6, n) the columns of a prospect but ``samples``."""
    spread = line.spread(horizon_s)
    value = line.at + line.slope * horizon_s
    low = line.at + line.slope_low * horizon_s - spread
    high = line.at + line.slope_high * horizon_s + spread
    reaches_s = _first_touch(line, limit)
    reaches_s = np.where(reaches_s <= horizon_s, reaches_s, np.inf)
    reaches_s[np.isnan(limit) | np.isnan(horizon_s)] = np.nan
    return np.stack([value, low, high, line.slope * 3600.0, reaches_s, horizon_s])


def _first_touch(line: _Line, limit: Floats) -> Floats:
    """(n,) the first time from now on at which the nearer edge is at the limit, inf = never."""
    above = line.at >= limit
    slope = np.where(above, line.slope_low, line.slope_high)
    away = line.at - limit
    # Where the edge is at the limit, (away + slope t)**2 = spread(t)**2: a t**2 + b t + c = 0.
    a = slope**2 - line.width * line.curve
    b = 2.0 * (away * slope + line.width * line.curve * line.centre)
    c = away**2 - line.width * (1.0 + line.const + line.centre**2 * line.curve)
    # (b**2 - 4 a c) / 4 without taking near equals from each other: 0 where there is no spread.
    inner = line.width * (line.curve * (away + slope * line.centre) ** 2 + (1.0 + line.const) * a)
    root = 2.0 * np.sqrt(np.maximum(inner, 0.0))
    with np.errstate(all="ignore"):
        # Both roots, as Numerical Recipes, section 5.6, has them.
        q = -0.5 * (b + np.copysign(root, b))
        times = np.stack([q / a, c / q])
    times[~(times > 0.0)] = np.inf
    first = np.where(inner < 0.0, np.inf, times.min(axis=0))
    touch: Floats = np.where(c <= 0.0, 0.0, first)
    return touch


def _least_squares(t_s: Floats, values: Floats, confidence: float) -> _Line:
    there = ~np.isnan(t_s)
    count = there.sum(axis=1).astype(np.float64)
    centre = np.where(there, t_s, 0.0).sum(axis=1) / count
    mean = np.where(there, values, 0.0).sum(axis=1) / count
    dt = np.where(there, t_s - centre[:, None], 0.0)
    dv = np.where(there, values - mean[:, None], 0.0)
    square = (dt * dt).sum(axis=1)
    slope = (dt * dv).sum(axis=1) / square
    rest = dv - slope[:, None] * dt
    variance = (rest * rest).sum(axis=1) / (count - 2.0)
    quantile = _quantiles(confidence, count)
    return _Line(
        at=mean - slope * centre,
        slope=slope,
        slope_low=slope,
        slope_high=slope,
        width=quantile**2 * variance,
        const=1.0 / count,
        centre=centre,
        curve=1.0 / square,
    )


def _theil_sen(t_s: Floats, values: Floats, confidence: float) -> _Line:
    i, j = _PAIRS
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = np.sort((values[:, j] - values[:, i]) / (t_s[:, j] - t_s[:, i]), axis=1)
    count = (~np.isnan(t_s)).sum(axis=1)
    pairs = count * (count - 1) // 2
    every = np.arange(len(count))
    slope = (slopes[every, (pairs - 1) // 2] + slopes[every, pairs // 2]) / 2.0
    # The interval of the slope: ranks about the median by the variance of Kendall's score.
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half = z * np.sqrt(count * (count - 1) * (2 * count + 5) / 18.0)
    lowest = np.clip(np.floor((pairs - half) / 2.0), 0, pairs - 1).astype(np.intp)
    highest = np.clip(np.ceil((pairs + half) / 2.0), 0, pairs - 1).astype(np.intp)
    at = _median(values - slope[:, None] * t_s, count)
    rest = np.abs(values - at[:, None] - slope[:, None] * t_s)
    # The line was laid through the samples: of few, the rest is less than the errors are.
    sigma = _MAD_OF_SIGMA * _median(rest, count) * count / (count - 2.0)
    zero = np.zeros(len(count))
    return _Line(
        at=at,
        slope=slope,
        slope_low=slopes[every, lowest],
        slope_high=slopes[every, highest],
        width=(_quantiles(confidence, count) * sigma) ** 2,
        const=1.0 / count,
        centre=zero,
        curve=zero,
    )


_PAIRS: Final = np.triu_indices(SAMPLES, k=1)


def _median(values: Floats, count: Rows) -> Floats:
    """(n,) the median of each row's ``count`` numbers; the others are NaN, which sort last."""
    ordered, every = np.sort(values, axis=1), np.arange(len(count))
    median: Floats = (ordered[every, (count - 1) // 2] + ordered[every, count // 2]) / 2.0
    return median


def _quantiles(confidence: float, count: Floats | Rows) -> Floats:
    """(n,) of Student's t for a line through so many samples."""
    by_count = [0.0] * 3 + [
        student_quantile(0.5 + confidence / 2, n - 2) for n in range(3, SAMPLES + 1)
    ]
    return np.array(by_count)[count.astype(np.intp)]


@cache
def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t for a whole number of degrees of freedom, ``probability`` >= 1/2.

    By bisection of the distribution's finite series (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        high *= 2.0
    for _ in range(200):
        middle = (low + high) / 2
        if _within(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """The probability that Student's t is between -t and t."""
    theta = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = total = (cos(theta) if freedom > 1 else 0.0) if odd else 1.0
    for k in range(3 if odd else 2, freedom, 2):
        term *= cos(theta) ** 2 * (k - 1) / k
        total += term
    if odd:
        return 2.0 / pi * (theta + sin(theta) * total)
    return sin(theta) * total


def horizon_of(most_s: float, until_s: Floats) -> Floats:
    """(n,) how far ahead to look: to ``until_s``, ``most_s`` at most and where that is unknown.

    What has passed already is not looked ahead to: NaN.
    """
    known: Bools = ~np.isnan(until_s)
    ahead = np.minimum(np.where(known, until_s, most_s), most_s)
    horizon: Floats = np.where(ahead >= 0.0, ahead, np.nan)
    return horizon
