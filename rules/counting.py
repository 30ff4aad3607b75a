"""Counting: in how many of the latest records a condition held, along cells of rules on time."""

from dataclasses import dataclass

import numpy as np

from rules.expressions import FALSE, TRUE, UNKNOWN
from rules.holding import Sequences
from rules.timers import Counted
from schemas.frame import Bools, Codes, Longs, Rows, where


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted: (k,) of each sequence ``count`` records within ``within_us``; 0 = nothing.

    ``known``: (k,) tuples of ``Counted``, from before.
    """

    count: Longs
    within_us: Longs
    known: np.ndarray


@dataclass(frozen=True, slots=True)
class Hits:
    """Records that count, of all sequences one behind another, oldest first; h of them.

    ``time_us``: (h,). ``cell``: (h,) where it is, -1 = from before, in ``known``: (h,). ``nth``:
    (m,) for each cell the one by which the count is reached, -1 = it is not.
    """

    time_us: Longs
    cell: Rows
    known: np.ndarray
    nth: Rows


def hits_of(rows: Sequences, counts: Bools, out: Bools, count: Count, *, certain: bool) -> Hits:
    """The records that count, and where the count is reached.

    ``counts``: (m,) which cells count; ``out``: (m,) cells that end the counting of what was
    before. ``certain``: of those from before only the certain ones count.
    """
    from_before = [
        (k, one)
        for k in where(count.count > 0).tolist()
        for one in count.known[k]
        if one.certain or not certain
    ]
    here = where(counts)
    of = np.concatenate([np.array([k for k, _ in from_before], np.intp), rows.of[here]])
    known = np.empty(len(of), object)
    known[: len(from_before)] = [one for _, one in from_before]
    old_us = np.array([one.time_us for _, one in from_before], np.int64)
    order = np.argsort(of, kind="stable")
    time_us = np.concatenate([old_us, rows.time_us[here]])[order]
    cell = np.concatenate([np.full(len(from_before), -1), here])[order]
    base = np.searchsorted(of[order], np.arange(len(rows)))
    old = np.bincount(of[: len(from_before)], minlength=len(rows))
    so_far = np.cumsum(counts)
    in_sequence = so_far - np.concatenate([[0], so_far])[rows.start[:-1]][rows.of]
    nth = base[rows.of] + old[rows.of] + in_sequence - count.count[rows.of]
    reached = (count.count[rows.of] > 0) & (nth >= base[rows.of])
    at = np.where(reached, nth, 0)
    if len(time_us):
        reached &= time_us[at] >= rows.time_us - count.within_us[rows.of]
        reached &= (cell[at] > (ended := rows.latest(out))) | (ended < 0)
    return Hits(time_us, cell, known[order], np.where(reached, nth, -1))


def counted(rows: Sequences, code: Codes, out: Bools, count: Count) -> tuple[Codes, Hits]:
    """(m,) whether the count is reached at each cell of sequences that count; the certain hits."""
    holds, may_hold = code == TRUE, code != FALSE
    counting = count.count[rows.of] > 0
    sure = hits_of(rows, holds & counting, out, count, certain=True)
    maybe = hits_of(rows, may_hold & counting, out, count, certain=False)
    reached = np.where(maybe.nth >= 0, np.int8(UNKNOWN), np.int8(FALSE))
    reached[sure.nth >= 0] = TRUE
    return np.where(counting, reached, code), sure


def still_counted(
    known: tuple[Counted, ...], new: list[Counted], since_us: int, count: int
) -> tuple[Counted, ...]:
    """What of the records counted before and of new ones may still matter, oldest first."""
    recent = [one for one in (*known, *new) if one.time_us >= since_us]
    sure = [one for one in recent if one.certain][-count:]
    maybe = [one for one in recent if not one.certain][-count:]
    return tuple(one for one in recent if one in sure or one in maybe)
