"""Pending records: those that a late one may still come before, and each vehicle's last settled."""

from dataclasses import dataclass, field, replace

import numpy as np

from rules.planning.samples import slot_of
from schemas.frame import Bools, Codes, Frame, Longs, Rows, concat


def no_records() -> Frame:
    """A frame without a row."""
    return Frame(
        vehicle_ids=(),
        vehicle=np.empty(0, np.int32),
        time_us=np.empty(0, np.int64),
        kind=np.empty(0, np.int8),
        body=np.empty(0, np.int8),
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """Judged records of key groups; n of them, by vehicle, then time.

    ``key``: (n,) ascending, slot and slice of time (``rules.planning.samples.SLICES``). ``frame``:
    its ``vehicle`` is the slot. ``until_us``: (n,) the newest time of the vehicle in that slice.
    ``symbol``: (n, t) what each trigger is there.
    """

    key: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    frame: Frame = field(default_factory=no_records)
    until_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    symbol: Codes = field(default_factory=lambda: np.empty((0, 0), np.int8))

    def __len__(self) -> int:
        return len(self.key)

    @property
    def slot(self) -> Rows:
        """(n,) the vehicle of each."""
        return slot_of(self.key)

    def find(self, key: Longs) -> tuple[Rows, Bools]:
        """(k,) the place of each key or where it belongs, and whether it is there."""
        place = np.searchsorted(self.key, key)
        there = place < len(self.key)
        there[there] = self.key[place[there]] == key[there]
        return place, there

    def known_as(self, ids: tuple[str, ...]) -> "Pending":
        """The same with the ids of all slots."""
        return replace(self, frame=replace(self.frame, vehicle_ids=ids))

    def put(self, key: Longs, frame: Frame, until_us: Longs) -> "Pending":
        """With records (keys ascending) put in, in the place of those of their key."""
        place, there = self.find(key)
        kept = np.ones(len(self), np.bool_)
        kept[place[there]] = False
        old = np.flatnonzero(kept)
        every = np.concatenate([self.key[old], key])
        order = np.argsort(every, kind="stable")
        joined = concat([self.frame.take(old), frame]) if len(old) else frame
        unjudged = np.zeros((len(key), self.symbol.shape[1]), np.int8)
        return Pending(
            every[order],
            joined.take(order),
            np.concatenate([self.until_us[old], until_us])[order],
            np.concatenate([self.symbol[old], unjudged])[order],
        )

    def take(self, rows: Rows) -> "Pending":
        """The records at ascending places."""
        return Pending(
            self.key[rows], self.frame.take(rows), self.until_us[rows], self.symbol[rows]
        )

    def heard(self, rows: Rows, until_us: Longs) -> "Pending":
        """With vehicles heard of up to later times in the slices of some records."""
        later = self.until_us.copy()
        np.maximum.at(later, rows, until_us)
        return replace(self, until_us=later)

    def judged(self, rows: Rows, symbol: Codes) -> "Pending":
        """With what triggers are at some records."""
        changed = self.symbol.copy()
        changed[rows] = symbol
        return replace(self, symbol=changed)

    def last_of(self, slots: int) -> Rows:
        """(slots,) the last record of each vehicle, -1 = none."""
        last = np.full(slots, -1, np.intp)
        last[self.slot] = np.arange(len(self))
        return last
