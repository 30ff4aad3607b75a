"""Leads: when the first condition of a sequence last held, before each record of the vehicle.

`when` and `then` each ask about the record alone or about the zones it is in; the first one is the
vehicle's, in whichever zone it held, so that a sequence may go from one zone to another.
"""

from dataclasses import dataclass

import numpy as np

from rules.conditions import StayVerdicts
from rules.expressions import FALSE, TRUE, UNKNOWN
from rules.holding import Sequences
from rules.rulebook import RuleBook
from rules.timers import Sightings, message_ids
from rules.tracks import NEVER, Tracks
from schemas.frame import Codes, Longs, Rows, rfc3339, where


@dataclass(frozen=True, slots=True)
class Leads:
    """The first conditions of sequences along tracks.

    ``codes``: by rule, (n,) what the first condition says of each row. ``known_us``,
    ``known_maybe_us``: by rule, (runs,) when it held, may have held, before these rows. ``known``:
    the sightings then, ``sightings``: after them.
    """

    rows: Sequences
    codes: dict[int, Codes]
    known_us: dict[int, Longs]
    known_maybe_us: dict[int, Longs]
    known: Sightings
    sightings: Sightings

    def known_fix(self, rule: int, slot: int) -> str:
        """What names the record before these rows in which it last held."""
        [place] = where((self.known.rule == rule) & (self.known.slot == slot))
        named = str(self.known.message_id[place])
        return named or rfc3339(int(self.known.time_us[place]))

    def before(self, rule: int, row: Rows) -> tuple[Longs, Longs, Rows]:
        """(m,) when it last held, may have held, before each row, and the row where it held."""
        code, run = self.codes[rule], self.rows.of
        held = self.rows.latest(code == TRUE, before=True)
        maybe = self.rows.latest(code == UNKNOWN, before=True)
        held_us = np.where(held >= 0, self.rows.time_us[held], self.known_us[rule][run])
        maybe_us = np.where(maybe >= 0, self.rows.time_us[maybe], self.known_maybe_us[rule][run])
        return held_us[row], maybe_us[row], held[row]


def leads_of(book: RuleBook, known: Sightings, tracks: Tracks, on_stays: StayVerdicts) -> Leads:
    """Follow the first conditions of sequences along tracks.

    ``known``: the sightings of sequences of these vehicles before; those of others stay out.
    """
    rows = Sequences(tracks.start, tracks.run, tracks.frame.time_us)
    rules = np.flatnonzero(book.times.leads).tolist()
    codes = {i: _first(book, i, tracks, on_stays) for i in rules}
    run_of_slot = tracks.run_of_slot(int(tracks.slot.max(initial=-1)) + 1)
    known_us, known_maybe_us, after = {}, {}, Sightings()
    for i in rules:
        mine = known.take(where(known.rule == i))
        run = run_of_slot[mine.slot]
        known_us[i] = _by_run(len(tracks.slot), run, mine.time_us)
        known_maybe_us[i] = _by_run(len(tracks.slot), run, mine.maybe_us)
        after = after.plus(_after(i, codes[i], tracks, rows, (mine, run)))
    return Leads(rows, codes, known_us, known_maybe_us, known, after)


def any_on_stays(code: Codes, row: Rows, rows: int) -> Codes:
    """(rows,) the code of pairs by row: TRUE where one is, else UNKNOWN where one is not known."""
    found = np.zeros(rows, np.int8)
    found[row[code >= UNKNOWN]] = UNKNOWN
    found[row[code == TRUE]] = TRUE
    return found


def _first(book: RuleBook, rule: int, tracks: Tracks, on_stays: StayVerdicts) -> Codes:
    """(n,) what the first condition says of each row."""
    compiled, frame = book.rules[rule], tracks.frame
    first = compiled.first
    if first is None:
        raise TypeError(f"rule {compiled.rule.id} is no sequence")
    if compiled.first_uses_zone:
        row, zone = on_stays.row, on_stays.zone
        code = book.judge_one_on_stays(rule, first, frame, row, zone, tracks.past)
        return any_on_stays(code, row, len(frame))
    code = book.judge_one(rule, first, frame, tracks.past)
    return np.where(code > UNKNOWN, np.int8(UNKNOWN), code)


def _by_run(runs: int, run: Rows, time_us: Longs) -> Longs:
    by_run = np.full(runs, NEVER)
    by_run[run] = time_us
    return by_run


def _after(
    rule: int, code: Codes, tracks: Tracks, rows: Sequences, known: tuple[Sightings, Rows]
) -> Sightings:
    """The sightings of a rule after the rows, of the vehicles that have one."""
    mine, known_run = known
    place = np.full(len(tracks.slot), -1)
    place[known_run] = np.arange(len(known_run))
    held = rows.latest(code == TRUE)[rows.last]
    maybe = rows.latest(code == UNKNOWN)[rows.last]
    run = where((place >= 0) | (held >= 0) | (maybe >= 0))
    if not (code != FALSE).any():
        return mine
    k = len(run)
    time_us, maybe_us = np.full(k, NEVER), np.full(k, NEVER)
    tie, named = np.zeros(k, np.int64), np.full(k, "", object)
    old = where(place[run] >= 0)
    before = mine.take(place[run[old]])
    time_us[old], tie[old], named[old] = before.time_us, before.tie, before.message_id
    maybe_us[old] = before.maybe_us
    new, row = where(held[run] >= 0), held[run[held[run] >= 0]]
    time_us[new], tie[new] = tracks.frame.time_us[row], tracks.tie[row]
    named[new] = message_ids(tracks.frame, row)
    new = where(maybe[run] >= 0)
    maybe_us[new] = tracks.frame.time_us[maybe[run[new]]]
    never, nothing, nameless = np.full(k, NEVER), np.zeros(k, np.int64), np.full(k, "", object)
    of, slot = np.full(k, rule), tracks.slot[run]
    return Sightings(of, slot, time_us, tie, named, maybe_us, never, nothing, nameless)
