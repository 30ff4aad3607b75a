"""Arming: when a trigger fires, and when it may again.

The model is the Limit Checker of NASA's core Flight System (github.com/nasa/LC, actionpoints): a
trigger that has been true for so many judged records in a row, or for so long, fires once and is
passive until it is armed again. What is not known (``UNKNOWN``) neither counts nor breaks a row.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from rules.tracks import NEVER
from schemas.frame import Bools, Codes, Ints, Longs, Rows
from schemas.trigger import Trigger

UNKNOWN: Final = 0
QUIET: Final = 1
"""False, but not what arms the trigger again."""
CLEAR: Final = 2
"""What arms a trigger again that waits for that."""
TRUE: Final = 3
ARM: Final = 4
"""Told to be armed."""

_BY_CLEAR, _BY_TIME, _BY_COMMAND = range(3)
_REARM: Final = {"clear": _BY_CLEAR, "time": _BY_TIME, "command": _BY_COMMAND}


@dataclass(frozen=True, slots=True)
class Arming:
    """What is remembered of s vehicles and t triggers: (s, t) each; immutable.

    ``count``: judged records in a row at which it was true. ``since_us``: event time of the first
    of them. ``fired_us``: when it fired last, ``NEVER`` = it has not. ``passive``: it may not fire.
    """

    count: Ints
    since_us: Longs
    fired_us: Longs
    passive: Bools

    @classmethod
    def fresh(cls, vehicles: int, triggers: int) -> "Arming":
        """Triggers that are armed and have seen nothing."""
        shape = (vehicles, triggers)
        return cls(
            np.zeros(shape, np.int32),
            np.full(shape, NEVER),
            np.full(shape, NEVER),
            np.zeros(shape, np.bool_),
        )

    def grown(self, vehicles: int) -> "Arming":
        """The same for more vehicles, whose triggers are fresh."""
        have, triggers = self.count.shape
        if have == vehicles:
            return self
        return Arming.joined([self, Arming.fresh(vehicles - have, triggers)])

    @classmethod
    def joined(cls, parts: "Sequence[Arming]") -> "Arming":
        """That of all vehicles of some, which have the same triggers."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def take(self, vehicles: Rows) -> "Arming":
        """That of some vehicles."""
        return Arming(*(getattr(self, f.name)[vehicles] for f in fields(self)))

    def with_triggers(self, places: Rows) -> "Arming":
        """The columns at the given places, -1 = a fresh one."""
        fresh = Arming.fresh(len(self.count), 1)
        return Arming(
            *(
                np.concatenate([getattr(self, f.name), getattr(fresh, f.name)], axis=1)[:, places]
                for f in fields(self)
            )
        )

    def put(self, vehicles: Rows, other: "Arming") -> "Arming":
        """A copy with some vehicles as ``other``, of the same shape, has them."""
        columns = [getattr(self, f.name).copy() for f in fields(self)]
        for column, f in zip(columns, fields(self), strict=True):
            column[vehicles] = getattr(other, f.name)[vehicles]
        return Arming(*columns)

    def with_pairs(
        self, at: tuple[Rows, Rows], moved: Sequence[tuple[int, int, int, bool]]
    ) -> "Arming":
        """A copy with other values, column by column, at (vehicle, trigger)."""
        columns = [getattr(self, f.name).copy() for f in fields(self)]
        for column, values in zip(columns, zip(*moved, strict=True), strict=True):
            column[at] = values
        return Arming(*columns)


class Fired(NamedTuple):
    """A trigger that fired: at which entry, which trigger, and since when it had been true."""

    entry: int
    trigger: int
    since_us: int


class Arms:
    """The triggers' ways of arming as columns, (t,) each."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self.consecutive = [trigger.consecutive for trigger in triggers]
        self.for_us = [round(trigger.for_s * 1e6) for trigger in triggers]
        self.cooldown_us = [round(trigger.cooldown_s * 1e6) for trigger in triggers]
        self.rearm_after_us = [round((t.rearm_after_s or 0.0) * 1e6) for t in triggers]
        self.rearms = [_REARM[trigger.rearm] for trigger in triggers]
        self.rearm = np.array(self.rearms, np.int8)

    def follow(
        self, arming: Arming, slot: Rows, time_us: Longs, symbol: Codes
    ) -> tuple[Arming, list[Fired]]:
        """Follow the triggers through entries.

        ``slot``, ``time_us``: (m,) vehicle and time of each entry, by vehicle, then time.
        ``symbol``: (m, t). What fired is told vehicle by vehicle, trigger by trigger.
        """
        if not len(slot):
            return arming, []
        fresh = np.ones(len(slot), np.bool_)
        fresh[1:] = slot[1:] != slot[:-1]
        start = np.flatnonzero(fresh)
        end = np.append(start[1:], len(slot))
        moving = np.argwhere(self._moving(arming, slot[start], symbol, start))
        if not len(moving):
            return arming, []
        runs, triggers = moving.T
        at = slot[start[runs]], triggers
        # As lists, all at once: taken one by one numbers of arrays cost most of a move.
        times_us = time_us.tolist()
        symbols = {trigger: symbol[:, trigger].tolist() for trigger in set(triggers.tolist())}
        columns = [getattr(arming, f.name)[at].tolist() for f in fields(arming)]
        first, behind = start[runs].tolist(), end[runs].tolist()
        moved, fired = [], []
        for k, trigger in enumerate(triggers.tolist()):
            one = _One(self, trigger, *(column[k] for column in columns))
            one.follow(times_us, symbols[trigger], first[k], behind[k])
            moved.append((one.count, one.since_us, one.fired_us, one.passive))
            fired += [Fired(entry, trigger, since_us) for entry, since_us in one.fired]
        return arming.with_pairs(at, moved), fired

    def _moving(self, arming: Arming, slots: Rows, symbol: Codes, start: Rows) -> Bools:
        """(runs, t) where anything changes: most triggers are not true, and stay so."""

        def any_of(mask: Bools) -> Bools:
            found: Bools = np.logical_or.reduceat(mask, start, axis=0)
            return found

        true, passive = any_of(symbol == TRUE), arming.passive[slots]
        armed = ~passive & (true | ((arming.count[slots] > 0) & any_of(symbol != UNKNOWN)))
        cleared = passive & any_of(symbol == CLEAR) & (self.rearm == _BY_CLEAR)
        timed = passive & true & (self.rearm == _BY_TIME)
        moving: Bools = armed | cleared | timed | any_of(symbol == ARM)
        return moving


class _One:
    """One trigger of one vehicle."""

    def __init__(
        self,
        arms: Arms,
        trigger: int,
        count: int,
        since_us: int,
        fired_us: int,
        passive: bool,  # noqa: FBT001 (a column)
    ) -> None:
        self.consecutive, self.for_us = arms.consecutive[trigger], arms.for_us[trigger]
        self.cooldown_us, self.after_us = arms.cooldown_us[trigger], arms.rearm_after_us[trigger]
        self.rearm = arms.rearms[trigger]
        self.count, self.since_us, self.fired_us, self.passive = count, since_us, fired_us, passive
        self.fired: list[tuple[int, int]] = []
        """The entries at which it fired, and since when it had been true."""

    def follow(self, times_us: list[int], symbol: list[int], begin: int, end: int) -> None:
        """Entries from ``begin`` to before ``end``, in stretches of equal symbols."""
        for what, same in groupby(symbol[begin:end]):
            behind = begin + len(list(same))
            if what == TRUE:
                self.true(times_us, begin, behind)
            elif what != UNKNOWN:
                self.other(what)
            begin = behind

    def other(self, symbol: int) -> None:
        """Entries at which the trigger is not true, or that arm it."""
        self.count = 0
        if symbol == ARM or (symbol == CLEAR and self.rearm == _BY_CLEAR):
            self.passive = False

    def true(self, times_us: Sequence[int], begin: int, end: int) -> None:
        """Entries from ``begin`` to before ``end``, at all of which it is true."""
        at = begin
        while at < end:
            if self.passive:
                if self.rearm != _BY_TIME:
                    return
                at = bisect_left(times_us, self.fired_us + self.after_us, at, end)
                if at == end:
                    return
                self.passive, self.count = False, 0
            if self.count == 0:
                self.since_us = times_us[at]
            due = max(at, at + self.consecutive - self.count - 1)
            due_us = self.since_us + self.for_us
            if self.fired_us != NEVER:
                due_us = max(due_us, self.fired_us + self.cooldown_us)
            due = max(due, bisect_left(times_us, due_us, at, end))
            if due >= end:
                self.count += end - at
                return
            self.fired.append((due, self.since_us))
            self.fired_us, self.passive, self.count = times_us[due], True, 0
            at = due + 1
