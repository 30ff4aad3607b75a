"""What rules on time are followed through: cells of a rule, a record and perhaps a stay.

A rule on time is followed where something of it is open or may begin: along all records of the
vehicle, or of the visit, these take in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rules.compliance import Seen
from rules.expressions import FALSE, UNKNOWN
from rules.holding import Sequences
from rules.leads import Leads
from rules.rulebook import NO_ZONE, RuleBook
from rules.timers import Timers
from rules.tracks import NEVER
from rules.verdicts import Verdicts
from schemas.frame import Bools, Codes, Longs, Rows, where


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells in sequences, each of one rule and one vehicle or visit; k sequences, m cells.

    ``rule``, ``run``, ``zone`` (or ``NO_ZONE``), ``stay`` (-1 = none): (k,). ``timer``: (k,) place
    among the timers that were open, -1 = none. ``row``: (m,) row of the tracks. ``code``: (m,) what
    the rule's condition says; ``clear``: (m,) what its ``clear_when`` says. ``out``: (m,) the rule
    is not about the record, or the vehicle has left the zone: ``left``: (k,) that the last cell is
    that record. ``lead_us``, ``maybe_us``: (m,) of sequences, when the first condition last held,
    may have held, before the record, ``NEVER`` = it did not; ``lead_row``: (m,) that row, -1 = from
    before.
    """

    rule: Rows
    run: Rows
    zone: Rows
    stay: Rows
    timer: Rows
    left: Bools
    rows: Sequences
    row: Rows
    code: Codes
    clear: Codes
    out: Bools
    lead_us: Longs
    maybe_us: Longs
    lead_row: Rows


@dataclass(frozen=True, slots=True)
class _Piece:
    """The cells of one rule, before they are put together."""

    rule: int
    run: Rows
    zone: Rows
    stay: Rows
    timer: Rows
    left: Bools
    length: Rows
    row: Rows
    code: Codes
    clear: Codes
    out: Bools


def cells_of(
    book: RuleBook, known: Timers, known_run: Rows, leads: Leads, seen: Seen
) -> Cells | None:
    """The cells to follow, None where there are none; ``known``: timers of vehicles seen here."""
    pieces = [
        piece
        for i in np.flatnonzero(book.timed).tolist()
        for piece in _pieces(book, i, known, known_run, seen)
    ]
    if not pieces:
        return None
    row = np.concatenate([p.row for p in pieces])
    length = np.concatenate([p.length for p in pieces])
    m = [len(p.row) for p in pieces]
    lead_us, maybe_us = np.full(len(row), NEVER), np.full(len(row), NEVER)
    lead_row = np.full(len(row), -1)
    at = 0
    for piece, size in zip(pieces, m, strict=True):
        if book.times.leads[piece.rule]:
            here = slice(at, at + size)
            lead_us[here], maybe_us[here], lead_row[here] = leads.before(piece.rule, piece.row)
        at += size
    return Cells(
        rule=np.repeat([p.rule for p in pieces], [len(p.run) for p in pieces]),
        run=np.concatenate([p.run for p in pieces]),
        zone=np.concatenate([p.zone for p in pieces]),
        stay=np.concatenate([p.stay for p in pieces]),
        timer=np.concatenate([p.timer for p in pieces]),
        left=np.concatenate([p.left for p in pieces]),
        rows=Sequences.of_lengths(length, seen.tracks.frame.time_us[row]),
        row=row,
        code=np.concatenate([p.code for p in pieces]),
        clear=np.concatenate([p.clear for p in pieces]),
        out=np.concatenate([p.out for p in pieces]),
        lead_us=lead_us,
        maybe_us=maybe_us,
        lead_row=lead_row,
    )


def _pieces(
    book: RuleBook, rule: int, known: Timers, known_run: Rows, seen: Seen
) -> Iterator[_Piece]:
    open_here = where(known.rule == rule)
    if not book.rules[rule].uses_zone:
        code = _codes_of(seen.on_records, rule)
        if code is not None or len(open_here):
            yield _on_records(book, rule, (open_here, known_run[open_here]), code, seen)
        return
    code = _codes_of(seen.on_stays.verdicts, rule)
    if code is None and not len(open_here):
        return
    stay_of = _stays_of(known.take(open_here), seen)
    yield _on_stays(book, rule, (open_here[stay_of >= 0], stay_of[stay_of >= 0]), code, seen)
    gone = open_here[stay_of < 0]
    if len(gone):
        yield _gone(rule, gone, known.zone[gone], known_run[gone], seen)


def _codes_of(verdicts: Verdicts, rule: int) -> Codes | None:
    """(n,) the codes of a rule, None where it is false everywhere."""
    place = int(np.searchsorted(verdicts.rule, rule))
    if place == len(verdicts.rule) or verdicts.rule[place] != rule:
        return None
    codes: Codes = verdicts.code[place]
    return codes


def _on_records(
    book: RuleBook, rule: int, open_: tuple[Rows, Rows], code: Codes | None, seen: Seen
) -> _Piece:
    tracks, (timers, open_run) = seen.tracks, open_
    holds = np.empty(0, np.intp) if code is None else tracks.run[where(code != FALSE)]
    run = np.unique(np.concatenate([open_run, holds]))
    timer = np.full(len(run), -1)
    timer[np.searchsorted(run, open_run)] = timers
    length = np.diff(tracks.start)[run]
    row = _stretched(tracks.start[run], length)
    clear, clears = book.rules[rule].clear, np.zeros(len(row), np.int8)
    frame, k = tracks.frame, len(run)
    if clear is not None:
        clears = book.judge_one(rule, clear, frame, tracks.past)[row]
    return _Piece(
        rule,
        run,
        np.full(k, NO_ZONE),
        np.full(k, -1),
        timer,
        np.zeros(k, np.bool_),
        length,
        row,
        np.zeros(len(row), np.int8) if code is None else code[row],
        clears,
        ~book.applies(rule, frame)[row],
    )


def _on_stays(
    book: RuleBook, rule: int, open_: tuple[Rows, Rows], code: Codes | None, seen: Seen
) -> _Piece:
    tracks, stays, (timers, open_stay) = seen.tracks, seen.stays, open_
    holds = np.empty(0, np.intp) if code is None else seen.on_stays.stay[where(code != FALSE)]
    stay = np.unique(np.concatenate([open_stay, holds]))
    timer = np.full(len(stay), -1)
    timer[np.searchsorted(stay, open_stay)] = timers
    run = tracks.run_of_slot(int(tracks.slot.max(initial=-1)) + 1)[stays.slot[stay]]
    inside = (stays.stop - stays.start)[stay]
    left = stays.stop[stay] < tracks.start[run + 1]
    length = inside + left
    row = _stretched(stays.start[stay], length)
    # (m,) which cells are records of the stay, not the one that shows its end.
    within = np.ones(len(row), np.bool_)
    within[np.cumsum(length)[left] - 1] = False
    # Pairs of a row and a stay are in the order of the stays.
    first_pair = (np.cumsum(stays.stop - stays.start) - (stays.stop - stays.start))[stay]
    pair = _stretched(first_pair, inside)
    codes, clears = np.zeros(len(row), np.int8), np.zeros(len(row), np.int8)
    if code is not None:
        codes[within] = code[pair]
    clear = book.rules[rule].clear
    if clear is not None:
        zone = np.repeat(stays.zone[stay], inside)
        clears[within] = book.judge_one_on_stays(
            rule, clear, tracks.frame, row[within], zone, tracks.past
        )
    return _Piece(
        rule,
        run,
        stays.zone[stay],
        stay,
        timer,
        left,
        length,
        row,
        codes,
        clears,
        ~within | ~book.applies(rule, tracks.frame)[row],
    )


def _gone(rule: int, timers: Rows, zone: Rows, run: Rows, seen: Seen) -> _Piece:
    """Visits that had ended with the first record here."""
    k = len(timers)
    every, nothing = np.ones(k, np.bool_), np.zeros(k, np.int8)
    row, none = seen.tracks.start[run], np.full(k, -1)
    one = np.ones(k, np.intp)
    return _Piece(rule, run, zone, none, timers, every, one, row, nothing, nothing, every)


def _stays_of(timers: Timers, seen: Seen) -> Rows:
    """(t,) the stay that each timer is of, -1 = it has ended."""
    if not len(timers):
        return np.empty(0, np.intp)
    stays = seen.stays
    keys = zip(stays.slot.tolist(), stays.zone.tolist(), stays.visit_id.tolist(), strict=True)
    place = {key: i for i, key in enumerate(keys)}
    asked = zip(timers.slot.tolist(), timers.zone.tolist(), timers.visit_id.tolist(), strict=True)
    return np.array([place.get(key, -1) for key in asked], np.intp)


def _stretched(first: Rows, length: Rows) -> Rows:
    """The numbers from each first on, so many of each, one after the other."""
    skipped = np.cumsum(length) - length
    stretched: Rows = np.repeat(first - skipped, length) + np.arange(int(length.sum()))
    return stretched


def known_to_hold(cells: Cells) -> Codes:
    """(m,) the codes, FALSE where the rule is not about the record, any error as unknown."""
    code = np.where(cells.code > UNKNOWN, np.int8(UNKNOWN), cells.code)
    return np.where(cells.out, np.int8(FALSE), code)
