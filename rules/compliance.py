"""Compliance: which rules hold for which vehicle since when.

Conditions are judged on columns without state (``RuleBook``), then followed along each vehicle's
track. An input that is missing makes the answer unknown: that raises nothing and clears nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rules.alarm_events import LATER
from rules.conditions import Conditions, StayVerdicts
from rules.expressions import TRUE, UNKNOWN
from rules.handover import Turns, tell_alarms
from rules.rulebook import NO_ZONE, RuleBook
from rules.spans import Spans, spans
from rules.tracks import FOREVER, Tracks
from rules.verdicts import Verdicts
from rules.visits import Stays
from schemas.event import Event, identity
from schemas.frame import Bools, Longs, Rows, where


@dataclass(frozen=True, slots=True)
class _Entries:
    """Where conditions hold or may hold: m entries of a rule, a row and a stay.

    ``rule``, ``row``: (m,). ``zone``: (m,) or ``NO_ZONE``. ``stay``: (m,) index into the stays,
    -1 for rules on the record alone. ``certain``: (m,) False = input missing.
    """

    rule: Rows
    row: Rows
    zone: Rows
    stay: Rows
    certain: Bools


@dataclass(frozen=True, slots=True)
class Held:
    """Conditions that held in some rows, open or ended.

    ``until_us``: (c,) int64 event time of the record that ended each, ``FOREVER`` = it goes on.
    ``fresh``: (c,) object, the moment each would be named by had nothing been told before.
    """

    conditions: Conditions
    until_us: Longs
    fresh: np.ndarray

    def plus(self, other: "Held") -> "Held":
        """These and the other ones after them."""
        return Held(
            self.conditions.plus(other.conditions),
            np.concatenate([self.until_us, other.until_us]),
            np.concatenate([self.fresh, other.fresh]),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What conditions are followed through: records in order, their stays, the verdicts on both.

    ``on_records``: verdicts on the tracks' rows of the rules on the record alone.
    """

    tracks: Tracks
    on_records: Verdicts
    stays: Stays
    on_stays: StayVerdicts


def follow(
    book: RuleBook, names: Mapping[str, str], open_conditions: Conditions, seen: Seen
) -> tuple[Conditions, Held, list[Event]]:
    """Follow conditions along the tracks; returns what holds now, what held, the alarms' events.

    ``names``: moments given before, by ``condition_key``. An alarm is raised at the first record at
    which its condition is true and has held for the rule's ``for``; it is cleared at the first
    record at which the condition does not hold or the vehicle has left the zone.
    """
    seen = _without_others(book, seen)
    tracks, on_records, stays, on_stays = seen.tracks, seen.on_records, seen.stays, seen.on_stays
    slots = int(max(tracks.slot.max(initial=-1), open_conditions.slot.max(initial=-1))) + 1
    run_of_condition = tracks.run_of_slot(slots)[open_conditions.slot]
    touched = where(run_of_condition >= 0)
    known, known_run = open_conditions.take(touched), run_of_condition[touched]
    if not len(known) and not len(on_records.rule) and not len(on_stays.verdicts.rule):
        return open_conditions, Held(Conditions(), np.empty(0, np.int64), np.empty(0, object)), []
    entries = _join(_on_records(on_records, known, known_run, tracks), _on_stays(on_stays))
    key = _Key(len(tracks.slot), len(book.fences.zones))
    run = tracks.run[entries.row]
    rows_of_run = np.diff(tracks.start)
    known_subject = key.of(known.rule, known_run, known.zone)
    found = spans(
        subject=key.of(entries.rule, run, entries.zone),
        rank=entries.row - tracks.start[run],
        certain=entries.certain,
        open_subject=known_subject,
        length=rows_of_run[run],
        of_open=rows_of_run[known_run],
    )
    known = known.take(np.argsort(known_subject, kind="stable"))
    now = _conditions(found, key, tracks, stays, known, entries)
    fresh = now.moment.copy()
    if names:
        _rename(book, names, tracks, now, where(found.first >= 0))
    turns = _turns(found, key, tracks, _due(book, now, tracks, entries, found))
    events = tell_alarms(book, now, tracks, turns, on_stays)
    events.sort(key=lambda event: (event.vehicle_id, event.happened_us))
    kept = open_conditions.take(where(run_of_condition < 0))
    until_us = np.where(turns.after < 0, FOREVER, tracks.frame.time_us[turns.after])
    return kept.plus(now.take(where(~found.ended))), Held(now, until_us, fresh), events


def _without_others(book: RuleBook, seen: Seen) -> Seen:
    """Without the verdicts of rules on time and on absence, which are followed elsewhere."""
    if not book.timed.any() and not book.absence.any():
        return seen
    plain = ~(book.timed | book.absence)
    on_records, judged = seen.on_records, seen.on_stays.verdicts
    kept, kept_on_stays = plain[on_records.rule], plain[judged.rule]
    return Seen(
        seen.tracks,
        Verdicts(on_records.rule[kept], on_records.code[kept]),
        seen.stays,
        replace(
            seen.on_stays,
            verdicts=Verdicts(judged.rule[kept_on_stays], judged.code[kept_on_stays]),
        ),
    )


def condition_key(vehicle_id: str, rule_id: str, zone_id: str, moment: str) -> str:
    """What names a condition of a vehicle that began at a moment, before any revision."""
    return identity("condition", rule_id, vehicle_id, zone_id, moment)


def _rename(
    book: RuleBook, names: Mapping[str, str], tracks: Tracks, now: Conditions, begun: Rows
) -> None:
    """Give conditions that begin here, and were told before under another moment, that one."""
    runs = tracks.run_of_slot(int(tracks.slot.max(initial=-1)) + 1)
    for i in begun.tolist():
        vehicle_id = tracks.vehicle_id(int(runs[now.slot[i]]))
        rule_id, zone_id = book.rules[now.rule[i]].rule.id, book.zone_id(int(now.zone[i]))
        key = condition_key(vehicle_id, rule_id, zone_id, now.moment[i])
        now.moment[i] = names.get(key, now.moment[i])


@dataclass(frozen=True, slots=True)
class _Key:
    """One integer for (rule, run, zone)."""

    runs: int
    zones: int

    def of(self, rule: Rows, run: Rows, zone: Rows) -> Longs:
        return (rule * self.runs + run) * (self.zones + 1) + (zone - NO_ZONE)

    def split(self, subject: Longs) -> tuple[Rows, Rows, Rows]:
        rest, zone = np.divmod(subject, self.zones + 1)
        rule, run = np.divmod(rest, max(self.runs, 1))
        return rule, run, zone + NO_ZONE


def _on_records(verdicts: Verdicts, known: Conditions, known_run: Rows, tracks: Tracks) -> _Entries:
    place, row = np.nonzero(verdicts.code == TRUE)
    # An unknown answer matters only where a condition is open or begins in these rows. Rules by
    # runs, True where it may matter.
    relevant = np.zeros((len(verdicts.rule), len(tracks.slot)), np.bool_)
    relevant[place, tracks.run[row]] = True
    of_known = np.searchsorted(verdicts.rule, known.rule)
    of_known[of_known == len(verdicts.rule)] = 0
    if len(verdicts.rule):
        same = verdicts.rule[of_known] == known.rule
        relevant[of_known[same], known_run[same]] = True
    asked = np.flatnonzero(relevant.any(axis=1))
    maybe, maybe_row = np.nonzero(
        (verdicts.code[asked] >= UNKNOWN) & relevant[asked][:, tracks.run]
    )
    rows = np.concatenate([row, maybe_row])
    return _Entries(
        rule=verdicts.rule[np.concatenate([place, asked[maybe]])],
        row=rows,
        zone=np.full(len(rows), NO_ZONE),
        stay=np.full(len(rows), -1),
        certain=np.arange(len(rows)) < len(row),
    )


def _on_stays(judged: StayVerdicts) -> _Entries:
    code = judged.verdicts.code
    place, pair = np.nonzero(code)
    return _Entries(
        rule=judged.verdicts.rule[place],
        row=judged.row[pair],
        zone=judged.zone[pair],
        stay=judged.stay[pair],
        certain=code[place, pair] == TRUE,
    )


def _join(a: _Entries, b: _Entries) -> _Entries:
    return _Entries(
        np.concatenate([a.rule, b.rule]),
        np.concatenate([a.row, b.row]),
        np.concatenate([a.zone, b.zone]),
        np.concatenate([a.stay, b.stay]),
        np.concatenate([a.certain, b.certain]),
    )


def _conditions(
    found: Spans, key: _Key, tracks: Tracks, stays: Stays, known: Conditions, entries: _Entries
) -> Conditions:
    """The condition of each span; ``known``: those open before, sorted by subject."""
    rule, run, zone = key.split(found.subject)
    k = len(found)
    now = Conditions(
        rule,
        tracks.slot[run],
        zone,
        np.empty(k, np.int64),
        np.empty(k, object),
        np.empty(k, object),
        np.full(k, "", object),
        np.full(k, "", object),
    )
    goes_on, begins = where(found.first < 0), where(found.first >= 0)
    now.since_us[goes_on], now.moment[goes_on] = known.since_us, known.moment
    now.since_fix[goes_on] = known.since_fix
    now.visit_id[goes_on], now.alarm_id[goes_on] = known.visit_id, known.alarm_id
    row = tracks.start[run[begins]] + found.first[begins]
    now.since_us[begins] = tracks.frame.time_us[row]
    now.moment[begins] = [tracks.moment(r) for r in row.tolist()]
    now.since_fix[begins] = [tracks.frame.fix_name(r) for r in row.tolist()]
    # All entries of a span are of one stay: leaving a zone ends the span.
    stay = np.full(k, -1, np.intp)
    owned = where(found.owner >= 0)
    stay[found.owner[owned]] = entries.stay[owned]
    of_stay = begins[stay[begins] >= 0]
    now.visit_id[of_stay] = stays.visit_id[stay[of_stay]]
    return now


def _due(book: RuleBook, now: Conditions, tracks: Tracks, entries: _Entries, found: Spans) -> Rows:
    """(spans,) the first row at which the condition is true and has held for ``for``."""
    due = np.full(len(now), LATER, np.intp)
    entry = where(entries.certain)
    owner, row = found.owner[entry], entries.row[entry]
    held = tracks.frame.time_us[row] - now.since_us[owner] >= book.for_us[entries.rule[entry]]
    np.minimum.at(due, owner[held], row[held])
    return due


def _turns(found: Spans, key: _Key, tracks: Tracks, due: Rows) -> Turns:
    """The rows at which the condition of each span takes a turn; ``due``: where its alarm is."""
    start = tracks.start[key.split(found.subject)[1]]
    return Turns(
        begun=np.where(found.first >= 0, start + found.first, -1),
        due=due,
        after=np.where(found.ended, start + found.last + 1, -1),
    )
