"""The score: contributions of parts, and how they combine.

A part contributes nothing up to its ``safe`` value, its whole weight from its ``limit`` on, and in
between in proportion. Contributions combine as 1 - (1 - a)(1 - b)...: the chance that at least one
of independent causes strikes, were each contribution the chance of its own. So a score is in
[0, 1], never less than its greatest part, and grows with every part (never falls while none does).

What is not known widens the score. ``lower`` is what is certain: unknown parts contribute nothing.
``upper``: they contribute their whole weight. The score itself counts a part that was known once by
its last value, however old, so that a score never falls because something is no longer told; and a
part of which nothing was ever known as nothing. ``lower <= score <= upper``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.frame import Bools, Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n rows by p parts.

    ``score``, ``lower``, ``upper``: (n,) in [0, 1]. ``contributions``: (p, n), what each part
    contributes to the score. ``known``: (p, n), whether the part's value is known and fresh.
    """

    score: Floats
    lower: Floats
    upper: Floats
    contributions: Floats
    known: Bools


def contribution(value: Floats, safe: float, limit: float, weight: float) -> Floats:
    """What values (n,) contribute; 0 for NaN, the whole weight at the limit and beyond."""
    # Of NaN and 0 ``fmax`` takes 0.
    share: Floats = np.minimum(np.fmax((value - safe) / (limit - safe), 0.0), 1.0)
    return share * weight


def combined(contributions: Sequence[Floats] | Floats, count: int) -> Floats:
    """(count,) one minus the product of what each contribution leaves."""
    left = np.ones(count)
    for one in contributions:
        left = left * (1.0 - one)
    score: Floats = 1.0 - left
    return score


def scores(
    contributions: Floats, known: Bools, weights: Sequence[float], applies: Bools | None = None
) -> Scores:
    """The scores of n rows by p parts.

    ``contributions``: (p, n) of the last known values, 0 where there was none. ``known``: (p, n).
    ``applies``: (p, n), whether a part is to be reckoned with while it is unknown; None = always.
    """
    count = contributions.shape[1]
    at_least = np.where(known, contributions, 0.0)
    reckoned = ~known if applies is None else ~known & applies
    at_most = np.where(reckoned, np.array(weights)[:, None], contributions)
    return Scores(
        combined(contributions, count),
        combined(at_least, count),
        combined(at_most, count),
        contributions,
        known,
    )


def classes(
    score: Floats,
    start: np.typing.NDArray[np.intp],
    thresholds: Sequence[float],
    hysteresis: float,
    before: np.typing.NDArray[np.int8],
) -> np.typing.NDArray[np.int8]:
    """(n,) the class of each row, 0 = the lowest, with hysteresis along each run.

    A class is entered where the score reaches its threshold (ascending), and left where the score
    is below it by more than ``hysteresis``; in between it stays. ``start``: (runs + 1,) first rows
    of the runs, ending with n. ``before``: (runs,) the class before each, -1 = none: then the first
    row has the class that its score reaches.
    """
    found = np.zeros(len(score), np.int8)
    if not len(score):
        return found
    first = np.zeros(len(score), np.bool_)
    first[start[:-1]] = True
    run = np.cumsum(first) - 1
    row, top = np.arange(len(score)), score.max()
    for place, threshold in enumerate(thresholds, start=1):
        if top < threshold - hysteresis:
            break
        entered, left = score >= threshold, score < threshold - hysteresis
        # decided: the last row of the run, up to each, that settles it; -1 = what was before does.
        decided = np.maximum.accumulate(np.where(entered | left | first, row, -1))
        at_first = np.where(before >= 0, before >= place, score[start[:-1]] >= threshold)
        held = np.where(entered | left, entered, at_first[run])
        found += held[decided]
    return found
