"""Looks: moments at which triggers are judged, at records and where there is none.

A vehicle that has been silent for as long as some trigger asks for, or that has missed a
communication window, sends no record to judge: so it is looked at then, with what its last record
said. Both are facts of event time, told as soon as the source has come so far: it is the newest
event time of any vehicle's record that counts. Where several sources come at different speeds, the
fastest one counts, and what it made out too early is retracted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from rules.planning.arming import ARM, UNKNOWN
from rules.planning.pending import Pending
from rules.planning.plans import Plans
from rules.tracks import NEVER
from schemas.frame import Bools, Codes, Floats, Longs, Rows

_ARM, _RECORD, _LOOK = range(3)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times between records; g of them.

    ``row``: (g,) the pending record before. ``end_us``: (g,) the time of the next one, or the first
    time to which nobody has looked yet. ``low_us``: (g,) up to here it was looked at already.
    """

    row: Rows
    end_us: Longs
    low_us: Longs


@dataclass(frozen=True, slots=True)
class Entries:
    """What triggers are followed through; m of them, by vehicle, then time.

    ``slot``, ``time_us``: (m,). ``row``: (m,) the pending record, at a look the last one before.
    ``look``: (m,) no record is there. ``silence_us``: (m,) how long the vehicle had been silent.
    ``missed``: (m,) windows missed since. ``arm``: (m,) place of the command, -1 = none is given.
    """

    slot: Rows
    time_us: Longs
    row: Rows
    look: Bools
    silence_us: Longs
    missed: Floats
    arm: Rows

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, places: Rows) -> "Entries":
        """The entries at the given places."""
        return Entries(*(getattr(self, column.name)[places] for column in fields(self)))

    def symbols(self, judged: Rows, symbol: Codes, arming: Codes) -> Codes:
        """(m, t) from those of the ``judged`` entries and of the commands (commands, t)."""
        found = np.full((len(self), symbol.shape[1]), UNKNOWN, np.int8)
        found[judged] = symbol
        commands = np.flatnonzero(self.arm >= 0)
        found[commands] = np.where(arming[self.arm[commands]] > 0, ARM, UNKNOWN)
        return found


def gaps_before(pending: Pending, rows: Rows, low_us: Longs) -> Gaps:
    """The gaps before some records; ``low_us``: (slots,) up to where each was looked at."""
    slot = pending.slot
    after = rows[rows > 0]
    after = after[slot[after - 1] == slot[after]]
    return Gaps(after - 1, pending.frame.time_us[after], low_us[slot[after]])


def gaps_behind(pending: Pending, slots: Rows, low_us: Longs, clock_us: Longs) -> Gaps:
    """The gaps from the last record of some vehicles until now; ``clock_us``: (slots,) now."""
    last = pending.last_of(len(low_us))[slots]
    known = last >= 0
    slots = slots[known]
    return Gaps(last[known], clock_us[slots] + 1, low_us[slots])


def look(
    pending: Pending, gaps: Sequence[Gaps], absent_us: Sequence[int], plans: Plans, *, missed: bool
) -> Entries:
    """The looks that are due in gaps; ``missed``: at windows missed, too."""
    row, end_us, low_us = (
        np.concatenate([getattr(g, name) for g in gaps]) for name in ("row", "end_us", "low_us")
    )
    until_us = pending.until_us[row]
    found = [(np.arange(len(row)), until_us + absent) for absent in absent_us]
    closed = _missed(pending, row, end_us, plans) if missed else []
    found.append((np.array([g for g, _ in closed], np.intp), _longs(us for _, us in closed)))
    gap = np.concatenate([g for g, _ in found])
    at_us = np.concatenate([us for _, us in found])
    due = (at_us < end_us[gap]) & (at_us > low_us[gap])
    gap, at_us = gap[due], at_us[due]
    if len(gap):  # Looks for several reasons at the same time are one.
        pairs = np.unique(np.stack([gap, at_us]), axis=1)
        gap, at_us = pairs[0].astype(np.intp), pairs[1]
    count = np.zeros(len(gap))
    for g, us in closed:
        count[(gap == g) & (at_us >= us)] += 1.0
    return Entries(
        pending.slot[row[gap]],
        at_us,
        row[gap],
        np.ones(len(gap), np.bool_),
        at_us - until_us[gap],
        count,
        np.full(len(gap), -1, np.intp),
    )


def _longs(values: object) -> Longs:
    return np.array(list(values), np.int64)  # type: ignore[call-overload]


def _missed(pending: Pending, row: Rows, end_us: Longs, plans: Plans) -> list[tuple[int, int]]:
    """(gap, time) of windows that opened and closed within a gap, by the plan in force then."""
    closes_us = plans.closes.time_us
    if not len(row) or not len(closes_us):
        return []
    # Mostly no window of any plan closes in any of the gaps.
    earliest_us = pending.until_us[row].min()
    if not ((closes_us >= earliest_us) & (closes_us < end_us.max())).any():
        return []
    ids, vehicle, since_us = (
        pending.frame.vehicle_ids,
        pending.frame.vehicle[row],
        pending.until_us[row],
    )
    first, last = (plans.in_force(ids, vehicle, us) for us in (since_us, end_us - 1))
    # In most gaps the plan stays the same, and no window of it closes.
    same = (first == last) & (
        plans.next_window(first, since_us) == plans.next_window(first, end_us - 1)
    )
    found = []
    for gap in np.flatnonzero(~same).tolist():
        since, end = int(since_us[gap]), int(end_us[gap])
        for place in range(max(int(first[gap]), 0), int(last[gap]) + 1):
            found += [(gap, us) for us in _closed(plans, place, since, end, int(last[gap]))]
    return found


def _closed(plans: Plans, place: int, since_us: int, end_us: int, last: int) -> list[int]:
    """When windows of a plan closed, of those that opened after a time, while it was in force."""
    from_us = max(since_us, int(plans.timeline.time_us[place]))
    to_us = end_us if place == last else min(end_us, int(plans.timeline.time_us[place + 1]))
    windows = slice(int(plans.closes.start[place]), int(plans.closes.start[place + 1]))
    opens_us, closes_us = plans.opens_us[windows], plans.closes.time_us[windows]
    within = (opens_us > since_us) & (closes_us >= from_us) & (closes_us < to_us)
    closed: list[int] = closes_us[within].tolist()
    return closed


def at_records(pending: Pending, rows: Rows) -> Entries:
    """The entries that are records."""
    return Entries(
        pending.slot[rows],
        pending.frame.time_us[rows],
        rows,
        np.zeros(len(rows), np.bool_),
        np.zeros(len(rows), np.int64),
        np.zeros(len(rows)),
        np.full(len(rows), -1, np.intp),
    )


def at_commands(
    slot: Rows, time_us: Longs, pending: Pending, low_us: Longs, high_us: Longs
) -> Entries:
    """The commands, (commands,) each, that lie within bounds by slot: later ones wait."""
    known = slot >= 0
    due = np.flatnonzero(known)
    due = due[(time_us[due] > low_us[slot[due]]) & (time_us[due] <= high_us[slot[due]])]
    last = pending.last_of(len(low_us))[slot[due]]
    return Entries(
        slot[due],
        time_us[due],
        last,
        np.zeros(len(due), np.bool_),
        np.zeros(len(due), np.int64),
        np.zeros(len(due)),
        due,
    )


def in_order(parts: Sequence[Entries]) -> Entries:
    """All entries, by vehicle, then time; commands before records before looks."""
    every = Entries(
        *(np.concatenate([getattr(p, column.name) for p in parts]) for column in fields(Entries))
    )
    kind = np.where(every.arm >= 0, _ARM, np.where(every.look, _LOOK, _RECORD))
    order = np.lexsort((kind, every.time_us, every.slot))
    return every.take(order)


def newest_by_slot(entries: Entries, slots: int) -> Longs:
    """(slots,) the time of each vehicle's last entry, ``NEVER`` = it has none."""
    newest = np.full(slots, NEVER)
    np.maximum.at(newest, entries.slot, entries.time_us)
    return newest
