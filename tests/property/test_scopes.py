"""Scopes: a rule judges the records it is about, and no other; rules about none cost nothing."""

from collections import Counter
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.expressions import Expression
from rules.fences import Fences
from rules.rulebook import RuleBook
from rules.rulesets import CompiledRule, Template
from schemas.frame import BODIES, KINDS
from schemas.rule import Rule, Scope, ZoneScope
from schemas.zone import Zone
from tests.frames import frame_of

RING = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}
ZONES = tuple(Zone(id=f"z{i}", kind="ab"[i % 2], geometry=RING) for i in range(4))
FENCES = Fences(ZONES)
VEHICLES, MISSIONS = ("auv-1", "auv-2", "ship-1", "a*"), ("m1", "m2", "m*")

some = st.lists
scopes = st.builds(
    Scope,
    kinds=some(st.sampled_from(KINDS), max_size=2).map(tuple),
    bodies=some(st.sampled_from(BODIES), max_size=2).map(tuple),
    vehicles=some(st.sampled_from([*VEHICLES, "auv-*", "*-1", "ship-[12]"]), max_size=2).map(tuple),
    missions=some(st.sampled_from(MISSIONS), max_size=2).map(tuple),
    zones=st.builds(
        ZoneScope,
        kind=some(st.sampled_from("ab"), max_size=1).map(tuple),
        id=some(st.sampled_from(["z0", "z1", "z9"]), max_size=2).map(tuple),
    ),
)
times = st.none() | st.sampled_from(["1970-01-01T00:00:03Z", "1970-01-01T00:00:06Z"])
records = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(VEHICLES),
        "time_s": st.integers(0, 9).map(float),
        "kind": st.sampled_from(KINDS),
        "body": st.sampled_from(BODIES),
    },
    optional={
        "mission_id": st.sampled_from(MISSIONS),
        "depth_m": st.sampled_from([1.0, 200.0]),
    },
)


def compiled(number: int, scope: Scope, when: str = "depth_m > 100.0", **fields) -> CompiledRule:
    rule = Rule(id=f"r{number}", when=when, severity="info", scope=scope, **fields)
    return CompiledRule(rule, Expression(rule.when), Template("", has_zone=True))


def about(rule: Rule, record: dict, zone: Zone | None) -> bool:
    scope, time_us = rule.scope, round(record["time_s"] * 1e6)
    begin, end = rule.effective_from_us, rule.effective_to_us
    tests = [
        not scope.kinds or record["kind"] in scope.kinds,
        not scope.bodies or record["body"] in scope.bodies,
        not scope.vehicles or any(fnmatchcase(record["vehicle_id"], p) for p in scope.vehicles),
        not scope.missions or record.get("mission_id") in scope.missions,
        begin is None or time_us >= begin,
        end is None or time_us < end,
        zone is None or not scope.zones.kind or zone.kind in scope.zones.kind,
        zone is None or not scope.zones.id or zone.id in scope.zones.id,
    ]
    return all(tests)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(scopes, times), min_size=1, max_size=8),
    st.lists(records, min_size=1, max_size=12),
    st.data(),
)
def test_a_rule_judges_the_records_and_stays_it_is_about(given_rules, rows, data):
    rules = [
        compiled(i, scope, effective_from=begin) for i, (scope, begin) in enumerate(given_rules)
    ]
    book, frame = RuleBook(rules, FENCES), frame_of(rows)
    row = np.array(sorted(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))), np.intp)
    zone = np.array([data.draw(st.integers(0, 3)) for _ in row], np.intp)
    value = {1.0: 0, 200.0: 1, None: 2}
    for judged, pairs in (
        (book.judge_records(frame), [(r, None) for r in range(len(rows))]),
        (book.judge_stays(frame, row, zone), list(zip(row, zone, strict=True))),
    ):
        found = dict(zip(judged.rule.tolist(), judged.code.tolist(), strict=True))
        on_stays = bool(pairs) and pairs[0][1] is not None
        for i, rule in enumerate(rules):
            wanted = [
                value[rows[r].get("depth_m")]
                if rule.uses_zone == on_stays
                and about(rule.rule, rows[r], None if z is None else ZONES[z])
                else 0
                for r, z in pairs
            ]
            assert found.get(i, [0] * len(pairs)) == wanted


@pytest.fixture
def judged(monkeypatch):
    """How often each condition was judged, and on how many rows in all."""
    times, rows, judge = Counter(), Counter(), Expression.judge_many

    def counting(self, columns, parameters):
        times[self.text] += 1
        rows[self.text] += len(columns)
        return judge(self, columns, parameters)

    monkeypatch.setattr(Expression, "judge_many", counting)
    return times, rows


def test_of_a_thousand_rules_only_those_about_a_record_of_the_frame_are_judged(judged):
    rules = [compiled(i, Scope(vehicles=(f"auv-{i}",)), f"depth_m > {i}.5") for i in range(1_000)]
    book = RuleBook(rules, FENCES)
    book.judge_records(
        frame_of(
            [{"vehicle_id": f"auv-{i}", "time_s": 0.0, "depth_m": 9.0} for i in (3, 5, 5, 7, 2_000)]
        )
    )
    times, rows = judged
    assert dict(times) == {"depth_m > 3.5": 1, "depth_m > 5.5": 1, "depth_m > 7.5": 1}
    assert dict(rows) == {"depth_m > 3.5": 1, "depth_m > 5.5": 2, "depth_m > 7.5": 1}


def test_rules_about_other_zones_bodies_missions_and_times_are_not_judged(judged):
    scopes = [
        Scope(zones=ZoneScope(id=("z1",))),
        Scope(zones=ZoneScope(id=("z2",))),
        Scope(zones=ZoneScope(kind=("b",)), bodies=("mars",)),
        Scope(bodies=("mars",)),
        Scope(missions=("m1",)),
        Scope(kinds=("rover",)),
        Scope(kinds=("auv",)),
    ]
    rules = [compiled(i, scope, f"depth_m > {i}.5") for i, scope in enumerate(scopes)]
    rules.append(compiled(9, Scope(), "depth_m > 9.5", effective_from="2026-01-01T00:00:00Z"))
    rules.append(compiled(10, Scope(), "depth_m > 10.5", effective_to="1970-01-01T00:00:00Z"))
    book = RuleBook(rules, FENCES)
    frame = frame_of([{"vehicle_id": "a", "time_s": 0.0, "depth_m": 9.0, "mission_id": "m2"}])
    book.judge_records(frame)
    book.judge_stays(frame, np.array([0]), np.array([1]))
    assert set(judged[0]) == {"depth_m > 0.5", "depth_m > 6.5"}
