"""Which message ids were written already: the memory that makes an append-only sink idempotent."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from schemas.frame import Longs

MERGE_AT: Final = 65_536


class SeenIds:
    """A set of message ids that only grows, at 8 bytes each.

    Ids are kept as Python's own 64-bit hash (SipHash), which differs between processes and so
    must never be stored. Two of 10 million ids share a hash with probability 3e-6.
    """

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        hashes = np.fromiter(map(hash, ids), np.int64)
        # (n,) int64, ascending: every id up to the last merge.
        self._merged: Longs = np.unique(hashes)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._merged) + len(self._recent)

    def first_time(self, ids: Sequence[bytes]) -> list[bool]:
        """For each id whether it was never given before, here or earlier; all are seen now."""
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        at = np.searchsorted(self._merged, hashes)
        # A hash past the last entry has no entry to equal: compare it with any other one.
        known = (
            self._merged[np.minimum(at, len(self._merged) - 1)] == hashes
            if len(self._merged)
            else np.zeros(len(ids), bool)
        )
        first = []
        for old, value in zip(known.tolist(), hashes.tolist(), strict=True):
            new = not old and value not in self._recent
            first.append(new)
            if new:
                self._recent.add(value)
        if len(self._recent) >= MERGE_AT:
            self._merge()
        return first

    def _merge(self) -> None:
        recent = np.fromiter(self._recent, np.int64, len(self._recent))
        # Two ascending runs: a stable sort (timsort) merges them in one linear pass.
        both = np.concatenate([self._merged, np.sort(recent)])
        both.sort(kind="stable")
        self._merged = both
        self._recent = set()
