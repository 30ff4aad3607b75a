"""Proximity by hand: depth, hysteresis, what is unknown, the seam, the poles, other bodies."""

import numpy as np
import pytest

from rules.proximity.body import BodyState, advance, by_body, finish
from rules.proximity.candidates import candidates
from rules.proximity.limits import Limits
from rules.proximity.samples import Samples
from schemas.ellipsoids import ELLIPSOIDS
from schemas.event import TELEMETRY_LATE, VEHICLE_FARAWAY, VEHICLE_NEARBY, payload
from schemas.payloads import PAYLOADS
from tests.frames import frame_of

LIMITS = Limits(nearby_m=100, faraway_m=150, every_us=10_000_000, lateness_us=0)
M = 1 / 111_319.49  # degrees of longitude a metre on the equator


def track(name, *points, every_s=10, start_s=0, **fields):
    """A vehicle on the equator: metres east at every ``every_s``."""
    return [
        {
            "vehicle_id": name,
            "time_s": start_s + i * every_s,
            "longitude": x * M,
            "latitude": 0.0,
            **fields,
        }
        for i, x in enumerate(points)
    ]


def told(*tracks, limits=LIMITS):
    records = sorted((r for t in tracks for r in t), key=lambda r: r["time_s"])
    deliveries = []
    for _, frame in by_body(frame_of(records)):
        state, some = advance(limits, BodyState(), frame)
        deliveries += some + finish(limits, state)[1]
    for delivery in deliveries:
        PAYLOADS[delivery.event.type].model_validate(payload(delivery.event))
    return [delivery.event for delivery in deliveries]


def short(events):
    kinds = {VEHICLE_NEARBY: "near", VEHICLE_FARAWAY: "far"}
    return [(kinds[e.type], e.data["reason"], e.happened_us / 1e6) for e in events]


def test_near_at_one_limit_far_at_the_other_with_the_times_between_ticks():
    still, mover = track("b", *[0] * 9), track("a", 400, 200, 50, 120, 140, 90, 145, 200, 300)
    events = told(still, mover)
    assert short(events) == [
        ("near", "crossed", pytest.approx(10 + 10 * 100 / 150, abs=1e-3)),
        ("far", "crossed", pytest.approx(60 + 10 * 5 / 55, abs=1e-3)),
    ]
    near, far = events
    assert (near.vehicle_id, near.data["other_vehicle_id"]) == ("a", "b")
    assert near.data["separation_m"] == near.data["horizontal_m"] == 100
    assert near.data["vertical_m"] is None
    assert near.data["encounter_id"] == far.data["encounter_id"]
    assert far.data["closest_m"] == pytest.approx(50, abs=0.001)
    assert far.data["closest_time"] == "1970-01-01T00:00:20.000000Z"
    assert far.data["duration_s"] == pytest.approx(44.24, abs=0.01)


def test_a_pass_between_two_ticks_is_seen():
    events = told(track("a", *[0] * 4), track("b", 500, 250, -250, -500))
    assert short(events) == [
        ("near", "crossed", pytest.approx(13, abs=1e-3)),
        ("far", "crossed", pytest.approx(18, abs=1e-3)),
    ]
    assert events[1].data["closest_m"] < 0.01
    assert events[1].data["closest_time"] == "1970-01-01T00:00:15.000000Z"


def test_depth_keeps_vehicles_apart_that_pass_over_each_other():
    below = track("a", *[0] * 4, depth_m=300.0)
    assert told(below, track("b", 500, 50, -50, -500, depth_m=150.0)) == []
    [near, far] = told(below, track("b", 500, 50, -50, -500, depth_m=220.0))
    assert near.data["vertical_m"] == 80
    assert near.data["horizontal_m"] == pytest.approx(60, abs=0.001)
    assert far.data["closest_m"] == 80
    assert (near.data["depth_m"], near.data["other_depth_m"]) == (300, 220)


def test_where_a_depth_is_unknown_the_plan_alone_counts():
    below = track("a", *[0] * 4, depth_m=300.0)
    assert len(told(below, track("b", 500, 50, -50, -500))) == 2
    # A depth and an altitude have no common reference.
    assert len(told(below, track("b", 500, 50, -50, -500, altitude_m=-150.0))) == 2


def test_altitudes_are_held_against_each_other():
    high = track("a", *[0] * 4, altitude_m=500.0)
    assert told(high, track("b", 500, 50, -50, -500, altitude_m=350.0)) == []
    assert len(told(high, track("b", 500, 50, -50, -500, altitude_m=450.0))) == 2


def test_a_vehicle_that_falls_silent_is_lost_never_far():
    silent = track("a", 0, 0, 0) + track("a", 0, 0, start_s=1000)
    events = told(silent, track("b", *[40] * 103))
    assert short(events) == [
        ("near", "found", 0),
        ("near", "lost", 20),
        ("near", "found", 1000),
    ]
    assert len({e.data["encounter_id"] for e in events}) == 1
    assert len({e.event_id for e in events}) == 3
    assert [e.data["separation_m"] for e in events] == [40, 40, 40]


def test_a_lost_vehicle_found_far_away_is_far_from_then_on():
    silent = track("a", 0, 0, 0) + track("a", 9000, 9000, start_s=1000)
    events = told(silent, track("b", *[40] * 103))
    assert short(events)[-1] == ("far", "found", 1000)
    assert events[-1].data["separation_m"] == pytest.approx(8960, abs=0.01)
    assert events[-1].data["duration_s"] == 1000
    assert events[-1].data["closest_m"] == 40


def test_the_last_word_on_a_vehicle_that_never_comes_back_is_that_it_is_lost():
    events = told(track("a", 0, 0, 0), track("b", *[40] * 60))
    assert short(events) == [("near", "found", 0), ("near", "lost", 20)]


def test_a_silence_that_may_still_end_says_nothing():
    events = told(track("a", 0, 0, 0), track("b", *[40] * 20))
    assert short(events) == [("near", "found", 0)]


def test_bodies_do_not_meet():
    events = told(track("a", 0, 0, 0), track("b", 0, 0, 0, body="mars"))
    assert events == []


def test_on_mars_metres_are_those_of_mars_and_latitudes_planetocentric():
    figure = ELLIPSOIDS["mars"]
    # Jezero: 99 m and 101 m north of the other.
    for metres, found in ((99.0, 1), (101.0, 0)):
        [lon], [lat] = figure.direct(*(np.array([v]) for v in (77.45, 18.44, 0.0, metres)))
        records = [
            {"vehicle_id": name, "time_s": t, "body": "mars", "longitude": x, "latitude": y}
            for name, x, y in (("p", 77.45, 18.44), ("q", float(lon), float(lat)))
            for t in (0, 10, 20)
        ]
        events = told(records)
        assert len(events) == found
        if found:
            assert events[0].data["horizontal_m"] == pytest.approx(metres, abs=0.001)


def test_over_the_pole_and_across_the_antimeridian():
    for body in ("earth", "mars", "moon"):
        over_pole = [
            {"vehicle_id": name, "time_s": t, "body": body, "longitude": lon, "latitude": lat}
            for name, lon, lat in (("a", 10.0, 89.9996), ("b", -170.0, 89.9996))
            for t in (0, 10)
        ]
        across = [
            {"vehicle_id": name, "time_s": t, "body": body, "longitude": lon, "latitude": 0.0}
            for name, lon in (("a", 179.9999), ("b", -179.9999))
            for t in (0, 10)
        ]
        for records in (over_pole, across):
            [event] = told(records)
            assert event.data["separation_m"] < 100


def test_a_record_behind_what_is_settled_is_told_as_late_and_judges_nothing():
    first, second = track("a", 0, 0, 0, 0), track("b", 500, 500, 500, 500)
    records = sorted(first + second, key=lambda r: r["time_s"])
    state, before = advance(LIMITS, BodyState(), frame_of(records))
    state, late = advance(LIMITS, state, frame_of(track("b", 10, start_s=15)))
    assert before == []
    assert [d.event.type for d in late] == [TELEMETRY_LATE]
    assert late[0].event.data["behind_s"] == 15
    PAYLOADS[TELEMETRY_LATE].model_validate(payload(late[0].event))
    assert finish(LIMITS, state)[1] == []


def test_records_without_a_position_are_no_fixes():
    records = [{"vehicle_id": "a", "time_s": t, "depth_m": 5.0} for t in (0, 10)]
    assert by_body(frame_of(records)) == []


def test_a_fix_repeated_with_another_value_counts_the_same_in_any_order():
    other = track("b", *[0] * 4)
    twice = track("a", 400, 300, 300, 300) + track("a", 50, start_s=10)
    events = told(other, twice)
    assert events == told(other, track("a", 50, start_s=10) + track("a", 400, 300, 300, 300))


@pytest.mark.parametrize("body", ["earth", "mars", "moon"])
@pytest.mark.parametrize("near", ["anywhere", "pole", "seam"])
def test_every_pair_within_reach_is_a_candidate(body, near):
    rng = np.random.default_rng(5)
    count, ticks, reach_m = 300, 4, 20_000.0
    longitude = {"seam": rng.normal(180, 0.5, count)}.get(near, rng.uniform(-180, 180, count))
    middle = {"pole": 90 - np.abs(rng.normal(0, 0.5, count)), "anywhere": rng.normal(0, 60, count)}
    latitude = middle.get(near, rng.normal(40, 0.5, count)).clip(-90, 90)
    # Steps of some kilometres from tick to tick, the last one unknown for some.
    east = longitude[:, None] + np.cumsum(rng.normal(0, 0.03, (count, ticks)), axis=1)
    north = (latitude[:, None] + np.cumsum(rng.normal(0, 0.03, (count, ticks)), axis=1)).clip(
        -90, 90
    )
    rows = [(v, t) for v in range(count) for t in range(ticks) if t < 3 or v % 5]
    slot, tick = np.array(rows).T
    values = np.full((4, len(rows)), np.nan)
    values[0], values[1] = (east[slot, tick] + 180) % 360 - 180, north[slot, tick]
    figure = ELLIPSOIDS[body]
    place = figure.surface_m(values[0], values[1])
    one, other = candidates(figure, reach_m, Samples(slot, tick, values), place)
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    assert len(found) == len(one)
    at = {row: place[:, i] for i, row in enumerate(rows)}
    within = set()
    for t in range(ticks):
        here = [v for v in range(count) if (v, t) in at]
        points = np.array([at[v, t] for v in here])
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        within |= {(here[i], here[j]) for i, j in np.argwhere(apart <= reach_m) if i < j}
    assert within
    assert within <= found
    assert len(found) < count * (count - 1) / 2
