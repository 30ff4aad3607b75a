"""Laws of analytics: a plain loop over the records says the same, however they come."""

import math
import pickle
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.analytics import AnalyticsState, OtherWindowingError, advance, release
from rules.assessment import KeyGroups
from rules.exact_sums import mean, parts
from rules.summary import Windowing, summarise
from rules.windows import concat
from schemas.event import identity
from schemas.frame import rfc3339
from schemas.payloads import AnalyticsWindowed
from tests.frames import frame_of

WINDOWING = Windowing(length_us=10_000_000, gap_us=3_000_000, lateness_us=15_000_000)

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 4120.5, -7.25]),
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=False, allow_infinity=False),
)
record = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(["a", "b", "c"]),
        "time_s": st.integers(0, 300).map(lambda t: t / 2),
    },
    optional={
        "depth_m": numbers,
        "speed_mps": st.floats(0, 1000),
        "longitude": st.floats(-180, 179),
        "kind": st.sampled_from(["auv", "rover"]),
        "sensors": st.dictionaries(st.sampled_from(["salinity", "x"]), numbers),
    },
)
streams = st.lists(record, min_size=1, max_size=60)
cut_places = st.lists(st.integers(0, 60), max_size=8)


def run(records, cuts=(), groups=3, windowing=WINDOWING, stops=()):
    """All that is told: cut into frames at ``cuts``, released and resumed after ``stops``."""
    key_groups = KeyGroups(groups)
    states, told = {}, []
    bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for place, (a, b) in enumerate(pairwise(bounds)):
        if a < b:
            for part in summarise(windowing, key_groups, frame_of(records[a:b])):
                state = states.get(part.key, AnalyticsState())
                states[part.key], found = advance(windowing, state, part)
                told += found
        if place in stops or b == len(records):
            for key, state in states.items():
                released, found = release(windowing, state)
                states[key] = pickle.loads(pickle.dumps(released))
                told += found
    return [delivery.event for delivery in told], states


def final(events):
    """Event id -> its last version; told in order of version, none twice."""
    newest = {}
    for event in events:
        assert event.version > (newest[event.event_id].version if event.event_id in newest else 0)
        newest[event.event_id] = event
    return newest


def by_hand(records, windowing=WINDOWING):
    """(vehicle, window) -> records and how many came too late while it was the newest."""
    length_s, current, rows = windowing.length_us / 1e6, {}, {}
    for r in records:
        vehicle, window = r["vehicle_id"], int(r["time_s"] // length_s)
        now = current[vehicle] = max(current.get(vehicle, window), window)
        # The end of the window lies further back than the lateness before the current one begins.
        forgotten = (now - window - 1) * length_s >= windowing.lateness_us / 1e6
        place = rows.setdefault((vehicle, now if forgotten else window), [[], 0])
        if forgotten:
            place[1] += 1
        else:
            place[0].append(r)
    return rows


def figures_by_hand(values):
    """Of (time, value) pairs."""
    only = [v for _, v in values]
    middle = None
    if all(abs(v) < 2**60 for v in only):
        exact = sum(int(Fraction(v) * 2**60) for v in only)  # cut off below 2**-60
        found = float(Fraction(exact, 2**60) / len(only))
        middle = pytest.approx(min(max(found, min(only)), max(only)), rel=1e-15, abs=0)
    return {
        "count": len(only),
        "min": min(only),
        "mean": middle,
        "max": max(only),
        "last": max(v for t, v in values if t == max(t for t, _ in values)),
    }


def payload_by_hand(rows, too_late, windowing=WINDOWING):
    columns = {}
    for r in rows:
        for name in ("depth_m", "speed_mps"):
            if name in r:
                columns.setdefault(name, []).append((r["time_s"], r[name]))
        for name, value in r.get("sensors", {}).items():
            columns.setdefault(f"sensors.{name}", []).append((r["time_s"], value))
    places = [(r["time_s"], r["longitude"]) for r in rows if "longitude" in r]
    times = sorted(r["time_s"] for r in rows)
    gaps = [b - a for a, b in pairwise(times) if b - a > windowing.gap_us / 1e6]
    newest = [r for r in rows if r["time_s"] == times[-1]]
    return {
        "count": len(rows),
        "too_late": too_late,
        "kind": max((r.get("kind", "auv") for r in newest), key=["auv", "rover"].index),
        "first_time": rfc3339(round(times[0] * 1e6)),
        "last_time": rfc3339(round(times[-1] * 1e6)),
        "gaps": len(gaps),
        "longest_gap_s": max(gaps, default=0.0),
        "figures": {name: figures_by_hand(values) for name, values in columns.items()},
        "last": {"longitude": max(v for t, v in places if t == max(t for t, _ in places))}
        if places
        else {},
    }


@given(streams)
def test_windows_are_what_a_loop_over_the_records_finds(records):
    events, _ = run(records)
    found = {(e.vehicle_id, e.time_us // WINDOWING.length_us): e for e in final(events).values()}
    expected = by_hand(records)
    assert found.keys() == expected.keys()
    for place, (rows, too_late) in expected.items():
        data = found[place].data
        wanted = payload_by_hand(rows, too_late)
        assert {name: data[name] for name in wanted} == wanted
        assert found[place].version == len(rows) + too_late


@settings(max_examples=60)
@given(streams, cut_places, st.integers(1, 5), st.sets(st.integers(0, 8)))
def test_neither_frames_nor_groups_nor_releases_change_what_a_version_says(
    records, cuts, groups, stops
):
    whole, cut = run(records)[0], run(records, cuts, groups, stops=stops)[0]
    assert final(whole) == final(cut)
    # Every version that any way of running tells: one a record tells all there are.
    each = run(records, range(60), stops=range(60))[0]
    said = {event.message_id: event for event in each}
    assert len(said) == len(each)
    for event in [*whole, *cut]:
        assert said[event.message_id] == event
        assert repr(said[event.message_id].data) == repr(event.data)


@given(streams, cut_places, st.randoms(use_true_random=False))
def test_any_order_within_the_lateness_ends_with_the_same_windows(records, cuts, rng):
    in_order = sorted(records, key=lambda r: r["time_s"])
    lateness_s = WINDOWING.lateness_us / 1e6
    disturbed = sorted(in_order, key=lambda r: r["time_s"] + rng.uniform(0, lateness_s))
    expected, found = final(run(in_order)[0]), final(run(disturbed, cuts)[0])
    assert found == expected
    assert {k: repr(e.data) for k, e in found.items()} == {
        k: repr(e.data) for k, e in expected.items()
    }
    assert not any(event.data["too_late"] for event in found.values())


def test_an_upload_of_hours_in_order_is_not_late():
    live = [{"vehicle_id": "a", "time_s": 36_000 + t} for t in range(0, 60, 5)]
    stored = [{"vehicle_id": "b", "time_s": t, "depth_m": 1.0} for t in range(0, 36_000, 5)]
    events, _ = run([*live, *stored], range(0, 7_200, 60))
    uploaded = [event for event in events if event.vehicle_id == "b"]
    assert [event.version for event in uploaded] == [2] * 3_600
    assert not any(event.data["too_late"] for event in uploaded)


def test_windows_do_not_go_on_with_other_lengths():
    _, states = run([{"vehicle_id": "a", "time_s": 1}])
    [(key, state)] = states.items()
    other = replace(WINDOWING, lateness_us=60_000_000)
    [part] = summarise(other, KeyGroups(3), frame_of([{"vehicle_id": "a", "time_s": 2}]))
    assert part.key == key
    with pytest.raises(OtherWindowingError):
        advance(other, state, part)
    with pytest.raises(OtherWindowingError):
        release(other, state)


@given(streams, cut_places)
def test_every_record_is_counted_in_one_window(records, cuts):
    events, _ = run(records, cuts)
    counted = [e.data["count"] + e.data["too_late"] for e in final(events).values()]
    assert sum(counted) == len(records)


@given(streams, cut_places)
def test_every_event_fits_its_model_and_has_a_stable_identity(records, cuts):
    for event in run(records, cuts)[0]:
        AnalyticsWindowed.model_validate(
            {
                "event_id": event.event_id,
                "version": event.version,
                "retracted": event.retracted,
                "vehicle_id": event.vehicle_id,
                **event.data,
            }
        )
        assert event.event_id == identity(
            "farwatch.analytics.windowed.v1", event.vehicle_id, event.time_us, 10_000_000
        )
        for figures in event.data["figures"].values():
            assert figures["min"] <= (figures["mean"] or figures["min"]) <= figures["max"]


@settings(max_examples=40)
@given(streams)
def test_what_is_remembered_of_a_vehicle_is_bounded_by_the_lateness(records):
    _, states = run(records, range(60))
    for state in states.values():
        assert (state.open.window == state.current[state.open.vehicle]).all()
        assert (np.bincount(state.open.vehicle) == 1).all()
        # What is forgotten is cleared away each time that there are 9 tables.
        assert len(state.complete) <= 8
        complete = concat(state.complete)
        assert (complete.window < state.current[complete.vehicle]).all()
        assert max(np.bincount(complete.vehicle), default=0) <= WINDOWING.kept + 8
        assert len(complete.stretches.row) <= 3 * len(complete)


@given(st.lists(numbers, min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_a_sum_does_not_depend_on_the_order(values, rng):
    def total(some):
        return [0.0 if p is None else float(p.sum()) for p in parts(np.array(some))]

    shuffled = rng.sample(values, len(values))
    assert total(values) == total(shuffled)
    halves = total(shuffled[: len(values) // 2] or [0.0]), total(shuffled[len(values) // 2 :])
    assert [a + b for a, b in zip(*halves, strict=True)] == total(values)


@given(st.floats(-1e15, 1e15), st.integers(1, 1000))
def test_the_mean_of_a_constant_is_the_constant(value, count):
    sums = np.array([0.0 if p is None else float(p.sum()) for p in parts(np.full(count, value))])
    at = np.array(value)
    found = float(mean(sums, np.array(float(count)), at, at))
    assert math.isclose(found, value, abs_tol=0, rel_tol=0)
