"""Samples: what forecasts look back on, by vehicle and slice of event time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rules.forecast import SAMPLES, Prospect, forecast, horizon_of, nothing_known
from rules.planning.triggers import TriggerBook
from rules.planning.vocabulary import UNTIL
from schemas.frame import Bools, Floats, Frame, Longs, Rows
from schemas.trigger import Forecast

_SLICE_BITS: Final = 37
SLICES: Final = 1 << _SLICE_BITS
"""Slices of a tenth of a second until 2200 are fewer: slot and slice make one number."""
_PARTS: Final = SAMPLES - 2
_LIMITS: Final = {"reserve": "plan.reserve_pct", "max_temperature": "plan.max_temperature_c"}


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of the vehicles of key groups; n of them.

    ``key``: (n,) int64 ascending, slot times ``SLICES`` plus slice. ``time_us``: (n,).
    ``values``: (series, n), NaN = none; ``series``: what each row is of.
    """

    series: tuple[str, ...] = ()
    key: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    time_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    values: Floats = field(default_factory=lambda: np.empty((0, 0)))

    def of_series(self, series: tuple[str, ...]) -> "Samples":
        """The same samples of other series; those that were not kept have no value."""
        if series == self.series:
            return self
        values = np.full((len(series), len(self.key)), np.nan)
        for place, name in enumerate(series):
            if name in self.series:
                values[place] = self.values[self.series.index(name)]
        return Samples(series, self.key, self.time_us, values)

    def put(self, key: Longs, time_us: Longs, values: Floats) -> "Samples":
        """With samples (keys ascending, each once) put in, in the place of those of their key."""
        place = np.searchsorted(self.key, key)
        there = place < len(self.key)
        there[there] = self.key[place[there]] == key[there]
        had, old, new = self.time_us, self.values, ~there
        if there.any():
            had, old = had.copy(), old.copy()
            had[place[there]] = time_us[there]
            old[:, place[there]] = values[:, there]
        at = place[new]
        return Samples(
            self.series,
            np.insert(self.key, at, key[new]),
            np.insert(had, at, time_us[new]),
            np.insert(old, at, values[:, new], axis=1),
        )

    def pruned(self, forecasts: Iterable[Forecast], settled_us: Longs) -> "Samples":
        """Without what no forecast from ``settled_us`` (slots,) on can rest on."""
        slot = slot_of(self.key)
        age_us = settled_us[slot] - self.time_us
        kept = age_us < 0
        for one in forecasts:
            step_us = _step_us(one)
            reach_us = round(one.look_back_s * 1e6) + step_us
            kept |= self._first(step_us) & (age_us <= reach_us)
        rows = np.flatnonzero(kept)
        return Samples(self.series, self.key[rows], self.time_us[rows], self.values[:, rows])

    def _first(self, step_us: int) -> Bools:
        """(n,) which samples are their vehicle's first in each ``step_us``."""
        slot, step = slot_of(self.key), self.time_us // step_us
        first = np.ones(len(self.key), np.bool_)
        first[1:] = (slot[1:] != slot[:-1]) | (step[1:] != step[:-1])
        return first

    def looked_back(self, one: Forecast, key: Longs, at_us: Longs) -> tuple[Floats, Floats]:
        """(n, SAMPLES) seconds before ``at_us`` and values of what a forecast rests on; NaN = none.

        ``key``: (n,) of the sample at the time itself, which is in it.
        """
        values = self.values[self.series.index(one.of)]
        first = np.flatnonzero(self._first(_step_us(one)))
        here = np.searchsorted(self.key, key)
        end = np.searchsorted(first, here, side="right")
        place = end[:, None] - 1 - np.arange(SAMPLES - 1)
        back = np.concatenate([here[:, None], first[np.maximum(place, 0)]], axis=1)
        t_us = self.time_us[back] - at_us[:, None]
        kept = (place >= 0) & (back[:, 1:] != here[:, None])
        kept &= slot_of(self.key[back[:, 1:]]) == slot_of(key)[:, None]
        kept &= t_us[:, 1:] > -round(one.look_back_s * 1e6)
        there = np.concatenate([np.ones((len(key), 1), np.bool_), kept], axis=1)
        return np.where(there, t_us / 1e6, np.nan), np.where(there, values[back], np.nan)


def slot_of(key: Longs) -> Rows:
    """The vehicle that each key is of, in its shape: a shift takes a tenth of a division."""
    slot: Rows = key >> _SLICE_BITS
    return slot


def _step_us(one: Forecast) -> int:
    return max(round(one.look_back_s * 1e6) // _PARTS, 1)


def series_of(series: tuple[str, ...], frame: Frame, columns: dict[str, Floats]) -> Floats:
    """(series, n) the values at the rows of a frame with derived ``columns``."""
    found = np.full((len(series), len(frame)), np.nan)
    for place, name in enumerate(series):
        if name in columns:
            found[place] = columns[name]
        elif name.startswith("sensors."):
            found[place] = frame.sensor(name.removeprefix("sensors."))
        else:
            found[place] = frame.number(name)
    return found


def forecasts_of(
    book: TriggerBook,
    samples: Samples,
    key: Longs,
    at_us: Longs,
    columns: dict[str, Floats],
    due: Bools,
) -> dict[str, Prospect]:
    """By column prefix what the triggers forecast at n entries whose samples are in ``samples``.

    ``key``: (n,) of the samples; ``columns``: (n,) each. ``due``: as of ``TriggerBook.asked``.
    """
    found = {}
    for prefix, one in book.forecasts.items():
        rows = np.flatnonzero(book.asked(f"{prefix}.", due))
        if not len(rows):
            found[prefix] = nothing_known(len(key))
            continue
        nothing = np.full(len(rows), np.nan)
        t_s, values = samples.looked_back(one, key[rows], at_us[rows])
        until_s = columns[UNTIL[one.until]][rows] if one.until in UNTIL else nothing
        if isinstance(one.limit, str):
            limit = columns[_LIMITS[one.limit]][rows]
        else:
            limit = nothing if one.limit is None else np.full(len(rows), one.limit)
        found[prefix] = forecast(
            one.method,
            t_s,
            values,
            horizon_s=horizon_of(one.horizon_s, until_s),
            limit=limit,
            confidence=one.confidence,
            look_back_s=one.look_back_s,
        ).among(rows, len(key))
    return found
