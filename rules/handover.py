"""Handover: what becomes of open alarms when their rule changes.

A rule's version is judged until just before its ``effective_to``, the next from its
``effective_from`` on. At the first record from then on the open alarms of the old one are judged
again: where the next version's condition holds in that record, the alarm goes on under it, the
same alarm, told as updated; its ``for`` is not waited for once more. Else it is cleared. Both have
the reason ``rule_changed``. Alarms go on between versions of one sort, on time or not.
"""

from typing import NamedTuple

import numpy as np

from rules.alarm_events import LATER, clear_alarms, raise_alarms, update_alarm
from rules.conditions import Conditions, StayVerdicts
from rules.rulebook import RuleBook
from rules.tracks import Tracks
from schemas.event import Event
from schemas.frame import Rows, where


class Turns(NamedTuple):
    """Rows at which conditions take a turn: (c,) each.

    ``begun``: where each began, -1 = before these. ``due``: where its alarm is to be raised,
    ``LATER`` = not among these. ``after``: the row that ends it, -1 = none.
    """

    begun: Rows
    due: Rows
    after: Rows


def tell_alarms(
    book: RuleBook, now: Conditions, tracks: Tracks, turns: Turns, on_stays: StayVerdicts
) -> list[Event]:
    """The events of alarms that are raised, updated and cleared; gives alarms their id in ``now``.

    Of an alarm that goes on under another version of its rule ``now`` tells since when it has.
    """
    begun, due, after = turns
    ended = where(after >= 0)
    ended = ended[tracks.frame.time_us[after[ended]] >= book.to_us[now.rule[ended]]]
    pairs = _pairs(book, now, begun, after, ended) if len(ended) else []
    if not pairs:
        events = raise_alarms(book, now, tracks, due)
        return events + clear_alarms(book, now, tracks, after, on_stays)
    following = np.array([new for _, new in pairs], np.intp)
    events = raise_alarms(book, now, tracks, _but(due, following, LATER))
    moved = []
    for old, new in sorted(pairs, key=lambda pair: int(begun[pair[1]])):
        if now.alarm_id[old] != "":
            now.alarm_id[new] = now.alarm_id[old]
            now.since_us[new], now.since_fix[new] = now.since_us[old], now.since_fix[old]
            events.append(update_alarm(book, now, tracks, (new, int(begun[new])), old))
            moved.append(old)
        else:
            others = np.delete(np.arange(len(due)), new)
            events += raise_alarms(book, now, tracks, _but(due, others, LATER))
    cleared = _but(after, np.array(moved, np.intp), -1)
    return events + clear_alarms(book, now, tracks, cleared, on_stays)


def _pairs(
    book: RuleBook, now: Conditions, begun: Rows, after: Rows, ended: Rows
) -> list[tuple[int, int]]:
    """The conditions that ended with their rule, and that of the next version which began there."""

    def key(i: int, row: int) -> tuple[str, int, int, int]:
        return book.rules[now.rule[i]].rule.id, int(now.slot[i]), int(now.zone[i]), row

    began = {key(i, int(begun[i])): i for i in where(begun >= 0).tolist()}
    pairs = ((i, began.get(key(i, int(after[i])))) for i in ended.tolist())
    return [(old, new) for old, new in pairs if new is not None and now.rule[old] != now.rule[new]]


def _but(rows: Rows, places: Rows, value: int) -> Rows:
    """The rows with another value at some places."""
    changed = rows.copy()
    changed[places] = value
    return changed
