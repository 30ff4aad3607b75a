"""The rule book: the rules in force with their scopes, judged on columns without state."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np

from rules.batches import Batch, Batches, Narrowed, judge
from rules.expressions import ERROR, Columns, Expression, ZoneTable
from rules.fences import Fences
from rules.last_records import LookBack
from rules.past import Past
from rules.rule_times import RuleTimes
from rules.rulesets import CompiledRule
from rules.scopes import Scopes, Within
from rules.verdicts import Found, Verdicts
from schemas.frame import Bools, Codes, Frame, Rows, where
from schemas.rule import ZoneScope
from schemas.zone import Zone

NO_ZONE: Final = -1


class RuleBook:
    """The rules in force: which are about which records and stays, and what they say of them."""

    def __init__(self, rules: Sequence[CompiledRule], fences: Fences) -> None:
        self.rules = tuple(rules)
        self.fences = fences
        self.zone_table = ZoneTable(fences.zones)
        # Rule id and version -> its place.
        self.place_of = {(c.rule.id, c.rule.version): i for i, c in enumerate(self.rules)}
        # (rules,) int64: how long a condition must hold, microseconds of event time.
        self.for_us = np.array([round(rule.rule.for_s * 1e6) for rule in rules], np.int64)
        self.times = RuleTimes.of([rule.rule for rule in rules])
        # (rules,) True where alarms depend on more than how long the condition holds (rules.timed).
        self.timed = np.array([rule.rule.is_timed for rule in rules], np.bool_)
        # (rules,) True where the alarm is that something has not been seen (rules.absence).
        self.absence = np.array([rule.rule.is_about_absence for rule in rules], np.bool_)
        self._scopes = Scopes([compiled.rule for compiled in rules])
        # (rules,) int64: in force from, until just before, microseconds of event time.
        self.from_us = self._scopes.from_us[self._scopes.of_rule]
        self.to_us = self._scopes.to_us[self._scopes.of_rule]
        self.look_back = LookBack(rules)
        # By scope of zones, (zones,) True where they ask about the zone.
        self._zones = {c.rule.scope.zones: _about(c.rule.scope.zones, fences.zones) for c in rules}
        # (rules,) which are judged with the past of the records.
        self._looks_back = np.array([rule.uses_past for rule in rules], np.bool_)
        uses_zone = np.array([rule.uses_zone for rule in rules], np.bool_)
        self._on_records = self._batches(where(~uses_zone))
        self._on_stays = [
            _Asking(self._zones[wanted], self._batches(np.array(places, np.intp)))
            for wanted, places in _by_zones(self.rules, where(uses_zone)).items()
        ]
        # Of each zone the places of those in ``_on_stays`` that ask about it.
        self._asking: list[list[int]] = [[] for _ in fences.zones]
        for place, of in enumerate(self._on_stays):
            for asked in where(of.zones).tolist():
                self._asking[asked].append(place)

    @property
    def waits_for(self) -> frozenset[tuple[str, int]]:
        """Ids and versions of the rules on absence."""
        chosen = [self.rules[i].rule for i in np.flatnonzero(self.absence).tolist()]
        return frozenset((rule.id, rule.version) for rule in chosen)

    def zone_id(self, zone: int) -> str:
        """The id of a zone by its place, "" for ``NO_ZONE``."""
        return "" if zone == NO_ZONE else self.fences.zones[zone].id

    def on_records(self, frame: Frame, past: Past | None = None) -> Columns:
        """Records as rules without a zone are judged on them."""
        return Columns.of_records(frame, past, self.zone_table.distances)

    def on_stays(self, frame: Frame, row: Rows, zone: Rows, past: Past | None = None) -> Columns:
        """(row, zone) pairs as rules on stays are judged on them."""
        return Columns.of_visits(frame, row, self.zone_table, zone, past)

    def looking_back(self, judged: Verdicts) -> Verdicts:
        """The verdicts of the rules that look back."""
        places = where(self._looks_back[judged.rule])
        return Verdicts(judged.rule[places], judged.code[places])

    def failures(self, judged: Verdicts, columns: Columns) -> dict[tuple[str, str], Rows]:
        """In which rows a rule ended in ERROR for which reason, by rule id and reason.

        ``columns``: the rows of the verdicts.
        """
        found: dict[tuple[str, str], Rows] = {}
        for place, rows in _errors(judged):
            compiled = self.rules[judged.rule[place]]
            for reason, of in compiled.condition.failures(columns.take(rows)).items():
                key = compiled.rule.id, reason
                known = found.get(key, np.empty(0, np.intp))
                found[key] = np.concatenate([known, rows[of]])
        return found

    def judge_records(self, frame: Frame, past: Past | None = None) -> Verdicts:
        """Judge the rules without a zone; rows in any order.

        With the ``past`` of the rows those that look back, without it all others.
        """
        within = self._scopes.within(frame)
        columns = Narrowed(self.on_records(frame, past), within)
        found = Found(len(frame))
        judge(self._met(self._on_records, within, past), columns, found)
        return found.verdicts()

    def judge_stays(
        self, frame: Frame, row: Rows, zone: Rows, past: Past | None = None
    ) -> Verdicts:
        """Judge the rules on stays for (row, zone) pairs; columns of the result are the pairs.

        With the ``past`` of the frame's rows those that look back, without it all others.
        """
        asking = set(chain.from_iterable(self._asking[z] for z in np.unique(zone).tolist()))
        within = self._scopes.within(frame if asking else frame.take(slice(0)))
        found = Found(len(row))
        for of in map(self._on_stays.__getitem__, asking):
            if batches := self._met(of.batches, within, past):
                found.places = where(of.zones[zone])
                pairs = row[found.places]
                stays = self.on_stays(frame, pairs, zone[found.places], past)
                judge(batches, Narrowed(stays, within, pairs), found)
        return found.verdicts()

    def judge_one(
        self, rule: int, expression: Expression, frame: Frame, past: Past | None = None
    ) -> Codes:
        """(n,) what another expression of a rule says of each record, in the rule's scope."""
        code = expression.judge(self.on_records(frame, past))
        return code * self.applies(rule, frame)

    def judge_one_on_stays(
        self,
        rule: int,
        expression: Expression,
        frame: Frame,
        row: Rows,
        zone: Rows,
        past: Past | None = None,
    ) -> Codes:
        """(m,) what another expression of a rule says of (row, zone) pairs, in the rule's scope."""
        codes = np.zeros(len(row), np.int8)
        asked = where(self._zones[self.rules[rule].rule.scope.zones][zone])
        found = expression.judge(self.on_stays(frame, row[asked], zone[asked], past))
        codes[asked] = found * self.applies(rule, frame)[row[asked]]
        return codes

    def applies(self, rule: int, frame: Frame) -> Bools:
        """(n,) whether the rule is about each record and in force at its time."""
        return _all(self._scopes.within(frame).mask(rule), frame)

    def why_over(self, rule: int, time_us: int) -> str:
        """Why a condition holds no more at a time, as a cleared alarm tells it."""
        if time_us >= self.to_us[rule]:
            return "rule_changed"
        timetable = self._scopes.timetables[self._scopes.of_rule[rule]]
        if timetable is not None and not timetable.open_at(np.array([time_us]))[0]:
            return "schedule_ended"
        return "condition_false"

    def is_about(self, rule: int, frame: Frame) -> Bools:
        """(n,) whether the rule is about each record, at whatever time it is in force."""
        return _all(self._scopes.within(frame).mask(rule, at_any_time=True), frame)

    def _batches(self, rules: Rows) -> Batches:
        """Rules by what they share: scope, shape of the condition, what unknown answers do."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for i in rules.tolist():
            condition, rule = self.rules[i].condition, self.rules[i].rule
            by = condition.shape if condition.parameters else i
            past = bool(self._looks_back[i]), condition.stale_us
            key = (int(self._scopes.of_rule[i]), by, rule.on_unknown, past)
            alike.setdefault(key, []).append(i)
        return Batches([Batch.of(self.rules, places, key[0]) for key, places in alike.items()])

    def _met(self, batches: Batches, within: Within, past: Past | None) -> list[Batch]:
        """The batches that are judged with this past (or none) and may meet a record."""
        judged = self._looks_back[batches.first] == (past is not None)
        met = where(judged & within.met(batches.first))
        return [batches.batches[place] for place in met.tolist()]


class _Asking(NamedTuple):
    """Rules on stays that ask about the same zones, (zones,): these share their columns."""

    zones: Bools
    batches: Batches


def _by_zones(rules: Sequence[CompiledRule], places: Rows) -> dict[ZoneScope, list[int]]:
    """The places of rules on stays, by the zones they ask about."""
    found: dict[ZoneScope, list[int]] = {}
    for i in places.tolist():
        found.setdefault(rules[i].rule.scope.zones, []).append(i)
    return found


def _about(wanted: ZoneScope, zones: Sequence[Zone]) -> Bools:
    """(zones,) True where a rule of that scope asks about the zone."""
    kinds, ids = set(wanted.kind), set(wanted.id)
    return np.array(
        [(not kinds or zone.kind in kinds) and (not ids or zone.id in ids) for zone in zones],
        np.bool_,
    )


def _all(mask: Bools | None, frame: Frame) -> Bools:
    return np.ones(len(frame), np.bool_) if mask is None else mask


def _errors(judged: Verdicts) -> Iterator[tuple[int, Rows]]:
    """The places of the rules with errors, each with the rows."""
    wrong = judged.code == ERROR
    for place in where(wrong.any(axis=1)).tolist():
        yield place, where(wrong[place])
