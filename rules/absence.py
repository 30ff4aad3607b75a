"""Absence: alarms of what has not been seen of a vehicle, for so long or until a time.

A vehicle counts from its first record on that the rule is about, and its rule from
``effective_from`` on. The alarm is raised at the very time at which the condition has not been seen
to hold for long enough, and cleared at the record that shows it again. What is unknown is not seen.

Whether time has come so far is known from the vehicle's own records, or from the clock of the part
of the source it reports through (``rules.clocks``): an alarm that no record of the vehicle follows
yet *stands*. It is a function of what was last seen and of the clock alone, so that whatever comes
later, stored fixes of days as well, leaves it, clears it, or retracts it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rules.compliance import Seen
from rules.expressions import FALSE, TRUE, Columns
from rules.holding import Sequences
from rules.leads import any_on_stays
from rules.rulebook import RuleBook
from rules.timers import Sightings, message_ids
from rules.tracks import FOREVER, NEVER, Tracks
from schemas.event import ALARM_CLEARED, ALARM_RAISED, Event, identity
from schemas.frame import Codes, Longs, Rows, rfc3339, where


class Absence(NamedTuple):
    """Something not seen: since when, the record it was last seen in, the time of the alarm.

    ``tie``, ``message_id``: as of ``Sightings``; ``tie`` is -1 where it counts from the rule's time
    in force and not from a record.
    """

    rule: int
    vehicle_id: str
    since_us: int
    last_us: int
    tie: int
    message_id: str
    due_us: int

    @property
    def moment(self) -> str:
        """What names it among the absences of its rule and vehicle."""
        return f"{self.since_us}.{self.tie}" if self.tie else str(self.since_us)


@dataclass(frozen=True, slots=True)
class Due:
    """When alarms are due: ``since_us``, ``due_us``, ``last_us``, ``tie``: (n,) int64.

    ``message_id``: (n,) object. ``due_us`` is ``FOREVER`` where none is.
    """

    since_us: Longs
    due_us: Longs
    last_us: Longs
    tie: Longs
    message_id: np.ndarray

    def of(self, i: int, rule: int, vehicle_id: str) -> Absence:
        """One of them."""
        return Absence(
            rule,
            vehicle_id,
            int(self.since_us[i]),
            int(self.last_us[i]),
            int(self.tie[i]),
            self.message_id[i],
            int(self.due_us[i]),
        )


def due(book: RuleBook, seen: Sightings) -> Due:
    """When the alarms of absence rules are due if nothing more is seen."""
    unseen = seen.time_us == NEVER
    last_us = np.where(unseen, seen.first_us, seen.time_us)
    times = book.times
    from_us, to_us = book.from_us[seen.rule], book.to_us[seen.rule]
    since_us = np.maximum(last_us, from_us)
    absent_us, by_us = times.absent_us[seen.rule], times.by_us[seen.rule]
    due_us = np.full(len(seen), FOREVER)
    lasting = absent_us != FOREVER
    due_us[lasting] = since_us[lasting] + absent_us[lasting]
    by = (by_us != FOREVER) & unseen & (seen.first_us <= by_us)
    due_us[by] = by_us[by]
    of_rule = since_us > last_us
    return Due(
        since_us,
        np.where(due_us >= to_us, FOREVER, due_us),
        np.where(of_rule, since_us, last_us),
        np.where(of_rule, -1, np.where(unseen, seen.first_tie, seen.tie)),
        np.where(unseen, seen.first_message_id, seen.message_id),
    )


def follow(book: RuleBook, known: Sightings, seen: Seen) -> tuple[Sightings, list[Event]]:
    """Follow what absence rules wait for along the tracks: what was last seen, what there was.

    ``known``: the sightings of absence rules. The events are of absences that have ended.
    """
    tracks = seen.tracks
    slots = int(max(tracks.slot.max(initial=-1), known.slot.max(initial=-1))) + 1
    run = tracks.run_of_slot(slots)[known.slot]
    rows = Sequences(tracks.start, tracks.run, tracks.frame.time_us)
    moved, events = known.take(where(run < 0)), []
    for rule in np.flatnonzero(book.absence).tolist():
        mine = where((known.rule == rule) & (run >= 0))
        before = _admitted(book, rule, known.take(mine), run[mine], tracks)
        code, pair = _codes(book, rule, seen)
        last, ended = _ended(book, rule, before, code, rows, tracks)
        moved = moved.plus(last)
        for absence, row in ended:
            columns, at = _seen_at(book, seen, row, pair)
            fix = tracks.frame.fix_name(row)
            time_us = int(tracks.frame.time_us[row])
            found = book.rules[rule].condition.explain(columns, at)
            shown = {"inputs": found.inputs, "limit": found.limit, "margin": found.margin}
            events.append(raised(book, absence))
            events.append(cleared(book, absence, time_us, "condition_false", (shown, fix)))
    return moved, events


def standing(
    book: RuleBook, seen: Sightings, ids: tuple[str, ...], clock_us: Longs
) -> Iterator[tuple[Absence, bool]]:
    """The absences whose alarm is due and that nothing has ended; whether their rule has.

    ``ids``: the vehicles by slot; ``clock_us``: (slots,) how far time has come for each.
    """
    at = due(book, seen)
    for i in where(at.due_us <= clock_us[seen.slot]).tolist():
        rule, slot = int(seen.rule[i]), int(seen.slot[i])
        yield at.of(i, rule, ids[slot]), bool(book.to_us[rule] <= clock_us[slot])


def raised(book: RuleBook, absence: Absence) -> Event:
    """The alarm of an absence."""
    compiled = book.rules[absence.rule]
    limit: Any = compiled.rule.absent_for_s
    decision = {"inputs": {}, "limit": limit, "margin": 0.0}
    if limit is None:
        decision = {"inputs": {}, "limit": rfc3339(absence.due_us), "margin": None}
    event = _event(book, ALARM_RAISED, absence, absence.due_us, (decision, ""))
    event.data["state"] = "unacknowledged"
    event.data["message"] = compiled.message.of_vehicle(absence.vehicle_id)
    return event


def cleared(
    book: RuleBook, absence: Absence, time_us: int, reason: str, shown: tuple[dict[str, Any], str]
) -> Event:
    """The end of an alarm; ``shown``: what the record that ended it says, and its name."""
    event = _event(book, ALARM_CLEARED, absence, time_us, shown)
    event.data.update(
        state="returned-unacknowledged",
        message=f"{book.rules[absence.rule].rule.id} no longer holds",
        reason=reason,
        duration_s=(time_us - absence.since_us) / 1e6,
    )
    return event


def _event(
    book: RuleBook, kind: str, absence: Absence, time_us: int, shown: tuple[dict[str, Any], str]
) -> Event:
    rule = book.rules[absence.rule].rule
    alarm_id = identity("alarm", rule.id, absence.vehicle_id, "", absence.moment)
    # What counts from the rule's time in force rests on no record.
    last = absence.message_id or rfc3339(absence.last_us)
    fixes = [fix for fix in (last if absence.tie >= 0 else "", shown[1]) if fix]
    decision = {
        **shown[0],
        "zone_version": None,
        "since": rfc3339(absence.since_us),
        "fixes": fixes,
    }
    return Event(
        type=kind,
        event_id=identity(kind, alarm_id, absence.moment),
        vehicle_id=absence.vehicle_id,
        time_us=time_us,
        data={
            "alarm_id": alarm_id,
            "rule_id": rule.id,
            "rule_version": rule.version,
            "severity": rule.severity,
            "mode": rule.mode,
            "time": rfc3339(time_us),
            "zone_id": None,
            "visit_id": None,
            "decision": decision,
            **rule.handled(),
        },
    )


def _admitted(
    book: RuleBook, rule: int, known: Sightings, known_run: Rows, tracks: Tracks
) -> Sightings:
    """The sightings of all vehicles here that the rule is about, by run: the new ones unseen."""
    place = np.full(len(tracks.slot), -1)
    place[known_run] = np.arange(len(known_run))
    about = where(book.is_about(rule, tracks.frame) & (place[tracks.run] < 0))
    run, at = np.unique(tracks.run[about], return_index=True)
    row, k = about[at], len(run)
    new = Sightings(
        np.full(k, rule),
        tracks.slot[run],
        np.full(k, NEVER),
        np.zeros(k, np.int64),
        np.full(k, "", object),
        np.full(k, NEVER),
        tracks.frame.time_us[row],
        tracks.tie[row],
        message_ids(tracks.frame, row),
    )
    every = known.plus(new)
    return every.take(np.argsort(np.concatenate([known_run, run]), kind="stable"))


def _codes(book: RuleBook, rule: int, seen: Seen) -> tuple[Codes, tuple[Rows, Rows]]:
    """(n,) whether each row shows it; the pairs (row, zone) that do, none without a zone."""
    rows = len(seen.tracks.frame)
    none = np.empty(0, np.intp), np.empty(0, np.intp)
    on_stays = book.rules[rule].uses_zone
    judged = seen.on_stays.verdicts if on_stays else seen.on_records
    place = int(np.searchsorted(judged.rule, rule))
    if place == len(judged.rule) or judged.rule[place] != rule:
        return np.full(rows, np.int8(FALSE)), none
    code = judged.code[place]
    if not on_stays:
        return code, none
    shows = where(code == TRUE)
    pairs = seen.on_stays.row[shows], seen.on_stays.zone[shows]
    return any_on_stays(code, seen.on_stays.row, rows), pairs


def _ended(
    book: RuleBook,
    rule: int,
    before: Sightings,
    code: Codes,
    rows: Sequences,
    tracks: Tracks,
) -> tuple[Sightings, list[tuple[Absence, int]]]:
    """What was last seen after the rows, and the absences that ended in a row, with that row.

    ``before``: the sightings of the vehicles here, by run; each row that shows it is of one.
    """
    frame, shows = tracks.frame, where(code == TRUE)
    of = _place(tracks, before)
    prior = rows.latest(code == TRUE, before=True)[shows]
    # What was last seen before each row that shows it again.
    was = before.take(of[tracks.run[shows]])
    here = where(prior >= 0)
    was.time_us[here], was.tie[here] = frame.time_us[prior[here]], tracks.tie[prior[here]]
    was.message_id[here] = message_ids(frame, prior[here])
    at = due(book, was)
    late = where(at.due_us < frame.time_us[shows])
    ended = [
        (at.of(i, rule, tracks.vehicle_id(int(tracks.run[shows[i]]))), int(shows[i]))
        for i in late.tolist()
    ]
    last = rows.latest(code == TRUE)[rows.last]
    run = where(last >= 0)
    after = before.take(np.arange(len(before)))
    after.time_us[of[run]], after.tie[of[run]] = frame.time_us[last[run]], tracks.tie[last[run]]
    after.message_id[of[run]] = message_ids(frame, last[run])
    return after, ended


def _place(tracks: Tracks, sightings: Sightings) -> Rows:
    """(runs,) the place of each run's vehicle among the sightings, -1 = it has none."""
    run = tracks.run_of_slot(int(tracks.slot.max(initial=-1)) + 1)[sightings.slot]
    place = np.full(len(tracks.slot), -1)
    place[run] = np.arange(len(run))
    return place


def _seen_at(book: RuleBook, seen: Seen, row: int, pairs: tuple[Rows, Rows]) -> tuple[Columns, int]:
    """What the rule read in a row, in the first of the zones that show it."""
    frame, (pair_row, pair_zone) = seen.tracks.frame, pairs
    if not len(pair_row):
        return book.on_records(frame, seen.tracks.past), row
    zone = pair_zone[pair_row == row][:1]
    return book.on_stays(frame, np.array([row]), zone, seen.tracks.past), 0
