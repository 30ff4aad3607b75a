"""Idle parts of a live source: their time goes on by the wall clock from where it was."""

import pytest

from connectors.contract import SettingsError
from flows.settings import Settings
from flows.steps.editions import Editions
from flows.steps.idle import Idle, going_on, hearing, idle_of
from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.clocks import Mark
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_RAISED
from tests.frames import frame_of

RULES = b'- {id: silent, when: "true", absent_for: 60s, severity: critical}'


def test_time_goes_on_only_after_a_part_has_been_idle_for_long_enough():
    now_s = 100.0
    idle = Idle(30, lambda: now_s)
    assert idle.marks() == []
    idle.hear(Mark("p", 5_000_000))
    now_s = 120.0
    idle.hear(Mark("q", 9_000_000))
    assert idle.marks() == []
    now_s = 131.4
    assert idle.marks() == [Mark("p", 36_000_000)]
    idle.hear(Mark("p", 6_000_000))
    assert idle.marks() == []


def test_a_source_that_is_silent_altogether_gives_alarms_that_records_correct():
    registry = Registry.of((), load_rules(RULES, "rules").rules)
    now_s, policy = 0.0, group.Policy()
    idle = Idle(10, lambda: now_s)
    advance = hearing(idle, lambda state, seen: group.advance(policy, registry, state, seen))
    go_on = going_on(idle, Editions(registry), policy)
    assert go_on is not None
    assessor = Assessor(registry, Limits(), KeyGroups(1), skew_us=0)
    [seen] = assessor.assess(frame_of([{"vehicle_id": "a", "time_s": 1000.0}]))
    state, told = advance(group.GroupState(), seen)
    now_s = 59.0
    state, told = go_on(state)
    assert told == []
    now_s = 61.0
    state, told = go_on(state)
    raised = told[0].event
    assert (raised.type, raised.time_us) == (ALARM_RAISED, 1_060_000_000)
    assert go_on(state)[1] == []
    # What had been stored on the way says that it was not silent.
    [seen] = assessor.assess(frame_of([{"vehicle_id": "a", "time_s": 1010.0}]))
    state, told = advance(state, seen)
    withdrawn = told[0].event
    assert (withdrawn.event_id, withdrawn.version) == (raised.event_id, 2)
    assert withdrawn.retracted


@pytest.mark.parametrize("telemetry", ["file:a.ndjson", "kafka://broker/topic?until=end"])
def test_a_replay_has_no_wall_clock(telemetry):
    with pytest.raises(SettingsError, match="leave FARWATCH_IDLE_S out"):
        idle_of(Settings(telemetry=telemetry, idle_s=5))
    assert idle_of(Settings(telemetry=telemetry)) is None
    assert idle_of(Settings(telemetry="kafka://broker/topic", idle_s=5)) is not None
