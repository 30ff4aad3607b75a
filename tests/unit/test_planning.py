"""Planning: what the shipped triggers ask for a plan by, and what becomes of a request."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

from rules.assessment import KeyGroups
from rules.planning.group import advance
from rules.planning.intake import Given, Intake
from rules.planning.move import Judges, Policy
from rules.planning.part import Part, Scores
from rules.planning.state import PlanningState
from schemas.earth_sun import EARTH
from schemas.frame import rfc3339
from schemas.mars_time import MISSIONS, SOL_S, time_us_at_sol_date
from schemas.mission_plan import StepReport
from schemas.plan_result import PlanResult, Rearm
from schemas.zone_file import load_zones
from tests.frames import frame_of
from tests.planning import book_of, final, fired, given, plan, requests, seconds, told

LIBRARY = Path(__file__).resolve().parents[2] / "rules" / "library"
HOUR = 3_600


def zones(kind="hazard", vehicle_east=1.0):
    ring = [[vehicle_east, -1], [2, -1], [2, 1], [vehicle_east, 1], [vehicle_east, -1]]
    feature = {
        "type": "Feature",
        "id": "h1",
        "properties": {"kind": kind},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    return load_zones(text.encode(), "zones.geojson")


def at(second):
    return rfc3339(round(second * 1e6))


def drive(hours, every_s=60, **fields):
    """Records of a rover or AUV: each field a number or a function of the second."""
    return [
        {
            "vehicle_id": "a",
            "time_s": second,
            **{k: v(second) if callable(v) else v for k, v in fields.items()},
        }
        for second in range(0, round(hours * HOUR), every_s)
    ]


def scores(*triples):
    """Hazard scores of vehicle a: (second, upper bound, metres to the hazard or None)."""
    time_s, upper, ahead_m = zip(*triples, strict=True)
    at_us = np.array([round(t * 1e6) for t in time_s], np.int64)
    away_m = [np.nan if m is None else m for m in ahead_m]
    values = np.array([np.array(upper) / 2, upper, away_m, range(len(triples))], np.float64)
    return Scores(("a",) * len(triples), at_us, values)


CALM = {"battery_pct": 80.0, "temperature_c": 10.0, "speed_mps": 0.05}
WINDOW = {"opens": at(2 * HOUR), "closes": at(2.2 * HOUR)}
PLAN = {
    "reserve_pct": 20,
    "next_charge": at(20 * HOUR),
    "max_temperature_c": 40,
    "steps": [{"id": "s1"}, {"id": "s2"}],
}
# What differs from a calm day, by the shipped trigger that it must fire: fields, plan, other.
CAUSES = {
    "battery-before-charge": ({"battery_pct": lambda s: 80.0 - 6.0 * s / HOUR}, {}),
    "battery-before-sunrise": (
        {"battery_pct": lambda s: 70.0 - 9.0 * s / HOUR},
        {"next_charge": None},
    ),
    "thermal-limit": ({"temperature_c": lambda s: 10.0 + 12.0 * s / HOUR}, {}),
    "zone-ahead": (
        {"longitude": lambda s: 0.9 + s * 1e-5, "heading_deg": 90.0, "speed_mps": 1.1},
        {},
    ),
    "goal-unreachable": (
        {"longitude": lambda s: -1e-6 * s},
        {"goal": {"longitude": 0.5, "latitude": 0.0, "by": at(6 * HOUR)}},
    ),
    "window-opens": ({}, {"windows": [WINDOW], "steps": []}),
    "window-missed": ({}, {"windows": [WINDOW]}),
    "silent": ({}, {}),
    "step-failed": ({}, {}),
    "steps-done": ({}, {}),
    "hazard-ahead": ({}, {}),
}


def shipped(kind):
    return (LIBRARY / f"triggers-{kind}.yaml").read_text()


# Causes of one kind alone: the night of the day below, 0 N 0 E on 1970-01-01, ends at six.
OF_ROVERS = {"battery-before-sunrise"}


def causes(kind):
    return set(CAUSES) - (OF_ROVERS if kind == "auv" else set())


def day(kind, cause=""):
    """Records, plans and parts of a day on which there is that cause, and no other."""
    fields, planned = CAUSES.get(cause, ({}, {}))
    base = {"longitude": lambda s: 1e-9 * s, "latitude": 0.0, "kind": kind, **CALM}
    records = drive(5, **{**base, **fields})
    steps, parts = [], {}
    if cause == "window-missed":
        records = [r for r in records if not 1.9 * HOUR < r["time_s"] < 2.5 * HOUR]
    if cause == "silent":
        records += [r | {"time_s": r["time_s"] + 40 * HOUR} for r in records]
    if cause in ("step-failed", "steps-done"):
        status = "failed" if cause == "step-failed" else "done"
        steps = [
            StepReport(vehicle_id="a", time=at(HOUR), step_id=name, status=status)
            for name in ("s1", "s2")
        ]
    if cause == "hazard-ahead":
        parts = {
            0: Part(("group-0000",), scores=scores((HOUR, 0.2, None), (1.5 * HOUR, 0.9, 15.0)))
        }
    else:
        parts = {0: Part(("group-0000",), scores=scores((0, 0.3, None), (HOUR, 0.4, 900.0)))}
    if cause == "goal-unreachable":
        records = records + [r | {"time_s": r["time_s"] + 5 * HOUR} for r in records[: HOUR // 60]]
    return records, [plan(**{**PLAN, **planned}), *steps], parts


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(kind, cause) for kind in ("auv", "rover") for cause in ("", *sorted(causes(kind)))],
)
def test_each_shipped_trigger_fires_for_its_cause_and_no_other_does(kind, cause):
    book = book_of(shipped(kind), zones())
    records, planned, parts = day(kind, cause)
    found = told(book, records, known=given(planned), heard=parts)
    names = {t.trigger.id: t.trigger for t in book.triggers}
    assert {
        name.partition("-")[2]
        .replace("pass-soon", "window-opens")
        .replace("pass-missed", "window-missed")
        for name in names
    } == causes(kind)
    told_of = {
        reason["trigger_id"]
        for topic in ("plan_requests", "shadow_plan_requests")
        for event in requests(found, topic)
        for reason in event.data["reasons"]
    }
    wanted = {
        "window-opens": {"auv": "auv-window-opens", "rover": "rover-pass-soon"},
        "window-missed": {"auv": "auv-window-missed", "rover": "rover-pass-missed"},
    }.get(cause, {kind: f"{kind}-{cause}"})[kind]
    assert told_of == ({wanted} if cause else set())


@pytest.mark.parametrize("kind", ["auv", "rover"])
def test_shipped_triggers_name_their_source_and_only_what_is_planned_for_is_limited(kind):
    for trigger in yaml.safe_load(shipped(kind)):
        assert trigger["source"].strip(), trigger["id"]
        assert trigger["scope"]["kinds"], trigger["id"]
        assert trigger["message"], trigger["id"]


LOW = (
    "- {id: low, when: battery_pct < 20.0, deadline: 1h, priority: 4, message: '{battery_pct} %'}\n"
)
HOT = "- {id: hot, when: temperature_c > 50.0, deadline: 30m, priority: 8, severity: critical}\n"


def test_a_request_says_why_what_is_and_what_to_mind():
    text = """
- id: low
  forecasts:
    battery: {of: battery_pct, look_back: 30m, horizon: 4h, until: next_charge, limit: reserve}
  when: forecast.battery.low < plan.reserve_pct && ahead.zone_in_s < 900.0
  scope: {zones: {kind: [hazard]}}
  message: "{vehicle_id} at {battery_pct} %"
"""
    records = drive(
        1,
        battery_pct=lambda s: 60.0 - 20.0 * s / HOUR,
        temperature_c=31.0,
        power_generation_w=5.0,
        longitude=0.999,
        latitude=0.0,
        heading_deg=90.0,
        speed_mps=1.0,
        message_id=lambda s: f"m{s}",
    )
    known = plan(
        plan_id="p7",
        reserve_pct=15,
        next_charge=at(4 * HOUR),
        max_temperature_c=45,
        goal={"longitude": 1.5, "latitude": 0.0, "by": at(9 * HOUR)},
        windows=[WINDOW],
        avoid=["h1", "z9"],
    )
    (event,) = requests(told(book_of(text, zones()), records, known=given([known])))
    data = event.data
    (reason,) = data["reasons"]
    now_s = seconds(data["time"])
    battery = 60.0 - 20.0 * now_s / HOUR
    assert reason["message"] == f"a at {battery:.2f}".rstrip("0").rstrip(".") + " %"
    assert reason["decision"]["fixes"] == [f"m{now_s:.0f}"]
    inputs = reason["decision"]["inputs"]
    assert inputs["plan.reserve_pct"] == 15.0
    assert inputs["ahead.zone_in_s"] == pytest.approx(111.3, abs=0.1)
    forecast = reason["forecasts"]["battery"]
    assert (forecast["method"], forecast["confidence"], forecast["until"]) == (
        *("linear", 0.9, "next_charge"),
    )
    assert forecast["horizon_s"] == 4 * HOUR - now_s
    assert forecast["value"] == pytest.approx(-20.0)
    assert forecast["per_h"] == pytest.approx(-20.0)
    assert forecast["reaches_s"] == pytest.approx((battery - 15) / 20 * HOUR)
    context = data["context"]
    assert context["state"]["battery_pct"] == battery
    assert context["plan"] == {"plan_id": "p7", "version": 1}
    constraints = context["constraints"]
    assert constraints["energy"] == {
        "battery_pct": battery,
        "reserve_pct": 15.0,
        "next_charge": at(4 * HOUR),
        "generation_w": 5.0,
        "consumption_w": None,
    }
    assert constraints["thermal"] == {"temperature_c": 31.0, "max_temperature_c": 45.0}
    assert constraints["goal"]["distance_m"] == pytest.approx(55_771, abs=1)
    assert constraints["time_windows"] == [WINDOW]
    assert [zone["zone_id"] for zone in constraints["zones_to_avoid"]] == ["h1", "z9"]
    assert constraints["zones_to_avoid"][0]["in_s"] == pytest.approx(111.3, abs=0.1)
    assert seconds(data["deadline"]) == now_s + HOUR


def test_a_request_tells_the_hazards_ahead_and_the_way_to_go_that_its_trigger_does_not_read():
    records = drive(1, battery_pct=lambda s: 30.0 - s / 180, longitude=0.0, latitude=0.0)
    known = plan(goal={"longitude": 0.0, "latitude": 0.01, "radius_m": 100.0})
    parts = {0: Part(("group-0000",), scores=scores((600, 0.2, None), (1_200, 0.8, 35.0)))}
    (event,) = requests(told(book_of(LOW), records, known=given([known]), heard=parts))
    constraints = event.data["context"]["constraints"]
    assert constraints["hazards_ahead"] == [{"score": 0.4, "upper": 0.8, "ahead_m": 35.0}]
    assert constraints["goal"]["distance_m"] == pytest.approx(1_105.74 - 100.0, abs=0.01)
    (event,) = requests(told(book_of(LOW), records))
    constraints = event.data["context"]["constraints"]
    assert (constraints["hazards_ahead"], constraints["goal"]) == ([], None)


SUNS = ("elevation_deg", "rises_in_s", "sets_in_s", "mean_solar_time_h", "true_solar_time_h")


def suns(records, name):
    """What a trigger told of ``sun.NAME`` at the first record; None = it is not known."""
    text = f"- {{id: sun, when: 'has(sun.{name}) && sun.{name} > -1e9'}}"
    found = requests(told(book_of(text), records))
    return found[0].data["reasons"][0]["decision"]["inputs"][f"sun.{name}"] if found else None


def test_triggers_know_the_sun_and_the_sols_where_there_are_any():
    # Perseverance on its sol 1127, at 03:00 by its clock's longitude.
    sol = np.array([1127.125 + MISSIONS["mars2020"][0]])
    time_us = time_us_at_sol_date(sol - 77.43 / 360)
    here = {"vehicle_id": "a", "time_s": float(time_us[0]) / 1e6, "longitude": 77.43}
    here |= {"latitude": 18.49, "kind": "rover", "body": "mars", "mission_id": "mars2020"}
    seen = {name: suns([here], name) for name in (*SUNS, "local_sol", "mission_sol")}
    assert seen["mission_sol"] == 1127.0
    assert seen["local_sol"] == 1127.0 + MISSIONS["mars2020"][0]
    assert seen["mean_solar_time_h"] == pytest.approx(3.0, abs=1e-4)
    assert abs(seen["true_solar_time_h"] - 3.0) < 0.9
    assert seen["elevation_deg"] < -20.0
    # MEDA tells 06:13:15 and 17:11:36 of local mean time, whose seconds are those of a sol.
    rises_s, sets_s = (6 * 60 + 13) * 60 + 15 - 3 * HOUR, (17 * 60 + 11) * 60 + 36 - 3 * HOUR
    assert seen["rises_in_s"] / SOL_S * 86_400 == pytest.approx(rises_s, abs=40)
    assert seen["sets_in_s"] / SOL_S * 86_400 == pytest.approx(sets_s, abs=40)
    for lacking, known in (
        ({"body": "moon"}, {"mission_sol"}),
        ({"body": "earth", "mission_id": None}, set(SUNS)),
        ({"mission_id": "viking"}, {*SUNS, "local_sol"}),
        ({"longitude": None, "latitude": None}, {"mission_sol"}),
    ):
        record = {key: value for key, value in (here | lacking).items() if value is not None}
        assert {name for name in seen if suns([record], name) is not None} == known, lacking


def test_a_forecast_until_sunrise_looks_to_when_the_sun_rises():
    text = """
- id: night
  forecasts: {battery: {of: battery_pct, look_back: 30m, horizon: 1d, until: sunrise}}
  when: forecast.battery.value < 25.0
"""
    place = {"longitude": 0.0, "latitude": 0.0}
    records = drive(3, battery_pct=lambda s: 80.0 - 10.0 * s / HOUR)
    (event,) = requests(told(book_of(text), [record | place for record in records]))
    (reason,) = event.data["reasons"]
    now_us = np.array([event.happened_us])
    horizon_s = reason["forecasts"]["battery"]["horizon_s"]
    assert horizon_s == pytest.approx(EARTH.rises_in_s(now_us, np.zeros(1), np.zeros(1))[0])
    # The sun rises at 05:59 over 0, 0 on that day.
    assert horizon_s + event.happened_us / 1e6 == pytest.approx(6 * HOUR, abs=120)
    assert reason["forecasts"]["battery"]["value"] == pytest.approx(20.0, abs=0.5)
    # Where nobody knows the place all of the horizon counts.
    (event,) = requests(told(book_of(text), records))
    assert event.data["reasons"][0]["forecasts"]["battery"]["horizon_s"] == 24 * HOUR


def test_reasons_within_the_fold_are_one_request_and_later_ones_another():
    records = drive(
        1.5,
        battery_pct=lambda s: 50.0 if s < 600 else 10.0,
        temperature_c=lambda s: 60.0 * (s >= 780),
    )
    book = book_of(LOW + HOT)
    events = [d.event for d in told(book, records, range(90)) if d.topic == "plan_requests"]
    asked = [event for event in events if event.type == "farwatch.plan.requested.v1"]
    assert [(e.version, len(e.data["reasons"]), e.data["trigger_id"]) for e in asked] == [
        *((1, 1, "low"), (2, 2, "hot")),
    ]
    assert len({event.event_id for event in asked}) == 1
    assert asked[1].data["priority"] == 8
    assert seconds(asked[1].data["deadline"]) == 780 + 30 * 60
    apart = told(book, records, policy=Policy(fold_us=60_000_000))
    assert [e.data["trigger_id"] for e in requests(apart)] == ["low", "hot"]


def test_shadow_triggers_are_judged_and_recorded_but_nobody_is_asked_or_alarmed():
    records = drive(3, battery_pct=10.0)
    found = told(book_of(LOW.replace("priority", "mode: shadow, priority")), records)
    assert {d.topic for d in found} == {"shadow_plan_requests"}
    assert [e.data["mode"] for e in requests(found, "shadow_plan_requests")] == ["shadow"]


def states(found):
    """What was told of requests, and topics of alarms, in order."""
    return [
        d.event.data["state"] if d.topic == "plan_requests" else d.event.type.split(".")[2]
        for d in found
    ]


def request_id():
    (event,) = requests(told(book_of(LOW), drive(0.1, battery_pct=10.0)))
    return event.data["request_id"]


def result(second, status, **more):
    return PlanResult(
        vehicle_id="a", time=at(second), request_id=request_id(), status=status, **more
    )


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], ["requested", "expired", "raised"]),
        ([(60, "accepted")], ["requested", "accepted", "expired", "raised"]),
        ([(60, "accepted"), (600, "answered")], ["requested", "accepted", "answered"]),
        ([(600, "rejected")], ["requested", "rejected"]),
        ([(3600, "answered")], ["requested", "answered"]),
        ([(600, "rejected"), (700, "answered")], ["requested", "rejected"]),
        ([(4000, "answered")], ["answered", "cleared", "expired", "raised", "requested"]),
    ],
)
def test_the_life_of_a_request(results, expected):
    records = drive(3, battery_pct=10.0)
    answers = [result(second, status) for second, status in results]
    found = final(told(book_of(LOW), records, range(0, 180, 5), known=given([], answers)))
    told_of = sorted(
        event.data["state"] if topic == "plan_requests" else event.type.split(".")[2]
        for (topic, _), event in found.items()
    )
    assert told_of == sorted(expected)
    late = [e.data["late"] for (_, _), e in found.items() if e.type.endswith("answered.v1")]
    assert late in ([], [bool(results) and results[-1][0] > 3600])


def test_nobody_answering_by_the_deadline_raises_an_alarm_with_its_decision():
    found = final(told(book_of(LOW + HOT), drive(3, battery_pct=10.0, temperature_c=80.0)))
    (alarm,) = [e for (topic, _), e in found.items() if topic == "compliance_violations"]
    assert alarm.data["rule_id"] == "no-plan-by-deadline"
    assert (alarm.data["severity"], alarm.happened_us) == ("critical", 1_800_000_000)
    assert alarm.data["decision"]["limit"] == 1800.0
    assert alarm.data["message"] == "a: no plan 1800 s after hot asked for one"


def test_an_answer_that_comes_after_the_expiry_was_told_but_was_in_time_takes_it_back():
    records = drive(3, battery_pct=10.0)
    heard = {61: Part(("group-0000",), answers=(result(3500, "answered", plan_id="p2"),))}
    found = told(book_of(LOW), records, range(180), heard=heard)
    assert states(found)[:3] == ["requested", "expired", "raised"]
    held = final(found)
    assert sorted(e.type.split(".")[2] for e in held.values()) == ["answered", "requested"]
    retracted = [d.event.type.split(".")[2] for d in found if d.event.retracted]
    assert sorted(retracted) == ["expired", "raised"]


def test_results_and_commands_that_are_nobodys_are_dead_letters():
    records = drive(3, battery_pct=50.0)
    stray = PlanResult(vehicle_id="a", time=at(60), request_id="f" * 32, status="answered")
    nobody = Rearm(vehicle_id="b", time=at(60))
    unknown = Rearm(vehicle_id="a", time=at(60), trigger_id="lw")
    heard = {10: Part(("group-0000",), answers=(stray, nobody, unknown))}
    found = told(book_of(LOW), records, range(0, 180, 5), heard=heard)
    reasons = sorted(d.event.data["reason"] for d in found if d.topic == "dead_letters")
    assert [reason.partition(":")[0] for reason in reasons] == [
        *("request_id", "trigger_id", "vehicle_id"),
    ]
    assert len(found) == 3


def test_a_command_arms_a_trigger_again():
    text = LOW.replace("priority", "rearm: command, priority")
    records = drive(2, battery_pct=lambda s: 10.0 if s % 1200 < 600 else 50.0)
    assert fired(told(book_of(text), records)) == [(0.0, "low")]
    for trigger_id in ("low", ""):
        command = Rearm(vehicle_id="a", time=at(3000), trigger_id=trigger_id)
        found = told(book_of(text), records, known=given([], [command]))
        assert fired(found) == [(0.0, "low"), (3600.0, "low")]
        late = {52: Part(("group-0000",), answers=(command,))}
        assert fired(told(book_of(text), records, range(0, 120, 1), heard=late)) == fired(found)


def test_a_late_record_takes_back_a_reason_and_gives_another():
    low = drive(0.5, battery_pct=lambda s: 10.0 if s >= 600 else 50.0)
    book = book_of(LOW.replace("priority", "consecutive: 3, priority"))
    assert fired(told(book, low, range(30))) == [(720.0, "low")]
    # The first record of its minute is another one, which comes after three more minutes.
    low[10] |= {"time_s": 601.0}
    late = {"vehicle_id": "a", "time_s": 600.0, "battery_pct": 50.0}
    found = told(book, [*low[:13], late, *low[13:]], range(31))
    assert fired(found) == [(780.0, "low")]
    told_of = [(d.event.version, d.event.retracted) for d in found if d.topic == "plan_requests"]
    assert told_of[:3] == [(1, False), (2, True), (1, False)]


def test_new_plans_count_from_their_time_on_also_when_they_come_late():
    text = "- {id: low, when: battery_pct < plan.reserve_pct}"
    records = drive(0.5, battery_pct=30.0)
    plans = [plan(reserve_pct=20), plan(time=at(600), reserve_pct=40, version=2)]
    assert fired(told(book_of(text), records, known=given(plans))) == [(600.0, "low")]
    heard = {
        0: Part(("group-0000",), planned=(plans[0],)),
        11: Part(("group-0000",), planned=(plans[1],)),
    }
    assert fired(told(book_of(text), records, range(30), heard=heard)) == [(600.0, "low")]


def test_silence_is_told_at_its_time_and_taken_back_by_a_record_that_came_late():
    text = "- {id: quiet, absent_for: 10m}"
    others = [r | {"vehicle_id": "b"} for r in drive(1)]
    records = sorted([*drive(0.25), *others], key=lambda r: r["time_s"])
    found = told(book_of(text), records, range(0, 75, 3))
    assert fired(found) == [(840 + 600.0, "quiet")]
    (event,) = requests(found)
    assert event.data["reasons"][0]["decision"]["limit"] == 600.0
    assert event.data["context"]["state"]["timestamp"] == at(840)
    late = {"vehicle_id": "a", "time_s": 900.0 + 59.5}
    place = next(i for i, r in enumerate(records) if r["time_s"] == 1800) + 1
    again = told(book_of(text), [*records[:place], late, *records[place:]], range(0, 76, 3))
    assert fired(again) == [(959.5 + 600.0, "quiet")]
    assert any(d.event.retracted for d in again)


def test_who_is_heard_of_just_now_is_not_called_silent_while_it_sends_what_it_stored():
    text = "- {id: quiet, absent_for: 10m}"
    live = [r | {"vehicle_id": "b", "time_s": r["time_s"] + 36_000} for r in drive(0.1)]
    records = [*live, *drive(1)]
    found = told(book_of(text), records, range(len(live), len(records), 10))
    asked = [d.event for d in found if d.event.type == "farwatch.plan.requested.v1"]
    assert [event.version for event in asked] == [1]
    assert fired(found) == [(3540 + 600.0, "quiet")]


def test_a_trigger_of_another_version_starts_afresh_and_others_go_on():
    """As after a restart with a changed file: a trigger that is passive stays so."""
    records = drive(1, battery_pct=10.0, temperature_c=80.0)
    state, found = PlanningState(), []
    for text, part in (
        (LOW + HOT, records[:30]),
        (LOW + HOT.replace("hot,", "hot, version: 2,"), records[30:]),
    ):
        book = book_of(text)
        judges = Judges(book, Policy(), Given())
        intake = Intake(60_000_000, KeyGroups(1), book.sensors, book.kinds)
        one = intake.whole(frame_of(part)).part
        state, deliveries = advance(judges, pickle.loads(pickle.dumps(state)), one)
        found += deliveries
    reasons = [
        (r["trigger_id"], r["trigger_version"])
        for event in requests(found)
        for r in event.data["reasons"]
    ]
    assert sorted(reasons) == [("hot", 1), ("hot", 2), ("low", 1)]


def test_a_frame_of_vehicles_that_no_trigger_is_about_only_takes_time_on():
    book = book_of(LOW)
    intake = Intake(60_000_000, KeyGroups(2), book.sensors, kinds=[])
    part = intake.whole(frame_of(drive(1))).part
    assert (part.frame, part.keys) == (None, ("group-0000", "group-0001"))
    assert part.clock_us == int(frame_of(drive(1)).time_us.max())
