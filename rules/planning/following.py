"""Following: triggers move on through records, looks and commands, and fire."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rules.planning.arming import Fired
from rules.planning.context import context
from rules.planning.fires import Fire, Seen, fires_of
from rules.planning.looks import (
    Entries,
    at_commands,
    at_records,
    gaps_before,
    gaps_behind,
    in_order,
    look,
    newest_by_slot,
)
from rules.planning.move import Move
from rules.planning.samples import Samples, forecasts_of, series_of
from schemas.frame import Bools, Codes, Longs, Rows


def follow(move: Move, *, heard: bool) -> None:
    """Move the triggers on; ``heard``: who sent something just now is not called silent yet."""
    state = move.state
    from_us = np.where(move.dirty, state.settled_us, state.looked_us)
    slot = state.pending.slot
    rows = state.pending.find(move.fresh)[0]
    if move.dirty.any():
        again = move.dirty[slot] & (state.pending.frame.time_us > state.settled_us[slot])
        rows = np.union1d(np.flatnonzero(again), rows)
    quiet = move.mine
    if heard:
        quiet[slot[rows]] = False
    entries = entries_of(move, rows, from_us, quiet | move.dirty)
    if not len(entries) and not move.dirty.any():
        return
    samples, symbol, seen, judged = _judged(move, entries)
    start = state.newest
    if move.dirty.any():
        start = start.put(np.flatnonzero(move.dirty), state.settled)
    newest, fired = move.book.arms.follow(start, entries.slot, entries.time_us, symbol)
    at = np.flatnonzero(~entries.look & (entries.arm < 0))
    move.state = replace(
        state,
        newest=newest,
        looked_us=np.maximum(from_us, newest_by_slot(entries, len(state.roster))),
        samples=samples,
        pending=state.pending.judged(entries.row[at], symbol[at]),
    )
    _take_fires(move, fired, seen, judged)


def entries_of(move: Move, rows: Rows, from_us: Longs, behind: Bools) -> Entries:
    """The entries at records and before them; behind a vehicle's last one where it says so.

    ``rows``: pending records. ``from_us``: (slots,) later than that. ``behind``: (slots,).
    """
    state, book = move.state, move.book
    clock_us = move.groups.clock_us[move.groups.of_slot]
    parts = [at_records(state.pending, rows)]
    if book.on_looks.any():
        gaps = [
            gaps_before(state.pending, rows, from_us),
            gaps_behind(state.pending, np.flatnonzero(behind), from_us, clock_us),
        ]
        missed = book.reads_missed
        parts.append(look(state.pending, gaps, book.absent_us, move.plans, missed=missed))
    if state.rearms:
        until_us = newest_by_slot(in_order(parts), len(state.roster))
        slot = state.roster.find(tuple(r.vehicle_id for r in state.rearms))
        time_us = np.array([r.time_us for r in state.rearms], np.int64)
        parts.append(at_commands(slot, time_us, state.pending, from_us, until_us))
    return in_order(parts) if len(parts) > 1 else parts[0]


def symbols_of_looks(move: Move, entries: Entries) -> Codes:
    """(m, t) as the records among the entries were judged; looks, which are few, judged again."""
    looks = np.flatnonzero(entries.look)
    symbol = np.zeros((len(looks), len(move.book.triggers)), np.int8)
    if len(looks):
        _, symbol, _, _ = _judged(move, entries.take(looks))
    found = entries.symbols(looks, symbol, _arming(move))
    at = np.flatnonzero(~entries.look & (entries.arm < 0))
    found[at] = move.state.pending.symbol[entries.row[at]]
    return found


def _arming(move: Move) -> Codes:
    """(commands, t) 1 where a command arms a trigger."""
    ids, rearms = [name for name, _ in move.book.keys], move.state.rearms
    asked = [[r.trigger_id in ("", name) for name in ids] for r in rearms]
    return np.array(asked, np.int8).reshape(len(rearms), len(ids))


def _judged(move: Move, entries: Entries) -> tuple[Samples, Codes, Seen | None, Rows]:
    """The samples with those of records, what triggers are at all entries, and what they saw.

    The last: (judged,) the entries that were judged; commands are not.
    """
    state, book = move.state, move.book
    judged = np.flatnonzero(entries.arm < 0)
    if not len(judged):
        symbol = np.zeros((0, len(book.triggers)), np.int8)
        return state.samples, entries.symbols(judged, symbol, _arming(move)), None, judged
    row, looks = entries.row[judged], entries.look[judged]
    record_us = state.pending.frame.time_us[row]
    frame = replace(state.pending.frame.take(row), time_us=entries.time_us[judged])
    due = _due(move, row, looks)
    known = context(book, move.plans, state.hazards, frame, entries.missed[judged], due)
    samples, columns, forecasts = state.samples, dict(known.columns), {}
    if book.forecasts:
        key, at = state.pending.key[row], np.flatnonzero(~looks)
        of_records = {name: column[at] for name, column in columns.items()}
        values = series_of(book.series, frame.take(at), of_records)
        samples = samples.put(key[at], record_us[at], values)
        forecasts = forecasts_of(book, samples, key, frame.time_us, columns, due)
        for prefix, found in forecasts.items():
            columns |= {f"{prefix}.{name}": getattr(found, name) for name in found.__slots__}
    frame = replace(frame, sensors=frame.sensors | columns)
    symbol = book.judge(frame, entries.silence_us[judged], looks, due)
    seen = Seen(frame, record_us, known.place, forecasts, known.met, state.hazards)
    return samples, entries.symbols(judged, symbol, _arming(move)), seen, judged


def _due(move: Move, row: Rows, looks: Bools) -> Bools:
    """(n, slices) the entries that are judged in each of the book's slices: records, the first."""
    pending = move.state.pending
    before = np.maximum(row - 1, 0)
    other = (row == 0) | (pending.slot[before] != pending.slot[row])
    due = np.ones((len(row), len(move.book.every_us)), np.bool_)
    for place, every_us in enumerate(move.book.every_us.tolist()):
        if every_us:
            slice_of = pending.frame.time_us // every_us
            due[:, place] = looks | other | (slice_of[before] != slice_of[row])
    return due


def _take_fires(move: Move, fired: Sequence[Fired], seen: Seen | None, judged: Rows) -> None:
    """Note what fired; of vehicles followed again what had fired since counts no more."""
    state, fires = move.state, dict(move.state.fires)
    for slot in np.flatnonzero(move.dirty).tolist():
        name = state.roster.ids[slot]
        move.touched.add(name)
        if name in fires:
            fires[name] = tuple(f for f in fires[name] if f.time_us <= state.settled_us[slot])
    if seen is not None:
        _explain(move, fires, fired, seen, judged)
    move.state = replace(state, fires={name: found for name, found in fires.items() if found})


def _explain(
    move: Move,
    fires: dict[str, tuple[Fire, ...]],
    fired: Sequence[Fired],
    seen: Seen,
    judged: Rows,
) -> None:
    """Add what fired, each with why; ``fires``: by vehicle id."""
    if not fired:
        return
    # From places among all entries to those among the judged.
    places = np.searchsorted(judged, [one.entry for one in fired]).tolist()
    told = [one._replace(entry=place) for one, place in zip(fired, places, strict=True)]
    for name, found in fires_of(move.book, move.plans, seen, told):
        fires[name] = (*fires.get(name, ()), found)
        move.touched.add(name)
