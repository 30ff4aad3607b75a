"""Conditions on time as columns over the rules of a book."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rules.tracks import FOREVER
from schemas.frame import Bools, Longs
from schemas.rule import Rule


@dataclass(frozen=True, slots=True)
class RuleTimes:
    """What rules say of time: (rules,) each, microseconds of event time.

    ``count``: 0 = does not count. ``within_us``: of ``count`` or of ``then``. ``keep_us``: how long
    an alarm goes on. ``once``: one alarm a visit. ``clears``: has ``clear_when``. ``leads``: is a
    sequence. ``absent_us``: ``FOREVER`` = says nothing; ``by_us``: the same.
    """

    count: Longs
    within_us: Longs
    keep_us: Longs
    once: Bools
    clears: Bools
    leads: Bools
    absent_us: Longs
    by_us: Longs

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> "RuleTimes":
        """The columns of these rules."""

        def longs(value: Callable[[Rule], int | None], default: int) -> Longs:
            found = [value(rule) for rule in rules]
            return np.array([default if one is None else one for one in found], np.int64)

        def bools(value: Callable[[Rule], bool]) -> Bools:
            return np.array([value(rule) for rule in rules], np.bool_)

        return cls(
            count=longs(lambda rule: rule.count, 0),
            within_us=longs(lambda rule: _us(rule.within_s), 0),
            keep_us=longs(lambda rule: _us(rule.keep_firing_for_s), 0),
            once=bools(lambda rule: rule.once_per_visit is True),
            clears=bools(lambda rule: rule.clear_when is not None),
            leads=bools(lambda rule: rule.then is not None),
            absent_us=longs(lambda rule: _us(rule.absent_for_s), FOREVER),
            by_us=longs(lambda rule: rule.absent_by_us, FOREVER),
        )


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
