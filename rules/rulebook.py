"""The rule book: the rules in force with their scopes, judged on columns without state."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np

from rules.expressions import ERROR, FALSE, TRUE, UNKNOWN, Columns, Expression, ZoneTable
from rules.fences import Fences
from rules.last_records import LookBack
from rules.past import Past
from rules.rule_times import RuleTimes
from rules.rulesets import CompiledRule
from rules.scopes import Scopes, Within
from schemas.frame import Bools, Codes, Frame, Rows, where
from schemas.rule import ZoneScope
from schemas.zone import Zone

NO_ZONE: Final = -1
_BATCH_CODES: Final = 1 << 16
_UNKNOWN_AS: Final = {"raise": TRUE, "clear": FALSE}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What rules say of rows: ``code`` (rules, n) int8 as of ``rules.expressions``.

    ``rule``: (rules,) ascending index into ``RuleBook.rules``; rules false in every row are left
    out.
    """

    rule: Rows
    code: Codes

    def take(self, rows: Rows | slice) -> "Verdicts":
        """The verdicts on the given rows."""
        return Verdicts(self.rule, self.code[:, rows])

    def plus(self, other: "Verdicts") -> "Verdicts":
        """These verdicts and those of other rules on the same rows."""
        rule = np.concatenate([self.rule, other.rule])
        order = np.argsort(rule)
        return Verdicts(rule[order], np.concatenate([self.code, other.code])[order])


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
        # What an unknown answer of a rule counts as, where it does not stay one.
        self._unknown_as = {
            i: _UNKNOWN_AS[compiled.rule.on_unknown]
            for i, compiled in enumerate(rules)
            if compiled.rule.on_unknown in _UNKNOWN_AS
        }
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
        columns = _Narrowed(self.on_records(frame, past))
        found = _Found(len(frame))
        for batch in self._met(self._on_records, within, past):
            self._judge(batch, columns, within, found)
        return found.verdicts()

    def judge_stays(
        self, frame: Frame, row: Rows, zone: Rows, past: Past | None = None
    ) -> Verdicts:
        """Judge the rules on stays for (row, zone) pairs; columns of the result are the pairs.

        With the ``past`` of the frame's rows those that look back, without it all others.
        """
        asking = set(chain.from_iterable(self._asking[z] for z in np.unique(zone).tolist()))
        within = self._scopes.within(frame if asking else frame.take(slice(0)))
        found = _Found(len(row))
        for of in map(self._on_stays.__getitem__, asking):
            if batches := self._met(of.batches, within, past):
                found.places = where(of.zones[zone])
                pairs = row[found.places]
                columns = _Narrowed(self.on_stays(frame, pairs, zone[found.places], past), pairs)
                for batch in batches:
                    self._judge(batch, columns, within, found)
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

    def _batches(self, rules: Rows) -> "_Batches":
        """Rules by what they share: scope, shape of the condition, what unknown answers do."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for i in rules.tolist():
            condition, rule = self.rules[i].condition, self.rules[i].rule
            by = condition.shape if condition.parameters else i
            past = bool(self._looks_back[i]), condition.stale_us
            key = (int(self._scopes.of_rule[i]), by, rule.on_unknown, past)
            alike.setdefault(key, []).append(i)
        return _Batches([_Batch.of(self.rules, places) for places in alike.values()])

    def _met(self, batches: "_Batches", within: Within, past: Past | None) -> list["_Batch"]:
        """The batches that are judged with this past (or none) and may meet a record."""
        judged = self._looks_back[batches.first] == (past is not None)
        met = where(judged & within.met(batches.first))
        return [batches.batches[place] for place in met.tolist()]

    def _judge(
        self, batch: "_Batch", columns: "_Narrowed", within: Within, found: "_Found"
    ) -> None:
        """Add what the rules of a batch say: false where they are not about a row."""
        part = columns.within(within.mask(int(batch.rules[0])))
        if not len(part.columns):
            return
        for rules, code in batch.judge(self.rules, part.columns):
            known_as = self._unknown_as.get(int(rules[0]))
            if known_as is not None:
                code[code == UNKNOWN] = known_as
            if part.rows is None and part.mask is not None:
                code[:, ~part.mask] = FALSE
            found.add(rules, code, part.rows)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rules of one scope whose conditions differ in numbers alone: judged together.

    ``rules``: (k,). ``parameters``: (k, 1) each, the numbers; none where there is one rule.
    """

    rules: Rows
    parameters: tuple[Any, ...]

    @classmethod
    def of(cls, rules: Sequence[CompiledRule], places: Sequence[int]) -> "_Batch":
        """The batch of the rules at the given places."""
        numbers = [rules[i].condition.parameters for i in places] if len(places) > 1 else []
        columns = zip(*numbers, strict=True)
        return cls(
            np.array(places, np.intp),
            tuple(np.array(column).reshape(-1, 1) for column in columns),
        )

    def judge(
        self, rules: Sequence[CompiledRule], columns: Columns
    ) -> Iterator[tuple[Rows, Codes]]:
        """What they say, (some of k, n) at a time: so much that it stays in the cache."""
        condition = rules[self.rules[0]].condition
        if not self.parameters:
            yield self.rules, condition.judge(columns)[np.newaxis]
            return
        step = max(_BATCH_CODES // len(columns), 1)
        for first in range(0, len(self.rules), step):
            some = slice(first, first + step)
            numbers = [column[some] for column in self.parameters]
            yield self.rules[some], condition.judge_many(columns, numbers)


class _Batches:
    """All batches of some rules; ``first``: (batches,) the first rule of each."""

    def __init__(self, batches: Sequence[_Batch]) -> None:
        self.batches = tuple(batches)
        self.first = np.array([batch.rules[0] for batch in batches], np.intp)


class _Found:
    """Verdicts on n rows as they are found; ``places``: the rows judged now, None = all."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._rules: list[Rows] = []
        self._codes: list[Codes] = []
        self.places: Rows | None = None

    def add(self, rules: Rows, code: Codes, rows: Rows | None) -> None:
        """Add verdicts on the rows judged now; ``rows``: which of them, None = all."""
        said = np.flatnonzero(code.any(axis=1))
        if not len(said):
            return
        if len(said) < len(rules):
            rules, code = rules[said], code[said]
        if rows is None:
            rows = self.places
        elif self.places is not None:
            rows = self.places[rows]
        if rows is not None:
            whole = np.zeros((len(rules), self._n), np.int8)
            whole[:, rows] = code
            code = whole
        self._rules.append(rules)
        self._codes.append(code)

    def verdicts(self) -> Verdicts:
        """All of them, by rule."""
        if not self._rules:
            return Verdicts(np.empty(0, np.intp), np.empty((0, self._n), np.int8))
        rules = np.concatenate(self._rules)
        order = np.argsort(rules)
        return Verdicts(rules[order], np.concatenate(self._codes)[order])


class _Part(NamedTuple):
    """What a rule looks at: ``columns`` of ``rows``, None = of all, and which of all it is about.

    ``mask``: (n,), None = about all.
    """

    columns: Columns
    rows: Rows | None
    mask: Bools | None


class _Narrowed:
    """Columns that rules of one scope look at together, cut to the rows which they are about.

    ``row``: (n,) the record of each row, where rows are not the records themselves.
    """

    def __init__(self, columns: Columns, row: Rows | None = None) -> None:
        self._columns, self._row = columns, row
        # By the mask's identity: a scope has one mask, kept here so that no other has its place.
        self._parts: dict[int, tuple[Bools, _Part]] = {}

    def __len__(self) -> int:
        return len(self._columns)

    def within(self, mask: Bools | None) -> _Part:
        """What a rule about the records in ``mask`` looks at.

        Where that is most of the rows, what all rules share is cheaper than a cut.
        """
        if mask is None:
            return _Part(self._columns, None, None)
        known = self._parts.get(id(mask))
        if known is None:
            about = mask if self._row is None else mask[self._row]
            rows = where(about)
            if 2 * len(rows) < len(about):
                part = _Part(self._columns.take(rows), rows, about)
            else:
                part = _Part(self._columns, None, about)
            known = self._parts[id(mask)] = (mask, part)
        return known[1]


class _Asking(NamedTuple):
    """Rules on stays that ask about the same zones, (zones,): these share their columns."""

    zones: Bools
    batches: _Batches


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
