"""Laws of proximity: what brute force says, whatever order records come in, however often cut."""

import pickle
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.proximity.body import BodyState, advance, by_body, finish
from rules.proximity.limits import Limits
from schemas.event import payload
from schemas.payloads import PAYLOADS
from schemas.topics import LATE_TELEMETRY, PROXIMITY_EVENTS
from tests.encounters import DoubtfulError, Told, encounters
from tests.frames import frame_of

LATENESS_S = 25
LIMITS = Limits(
    nearby_m=100.0,
    faraway_m=140.0,
    every_us=5_000_000,
    max_age_us=40_000_000,
    lateness_us=LATENESS_S * 1_000_000,
)
START_S = 1_772_323_200
PLACES = [("earth", 179.9996, 10.0), ("earth", 0.0, 0.0), ("mars", 77.4, 18.4), ("moon", -30, -75)]
M_PER_DEG = {"earth": 111_195.0, "mars": 59_270.0, "moon": 30_323.0}


@st.composite
def fleets(draw):
    """Records of two to five vehicles that wander about a place, some of them silent at times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    body, longitude, latitude = draw(st.sampled_from(PLACES))
    records = []
    for v in range(draw(st.integers(2, 5))):
        gaps_s = rng.choice(
            [1.0, 2.5, 5.0, 7.25, 12.0, 39.0, 41.0, 90.0], 25, p=[0.14] * 7 + [0.02]
        )
        time_s = START_S + np.cumsum(gaps_s) + rng.integers(0, 4)
        place_m = rng.uniform(-150, 150, 2) + np.cumsum(rng.normal(0, 30, (25, 2)), axis=0)
        deep = rng.choice([None, "depth_m", "altitude_m"])
        level_m = rng.uniform(0, 120) + np.cumsum(rng.normal(0, 5, 25))
        for i in range(25):
            east, north = place_m[i] / M_PER_DEG[body]
            lon = longitude + east / np.cos(np.radians(latitude))
            record = {
                "vehicle_id": f"v{v}",
                "time_s": float(time_s[i]),
                "body": body,
                "longitude": float((lon + 180) % 360 - 180),
                "latitude": float(latitude + north),
            }
            if deep and rng.random() < 0.9:
                record[deep] = float(level_m[i])
            records.append(record)
    return sorted(records, key=lambda r: r["time_s"])


def judged(records, cuts=(), *, limits=LIMITS, ends=(), pickled=False):
    """All deliveries of records in this order, cut into frames; at ``ends`` the input ends."""
    state, told = BodyState(), []
    for a, b in pairwise([0, *sorted(c for c in cuts if c < len(records)), len(records)]):
        if a == b:
            continue
        for _, frame in by_body(frame_of(records[a:b])):
            if pickled:
                state = pickle.loads(pickle.dumps(state))
            state, deliveries = advance(limits, state, frame)
            told += deliveries
        if b in ends:
            state, deliveries = finish(limits, state)
            told += deliveries
    state, deliveries = finish(limits, state)
    return told + deliveries


def final(told):
    """What holds in the end, without ids of what was said how often."""
    latest = {}
    for delivery in told:
        if delivery.topic == PROXIMITY_EVENTS:
            event = delivery.event
            known = latest.get(event.event_id)
            assert known is None or known.version < event.version, "told twice"
            latest[event.event_id] = event
    return sorted(
        (e.happened_us, e.type, e.event_id, repr(e.data))
        for e in latest.values()
        if not e.retracted
    )


def seen(told):
    """The events as brute force gives them."""
    found = []
    for delivery in told:
        if delivery.topic != PROXIMITY_EVENTS:
            continue
        event, data = delivery.event, delivery.event.data
        PAYLOADS[event.type].model_validate(payload(event))
        pair = event.vehicle_id, data["other_vehicle_id"]
        at_s = datetime.fromisoformat(data["time"]).timestamp()
        what = event.type.split(".")[2]
        found.append(Told(pair, what, data["reason"], at_s, data["separation_m"]))
    # Several things may be told of a pair at one moment, in their order.
    return sorted(found, key=lambda t: t.pair)


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_what_is_told_is_what_brute_force_says(records):
    try:
        expected = encounters(LIMITS, records)
    except DoubtfulError:
        assume(False)
    told = judged(records)
    found = seen(told)
    assert [t[:3] for t in found] == [t[:3] for t in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.separation_m == pytest.approx(b.separation_m, abs=0.02)
        # A grazing pass crosses slowly: centimetres are seconds there.
        assert a.time_s == pytest.approx(b.time_s, abs=0.5)


def _words(delivery):
    return delivery.event.happened_us, delivery.event.event_id, delivery.event.version


@settings(max_examples=40, deadline=None)
@given(
    fleets(),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 130), max_size=30),
    st.booleans(),
)
def test_order_within_the_lateness_frames_and_restarts_do_not_matter(records, seed, cuts, pickled):
    rng = np.random.default_rng(seed)
    newest = np.array([r["time_s"] for r in records])
    arrival = np.argsort(newest + rng.uniform(0, LATENESS_S - 0.01, len(records)))
    shuffled = [records[i] for i in arrival]
    told = judged(shuffled, cuts, pickled=pickled)
    assert not any(d.topic == LATE_TELEMETRY for d in told)
    assert final(told) == final(judged(records))
    # In order, cut or not, it is told in the same words and in the order of time; what is of one
    # moment follows the frames.
    cut, whole = judged(records, cuts, pickled=pickled), judged(records)
    assert [d.event.happened_us for d in cut] == [d.event.happened_us for d in whole]
    assert sorted(cut, key=_words) == sorted(whole, key=_words)


@settings(max_examples=40, deadline=None)
@given(fleets(), st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_an_input_that_goes_on_after_its_end_ends_with_the_same_answer(records, ends):
    told = judged(records, ends, ends=ends)
    assert final(told) == final(judged(records))


@settings(max_examples=25, deadline=None)
@given(fleets(), st.floats(-170, 170))
def test_turning_the_body_changes_nothing_but_longitudes(records, turn):
    turned = [r | {"longitude": (r["longitude"] + turn + 180) % 360 - 180} for r in records]
    try:
        encounters(LIMITS, records)
    except DoubtfulError:
        assume(False)
    for a, b in zip(seen(judged(records)), seen(judged(turned)), strict=True):
        assert a[:3] == b[:3]
        assert a.separation_m == pytest.approx(b.separation_m, abs=0.002)


@settings(max_examples=25, deadline=None)
@given(fleets())
def test_events_of_a_pair_alternate_and_faraway_says_how_near_they_came(records):
    told = [d.event for d in judged(records) if d.topic == PROXIMITY_EVENTS]
    open_since = {}
    for event in sorted(told, key=lambda e: e.happened_us):
        data, what = event.data, event.type.split(".")[2]
        if what == "nearby":
            begins = data["encounter_id"] not in open_since
            assert begins or data["reason"] in ("lost", "found")
            open_since.setdefault(data["encounter_id"], event.happened_us)
        else:
            since_us = open_since.pop(data["encounter_id"])
            assert data["duration_s"] == (event.happened_us - since_us) / 1e6
            assert data["closest_m"] <= LIMITS.nearby_m
            assert data["limit_m"] == LIMITS.faraway_m
