"""Laws of planning: a plain loop says the same, however records come; nothing fires twice."""

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.assessment import KeyGroups
from rules.planning.group import advance
from rules.planning.intake import Intake
from rules.planning.move import Judges, Policy
from rules.planning.state import PlanningState
from schemas.frame import rfc3339
from schemas.mission_plan import StepReport
from schemas.plan_result import Rearm
from tests.frames import frame_of
from tests.planning import answers, book_of, final, plan, told
from tests.planning import given as known_from

LATENESS_S = 90
EVERY_S = 10
POLICY = Policy(
    every_us=EVERY_S * 1_000_000, lateness_us=LATENESS_S * 1_000_000, fold_us=60_000_000
)
TRIGGERS = """
- {id: low, when: battery_pct < 30.0, consecutive: 2, priority: 3, deadline: 4m}
- id: lower
  when: battery_pct < 20.0
  clear_when: battery_pct > 50.0
  for: 25s
  cooldown: 100s
- {id: timed, when: battery_pct < 40.0, rearm: time, rearm_after: 80s, every: 30s}
- {id: told, when: battery_pct < 25.0, rearm: command}
- id: trend
  forecasts:
    battery: {of: battery_pct, method: robust, look_back: 2m, horizon: 5m, limit: reserve}
  when: forecast.battery.low < plan.reserve_pct
  every: 20s
  mode: shadow
- id: heat
  forecasts: {heat: {of: sensors.hull, look_back: 90s, horizon: 2m, limit: 30}}
  when: forecast.heat.reaches_s < 60.0
- {id: quiet, absent_for: 70s}
- {id: missed, when: comms.missed >= 1.0}
- {id: step, when: mission.failed > 0.0}
"""
BOOK = book_of(TRIGGERS)
COUNT, SHARES = 45, [0.25, 0.3, 0.25, 0.14, 0.04, 0.02]


def at(second):
    return rfc3339(round(second * 1e6))


@st.composite
def fleets(draw):
    """Records of some vehicles in time order, their plans, and commands."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    records, plans, commands = [], [], []
    for v in range(draw(st.integers(1, 3))):
        name = f"v{v}"
        gaps_s = rng.choice([1.0, 3.5, 7.0, 12.0, 40.0, 150.0], COUNT, p=SHARES)
        time_s = 1000 + np.round(np.cumsum(gaps_s) + rng.uniform(0, 5), 3)
        battery = np.clip(45 + np.cumsum(rng.normal(-0.3, 4, COUNT)), 0, 100)
        hull = 10 + np.cumsum(rng.normal(0.1, 1, COUNT))
        for i in range(COUNT):
            record = {"vehicle_id": name, "time_s": float(time_s[i])}
            if rng.random() < 0.9:
                record["battery_pct"] = float(battery[i])
            if rng.random() < 0.8:
                record["sensors"] = {"hull": float(hull[i])}
            records.append(record)
        opens = sorted(rng.uniform(1000, time_s[-1], 3))
        windows = [{"opens": at(s), "closes": at(s + float(rng.uniform(5, 60)))} for s in opens]
        plans.append(plan(name, reserve_pct=25, windows=windows, steps=[{"id": "s"}]))
        if rng.random() < 0.5:
            later = float(rng.uniform(1000, time_s[-1]))
            plans.append(plan(name, at(later), reserve_pct=60, version=2, windows=windows[1:]))
        failed = float(rng.uniform(1000, time_s[-1]))
        plans.append(StepReport(vehicle_id=name, time=at(failed), step_id="s", status="failed"))
        commands += [
            Rearm(vehicle_id=name, time=at(moment), trigger_id=trigger)
            for trigger, moment in zip(
                rng.choice(["", "told", "low"], 2),
                rng.uniform(1000, time_s[-1], 2).tolist(),
                strict=True,
            )
        ]
    records.sort(key=lambda r: r["time_s"])
    return records, plans, commands


cuts = st.lists(st.integers(0, 135), max_size=12)


def judge(fleet, places=(), **more):
    records, plans, commands = fleet
    known = known_from(plans, commands)
    return told(BOOK, records, places, policy=POLICY, known=known, **more)


@settings(max_examples=7, deadline=None)
@given(fleets(), cuts, st.integers(1, 4), st.sets(st.integers(0, 12)))
def test_neither_frames_nor_groups_nor_restarts_change_what_holds(fleet, places, groups, resumed):
    whole = judge(fleet, range(0, 135, 40))
    other = judge(fleet, places, groups=groups, resumed=resumed)
    # With other groups time comes on elsewhere, never what happened until the end of the input.
    assert answers(whole) == answers(other)


@settings(max_examples=7, deadline=None)
@given(fleets(), cuts, st.randoms(use_true_random=False))
def test_any_order_within_the_lateness_ends_with_the_same(fleet, places, rng):
    records, plans, commands = fleet
    late = sorted(records, key=lambda r: r["time_s"] + rng.uniform(0, LATENESS_S))
    expected = answers(judge(fleet, range(0, 135, 40)))
    assert answers(judge((late, plans, commands), places)) == expected


@settings(max_examples=4, deadline=None)
@given(fleets(), cuts)
def test_the_same_records_in_the_same_frames_give_the_same_words_again(fleet, places):
    first = judge(fleet, places)
    again = judge(fleet, places, resumed=range(20))
    assert [(d.topic, d.event) for d in first] == [(d.topic, d.event) for d in again]


def judged_by_hand(records):
    """The records that are judged of a vehicle: the first of each slice."""
    slices = {}
    for record in sorted(records, key=lambda r: r["time_s"]):
        slices.setdefault(record["time_s"] // EVERY_S, record)
    return [slices[key] for key in sorted(slices)]


def low_by_hand(rows, commands):
    """``low``: two in a row, armed again once it is false, or told to."""
    count, passive, found, commands = 0, False, [], sorted(commands)
    for row in rows:
        while commands and commands[0] <= row["time_s"]:
            commands.pop(0)
            count, passive = 0, False
        if "battery_pct" not in row:
            continue
        if row["battery_pct"] < 30.0:
            count += 1
            if not passive and count >= 2:
                found.append(row["time_s"])
                passive, count = True, 0
        else:
            count, passive = 0, False
    return found


def lower_by_hand(rows, commands):
    """``lower``: for 25 s, armed above 50 only, 100 s apart."""
    since, passive, last, found, commands = None, False, -1e9, [], sorted(commands)
    for row in rows:
        while commands and commands[0] <= row["time_s"]:
            commands.pop(0)
            since, passive = None, False
        if "battery_pct" not in row:
            continue
        now = row["time_s"]
        if row["battery_pct"] >= 20.0:
            since = None
            passive = passive and row["battery_pct"] <= 50.0
        elif not passive:
            since = now if since is None else since
            if now - since >= 25 and now - last >= 100:
                found.append(now)
                passive, last, since = True, now, None
    return found


def quiet_by_hand(records, end_s):
    """``quiet``: 70 s after a record behind which none came, or the input went on without it."""
    times = sorted(r["time_s"] for r in records)
    following = [*times[1:], end_s + 1e-6]
    return [a + 70 for a, b in zip(times, following, strict=True) if a + 70 < b]


@settings(max_examples=10, deadline=None)
@given(fleets(), cuts)
def test_triggers_fire_when_a_loop_over_the_judged_records_says(fleet, places):
    records, _, commands = fleet
    by_vehicle = {}
    for event in final(judge(fleet, places)).values():
        for reason in event.data.get("reasons", []):
            key = event.vehicle_id, reason["trigger_id"]
            by_vehicle.setdefault(key, []).append(reason["time"])
    end_s = max(r["time_s"] for r in records)
    for name in {r["vehicle_id"] for r in records}:
        own = [r for r in records if r["vehicle_id"] == name]
        rows = judged_by_hand(own)
        own_commands = [c for c in commands if c.vehicle_id == name]
        told_to = {
            trigger: [c.time_us / 1e6 for c in own_commands if c.trigger_id in ("", trigger)]
            for trigger in ("low", "lower", "quiet")
        }
        expected = {
            "low": low_by_hand(rows, told_to["low"]),
            "lower": lower_by_hand(rows, told_to["lower"]),
        }
        if not told_to["quiet"]:
            expected["quiet"] = quiet_by_hand(own, end_s)
        for trigger, times in expected.items():
            assert sorted(by_vehicle.get((name, trigger), [])) == [at(t) for t in times], trigger


@settings(max_examples=7, deadline=None)
@given(fleets(), st.randoms(use_true_random=False), st.sets(st.integers(0, 30)))
def test_nothing_fires_twice_without_being_armed_through_crash_and_resume(fleet, rng, resumed):
    """``told`` is armed by commands alone: it never fires more often than that, plus once."""
    records, plans, commands = fleet
    late = sorted(records, key=lambda r: r["time_s"] + rng.uniform(0, LATENESS_S))
    found = judge((late, plans, commands), range(0, 135, 9), resumed=resumed)
    for name in {r["vehicle_id"] for r in records}:
        armed = sorted(
            c.time_us for c in commands if c.vehicle_id == name and c.trigger_id in ("", "told")
        )
        times = sorted(
            reason["time"]
            for event in final(found).values()
            if event.vehicle_id == name
            for reason in event.data.get("reasons", [])
            if reason["trigger_id"] == "told"
        )
        between = [bisect_right([at(us / 1e6) for us in armed], time) for time in times]
        assert len(between) == len(set(between))


@settings(max_examples=2, deadline=None)
@given(fleets())
def test_what_is_remembered_is_bounded_by_what_may_still_change(fleet):
    records, plans, commands = fleet
    judges = Judges(BOOK, POLICY, known_from(plans, commands))
    intake = Intake(POLICY.every_us, KeyGroups(1), BOOK.sensors, BOOK.kinds)
    state = PlanningState()
    for lap in range(6):
        shift = lap * 5_000.0
        for i in range(0, len(records), 30):
            moved = [r | {"time_s": r["time_s"] + shift} for r in records[i : i + 30]]
            if whole := intake.whole(frame_of(moved)):
                state, _ = advance(judges, state, whole.part)
    per_vehicle = np.bincount(state.pending.slot)
    # Twice what the lateness spans, and what is not worth a pass of its own.
    assert per_vehicle.max() <= 2 * (LATENESS_S / EVERY_S + 2) + 64
    assert len(state.samples.key) <= len(per_vehicle) * (2 * 34 + 30 + 64)
    assert all(len(fires) < 200 for fires in state.fires.values())
    assert pytest.approx(state.clock_us / 1e6, abs=1e-3) == records[-1]["time_s"] + 5 * 5_000.0
