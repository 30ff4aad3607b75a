"""The rule book: the rules in force with their scopes, judged on columns without state."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from rules.expressions import Columns, ZoneTable
from rules.fences import Fences
from rules.rulesets import CompiledRule
from rules.tracks import FOREVER, NEVER
from schemas.frame import BODIES, KINDS, Bools, Codes, Frame, Rows

NO_ZONE: Final = -1


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


class RuleBook:
    """The rules in force, each with its scope as columns over kinds, bodies and zones."""

    def __init__(self, rules: Sequence[CompiledRule], fences: Fences) -> None:
        self.rules = tuple(rules)
        self.fences = fences
        self.zone_table = ZoneTable(fences.zones)
        # Rule id and version -> its place.
        self.place_of = {(c.rule.id, c.rule.version): i for i, c in enumerate(self.rules)}
        # (rules,) int64: how long a condition must hold, microseconds of event time.
        self.for_us = np.array([round(rule.rule.for_s * 1e6) for rule in rules], np.int64)
        self._scopes = [_Scope(rule, fences) for rule in rules]
        self._on_records = [i for i, rule in enumerate(rules) if not rule.uses_zone]
        # Rules on stays by the zones they ask about: rules that share them share their columns.
        self._on_stays: dict[bytes, list[int]] = {}
        for i, rule in enumerate(rules):
            if rule.uses_zone:
                self._on_stays.setdefault(self._scopes[i].zones.tobytes(), []).append(i)

    def zone_id(self, zone: int) -> str:
        """The id of a zone by its place, "" for ``NO_ZONE``."""
        return "" if zone == NO_ZONE else self.fences.zones[zone].id

    def judge_records(self, frame: Frame) -> Verdicts:
        """Judge the rules on the record alone; rows in any order."""
        columns = Columns.of_records(frame)
        codes = {
            i: self._scopes[i].narrow(self.rules[i].condition.judge(columns), frame)
            for i in (self._on_records if len(frame) else ())
        }
        return _verdicts(codes, len(frame))

    def judge_stays(self, frame: Frame, row: Rows, zone: Rows) -> Verdicts:
        """Judge the rules on stays for (row, zone) pairs; columns of the result are the pairs."""
        codes: dict[int, Codes] = {}
        for indices in self._on_stays.values():
            asked = np.flatnonzero(self._scopes[indices[0]].zones[zone])
            if not len(asked):
                continue
            columns = Columns.of_visits(frame, row[asked], self.zone_table, zone[asked])
            for i in indices:
                found = self._scopes[i].narrow(
                    self.rules[i].condition.judge(columns), frame, row[asked]
                )
                if found.any():
                    codes[i] = np.zeros(len(row), np.int8)
                    codes[i][asked] = found
        return _verdicts(codes, len(row))


def _verdicts(codes: dict[int, Codes], rows: int) -> Verdicts:
    found = sorted(i for i, code in codes.items() if code.any())
    stacked = np.stack([codes[i] for i in found]) if found else np.empty((0, rows), np.int8)
    return Verdicts(np.array(found, np.intp), stacked)


class _Scope:
    """Which records a rule is about; a record outside its scope or times is plainly false."""

    def __init__(self, compiled: CompiledRule, fences: Fences) -> None:
        rule = compiled.rule
        self.kinds = _chosen(KINDS, rule.scope.kinds)
        self.bodies = _chosen(BODIES, rule.scope.bodies)
        self.vehicles = tuple(rule.scope.vehicles)
        self.missions = frozenset(rule.scope.missions)
        self.from_us = NEVER if rule.effective_from_us is None else rule.effective_from_us
        self.to_us = FOREVER if rule.effective_to_us is None else rule.effective_to_us
        # (zones,) True where the rule asks about the zone.
        wanted = rule.scope.zones
        self.zones: Bools = np.array(
            [
                (not wanted.kind or zone.kind in wanted.kind)
                and (not wanted.id or zone.id in wanted.id)
                for zone in fences.zones
            ],
            np.bool_,
        )
        self._about: dict[str, bool] = {}

    def narrow(self, code: Codes, frame: Frame, rows: Rows | slice = slice(None)) -> Codes:
        """``code`` with 0 (false) where the record ``rows[i]`` is out of scope."""
        if not code.any():
            return code
        outside = self._outside(frame, rows)
        return code if outside is None else np.where(outside, np.int8(0), code)

    def _outside(self, frame: Frame, rows: Rows | slice) -> Bools | None:
        tests: list[Bools] = []
        if self.kinds is not None:
            tests.append(~self.kinds[frame.kind[rows]])
        if self.bodies is not None:
            tests.append(~self.bodies[frame.body[rows]])
        if self.vehicles:
            about = np.array([self._matches(name) for name in frame.vehicle_ids])
            tests.append(~about[frame.vehicle[rows]])
        if self.missions:
            mission = frame.text("mission_id")
            about = np.array([*(value in self.missions for value in mission.values), False])
            tests.append(~about[mission.codes[rows]])
        if self.from_us != NEVER:
            tests.append(frame.time_us[rows] < self.from_us)
        if self.to_us != FOREVER:
            tests.append(frame.time_us[rows] >= self.to_us)
        return np.logical_or.reduce(tests) if tests else None

    def _matches(self, vehicle_id: str) -> bool:
        found = self._about.get(vehicle_id)
        if found is None:
            found = any(fnmatchcase(vehicle_id, pattern) for pattern in self.vehicles)
            self._about[vehicle_id] = found
        return found


def _chosen(names: tuple[str, ...], wanted: Sequence[str]) -> Bools | None:
    return np.array([name in wanted for name in names]) if wanted else None
