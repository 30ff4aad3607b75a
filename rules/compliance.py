"""Compliance: which rules hold for which vehicle since when, and what is said about it.

Conditions are judged on columns without state (``RuleBook.judge`` for rules on the record alone,
``RuleBook.judge_stays`` for rules on a stay in a zone), then followed along each vehicle's track.
An input that is missing makes the answer unknown: that raises nothing and clears nothing.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rules.expressions import TRUE, UNKNOWN, Columns
from rules.geofence import Stays
from rules.rulebook import NO_ZONE, RuleBook, Verdicts
from rules.spans import Spans, spans
from rules.tracks import Tracks
from schemas.event import ALARM_CLEARED, ALARM_RAISED, Event, identity
from schemas.frame import Bools, Longs, Rows, rfc3339, where

_LATER = int(np.iinfo(np.intp).max)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Rule conditions that hold now, waiting out their ``for`` or with an alarm raised; c of them.

    ``rule``: (c,) index into ``RuleBook.rules``. ``slot``: (c,) roster slot of the vehicle.
    ``zone``: (c,) index into ``Fences.zones`` or ``NO_ZONE``. ``since_us``: (c,) int64 event time.
    Object columns: ``since_fix`` names the record it holds since, ``visit_id`` the stay ("" for
    rules on the record alone), ``alarm_id`` the alarm ("" while none is raised).
    """

    rule: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    since_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    since_fix: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    visit_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    alarm_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def __len__(self) -> int:
        return len(self.rule)

    def columns(self) -> tuple[np.ndarray, ...]:
        """All columns in the order of the fields."""
        return (
            self.rule,
            self.slot,
            self.zone,
            self.since_us,
            self.since_fix,
            self.visit_id,
            self.alarm_id,
        )

    def take(self, rows: Rows) -> "Conditions":
        """The conditions at the given positions."""
        return Conditions(*(column[rows] for column in self.columns()))

    def plus(self, other: "Conditions") -> "Conditions":
        """These conditions and the other ones after them."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return Conditions(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class _Entries:
    """Where conditions hold or may hold: m entries of a rule, a row and a stay.

    ``rule``, ``row``: (m,). ``zone``: (m,) or ``NO_ZONE``. ``visit``: (m,) index into
    ``Stays.visits``, -1 for rules on the record alone. ``certain``: (m,) False = input missing.
    """

    rule: Rows
    row: Rows
    zone: Rows
    visit: Rows
    certain: Bools


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts already known for pairs of a row and a zone: (m,) each, sorted by row, then zone."""

    row: Rows
    zone: Rows
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class StayVerdicts:
    """Verdicts of the rules on stays: pairs of a row and a stay, (m,) each, with their zones."""

    row: Rows
    visit: Rows
    zone: Rows
    verdicts: Verdicts


def judge_stays(
    book: RuleBook, tracks: Tracks, stays: Stays, known: Judged | None = None
) -> StayVerdicts:
    """Judge the rules on stays for every row of every stay; ``known`` saves doing it twice."""
    row, visit = stays.pairs()
    zone = stays.visits.zone[visit]
    if known is None:
        return StayVerdicts(row, visit, zone, book.judge_stays(tracks.frame, row, zone))
    zones = len(book.fences.zones)
    asked, have = row * zones + zone, known.row * zones + known.zone
    place = np.searchsorted(have, asked)
    found = place < len(have)
    found[found] = have[place[found]] == asked[found]
    if not found.all():
        # Rows of a stay without a position of their own: few, judged here.
        return StayVerdicts(row, visit, zone, book.judge_stays(tracks.frame, row, zone))
    return StayVerdicts(row, visit, zone, known.verdicts.take(place))


def follow(
    book: RuleBook,
    open_conditions: Conditions,
    tracks: Tracks,
    on_records: Verdicts,
    stays: Stays,
    on_stays: StayVerdicts,
) -> tuple[Conditions, list[Event]]:
    """Follow conditions along the tracks; returns what holds now and the alarms' events.

    ``on_records``: verdicts on the tracks' rows of the rules on the record alone. An alarm is
    raised at the first record at which its condition is true and has held for the rule's ``for``;
    it is cleared at the first record at which the condition does not hold or the vehicle has left
    the zone.
    """
    slots = int(max(tracks.slot.max(initial=-1), open_conditions.slot.max(initial=-1))) + 1
    run_of_condition = tracks.run_of_slot(slots)[open_conditions.slot]
    touched = where(run_of_condition >= 0)
    known, known_run = open_conditions.take(touched), run_of_condition[touched]
    if not len(known) and not len(on_records.rule) and not len(on_stays.verdicts.rule):
        return open_conditions, []
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
    events = _raised(book, now, tracks, _due(book, now, tracks, entries, found))
    events += _cleared(book, now, tracks, _rows_after(found, key, tracks), on_stays)
    events.sort(key=lambda event: (event.vehicle_id, event.happened_us))
    kept = open_conditions.take(where(run_of_condition < 0))
    return kept.plus(now.take(where(~found.ended))), events


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
        visit=np.full(len(rows), -1),
        certain=np.arange(len(rows)) < len(row),
    )


def _on_stays(judged: StayVerdicts) -> _Entries:
    code = judged.verdicts.code
    place, pair = np.nonzero(code)
    return _Entries(
        rule=judged.verdicts.rule[place],
        row=judged.row[pair],
        zone=judged.zone[pair],
        visit=judged.visit[pair],
        certain=code[place, pair] == TRUE,
    )


def _join(a: _Entries, b: _Entries) -> _Entries:
    return _Entries(
        np.concatenate([a.rule, b.rule]),
        np.concatenate([a.row, b.row]),
        np.concatenate([a.zone, b.zone]),
        np.concatenate([a.visit, b.visit]),
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
        np.full(k, "", object),
        np.full(k, "", object),
    )
    goes_on, begins = where(found.first < 0), where(found.first >= 0)
    now.since_us[goes_on], now.since_fix[goes_on] = known.since_us, known.since_fix
    now.visit_id[goes_on], now.alarm_id[goes_on] = known.visit_id, known.alarm_id
    row = tracks.start[run[begins]] + found.first[begins]
    now.since_us[begins] = tracks.frame.time_us[row]
    now.since_fix[begins] = [tracks.frame.fix_name(r) for r in row.tolist()]
    # All entries of a span are of one stay: leaving a zone ends the span.
    visit = np.full(k, -1, np.intp)
    owned = where(found.owner >= 0)
    visit[found.owner[owned]] = entries.visit[owned]
    of_stay = begins[visit[begins] >= 0]
    now.visit_id[of_stay] = stays.visits.visit_id[visit[of_stay]]
    return now


def _due(book: RuleBook, now: Conditions, tracks: Tracks, entries: _Entries, found: Spans) -> Rows:
    """(spans,) the first row at which the condition is true and has held for ``for``."""
    due = np.full(len(now), _LATER, np.intp)
    entry = where(entries.certain)
    owner, row = found.owner[entry], entries.row[entry]
    held = tracks.frame.time_us[row] - now.since_us[owner] >= book.for_us[entries.rule[entry]]
    np.minimum.at(due, owner[held], row[held])
    return due


def _alarm_id(book: RuleBook, now: Conditions, i: int, vehicle_id: str) -> str:
    zone = now.zone[i]
    zone_id = "" if zone == NO_ZONE else book.fences.zones[zone].id
    occasion = now.visit_id[i] or int(now.since_us[i])
    return identity("alarm", book.rules[now.rule[i]].rule.id, vehicle_id, zone_id, occasion)


def _raised(book: RuleBook, now: Conditions, tracks: Tracks, due: Rows) -> list[Event]:
    """Raise the alarms that are due and not raised yet; gives them their id in ``now``."""
    which = where((now.alarm_id == "") & (due < _LATER))
    if not len(which):
        return []
    lookup = _Lookup(book, tracks, due[which], now.zone[which])
    events = []
    for place, i in enumerate(which.tolist()):
        now.alarm_id[i] = _alarm_id(book, now, i, lookup.vehicle_id(place))
        event = _event(ALARM_RAISED, now, i, lookup, place)
        event.data["state"] = "unacknowledged"
        event.data["message"] = lookup.message(now.rule[i], place)
        events.append(event)
    return events


def _rows_after(found: Spans, key: _Key, tracks: Tracks) -> Rows:
    """(spans,) the row that ends each span, -1 where it goes on."""
    _, run, _ = key.split(found.subject)
    return np.where(found.ended, tracks.start[run] + found.last + 1, -1)


def _cleared(
    book: RuleBook, now: Conditions, tracks: Tracks, after: Rows, on_stays: StayVerdicts
) -> list[Event]:
    """Clear the alarms whose span has ended, at the row ``after`` it."""
    which = where((after >= 0) & (now.alarm_id != ""))
    if not len(which):
        return []
    zones, row = len(book.fences.zones), after[which]
    still_in = np.isin(row * zones + now.zone[which], on_stays.row * zones + on_stays.zone)
    lookup = _Lookup(book, tracks, row, now.zone[which])
    events = []
    for place, i in enumerate(which.tolist()):
        left = now.zone[i] != NO_ZONE and not still_in[place]
        event = _event(ALARM_CLEARED, now, i, lookup, place)
        event.data.update(
            state="returned-unacknowledged",
            message=f"{book.rules[now.rule[i]].rule.id} no longer holds",
            reason="zone_exited" if left else "condition_false",
            duration_s=(event.happened_us - int(now.since_us[i])) / 1e6,
        )
        events.append(event)
    return events


class _Lookup:
    """What the rules saw at the rows where something is said."""

    def __init__(self, book: RuleBook, tracks: Tracks, row: Rows, zone: Rows) -> None:
        self.book, self.tracks, self.row = book, tracks, row
        frame = tracks.frame.take(row)
        self.records = Columns.of_records(frame)
        on_zone = where(zone != NO_ZONE)
        self.place = {int(p): k for k, p in enumerate(on_zone)}
        self.stays = Columns.of_visits(frame, on_zone, book.zone_table, zone[on_zone])

    def at(self, place: int) -> tuple[Columns, int]:
        if place in self.place:
            return self.stays, self.place[place]
        return self.records, place

    def vehicle_id(self, place: int) -> str:
        """The vehicle at a row."""
        frame = self.tracks.frame
        return frame.vehicle_ids[int(frame.vehicle[self.row[place]])]

    def message(self, rule: int, place: int) -> str:
        """The rule's message at a row."""
        return self.book.rules[rule].render(*self.at(place))

    def decision(self, rule: int, place: int) -> dict[str, Any]:
        found = self.book.rules[rule].condition.explain(*self.at(place))
        return {"inputs": found.inputs, "limit": found.limit, "margin": found.margin}


def _event(kind: str, now: Conditions, i: int, lookup: _Lookup, place: int) -> Event:
    rule = lookup.book.rules[now.rule[i]].rule
    zone = None if now.zone[i] == NO_ZONE else lookup.book.fences.zones[now.zone[i]]
    row, frame = int(lookup.row[place]), lookup.tracks.frame
    time_us, fix = int(frame.time_us[row]), frame.fix_name(row)
    decision = lookup.decision(now.rule[i], place)
    decision["zone_version"] = zone.version if zone else None
    decision["since"] = rfc3339(int(now.since_us[i]))
    decision["fixes"] = list(dict.fromkeys([now.since_fix[i], fix]))
    return Event(
        type=kind,
        event_id=identity(kind, now.alarm_id[i], int(now.since_us[i])),
        vehicle_id=lookup.vehicle_id(place),
        time_us=time_us,
        data={
            "alarm_id": now.alarm_id[i],
            "rule_id": rule.id,
            "rule_version": rule.version,
            "severity": rule.severity,
            "mode": rule.mode,
            "time": rfc3339(time_us),
            "zone_id": zone.id if zone else None,
            "visit_id": now.visit_id[i] or None,
            "decision": decision,
        },
    )
