"""Laws of hazard scores: monotonic, and the same however records come."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.assessment import KeyGroups
from rules.hazard.cohort import Split, join
from rules.hazard.group import HazardState, Policy, advance
from rules.hazard.part import Plan, Whole, split
from rules.hazard.quantities import QUANTITIES
from rules.hazard.score import classes, contribution, scores
from rules.hazard.stage import Judge
from rules.planning.plans import Plans, in_order
from schemas.hazard_file import parse_profiles
from schemas.payloads import HazardScored
from schemas.topics import HAZARD_SCORES, LATE_TELEMETRY
from tests.frames import frame_of
from tests.planning import plan
from tests.slopes import SLOPES

PROFILE = """
- id: both
  kinds: [auv, rover]
  max_age_s: 20
  vehicle: {max_depth_m: 100, slip_min_drive_m: 0.1, corridor_m: 30, max_slope_deg: 10}
  vision: {danger: {2: 0.9}, max_age_s: 15, max_distance_m: 50}
  parts:
    tilt_deg: {safe: 5, limit: 30, weight: 0.9, source: made up}
    tilt_rate_deg_per_s: {safe: 0, limit: 3, weight: 0.5, optional: true, source: made up}
    slip_ratio: {safe: 0.1, limit: 0.9, weight: 0.7, optional: true, source: made up}
    stuck_s: {safe: 0, limit: 30, weight: 0.7, optional: true, source: made up}
    time_to_bottom_s: {safe: 100, limit: 5, weight: 0.8, optional: true, source: made up}
    vertical_speed_mps: {safe: 0, limit: 3, weight: 0.4, source: made up}
    depth_margin_m: {safe: 50, limit: 0, weight: 0.95, source: made up}
    terrain_danger: {safe: 0, limit: 1, weight: 0.6, optional: true, source: made up}
    ahead_distance_m: {safe: 25, limit: 1, weight: 0.5, source: made up}
    silence_s: {safe: 5, limit: 30, weight: 0.3, source: made up}
    salt: {reads: sensors.salt, safe: 1, limit: 0, weight: 0.5, optional: true, source: made up}
"""
LATENESS_S = 12.0
[BOTH] = parse_profiles(PROFILE.encode(), "made.yaml", QUANTITIES)
PLAN = Plan(BOTH)
PATHS = Plans.of(
    {
        name: in_order(
            plan(name, f"1970-01-01T00:00:{second:02}Z", path=[{"longitude": x, "latitude": y}])
            for second, x, y in ((10, 0.0, 0.0005), (30, 0.0005, 0.0))
        )
        for name in ("a", "b")
    }
)
JUDGE = Judge(PLAN, SLOPES, every_us=8_000_000, missions=PATHS)
POLICY = Policy(JUDGE, round(LATENESS_S * 1e6), tell_late=True)

places = st.floats(0, 0.0005)
record = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(["a", "b", "c"]),
        "time_s": st.integers(0, 120).map(lambda t: t / 2),
    },
    optional={
        "roll_deg": st.floats(-40, 40),
        "pitch_deg": st.floats(-40, 40),
        "depth_m": st.floats(0, 120),
        "height_above_bottom_m": st.floats(0, 60),
        "speed_mps": st.floats(0, 0.2),
        "place": st.tuples(places, places),
        "heading_deg": st.floats(0, 360, exclude_max=True),
        "sensors": st.fixed_dictionaries(
            {},
            optional={
                "wheel_speed_mps": st.floats(0, 0.2),
                "wheel_distance_m": st.floats(0, 30),
                "terrain_class": st.sampled_from([1.0, 2.0]),
                "confidence": st.floats(0, 1),
                "salt": st.floats(0, 1),
            },
        ),
    },
)
streams = st.lists(record, min_size=1, max_size=50)
cut_places = st.lists(st.integers(0, 50), max_size=8)


def placed(records):
    found = []
    for one in records:
        place = one.get("place")
        rest = {name: value for name, value in one.items() if name != "place"}
        found.append(rest | ({"longitude": place[0], "latitude": place[1]} if place else {}))
    return found


def run(records, cuts=(), groups=2, stops=(), policy=POLICY):
    """All that is told: cut into frames at ``cuts``, kept by group and resumed after ``stops``.

    One worker takes all groups at first, two after the first stop, then one again, and so on.
    """
    key_groups, records = KeyGroups(groups), placed(records)
    keys, told, take_apart = [key_groups.key(g) for g in range(groups)], [], Split(key_groups)
    workers = [(set(keys), HazardState())]
    bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for place, (a, b) in enumerate(pairwise(bounds)):
        if a < b:
            whole = Whole(split(PLAN, key_groups, frame_of(records[a:b])))
            for worker, (own, state) in enumerate(workers):
                if mine := own & set(whole.keys):
                    moved, found = advance(policy, state, whole.of(mine))
                    workers[worker] = own, moved
                    told += found
        if place in stops:
            kept = {}
            for own, state in workers:
                for key, one in take_apart(state, own).items():
                    # As the recovery store does it: the history apart from the rest.
                    kept[key] = pickle.dumps(one.with_chunks(())), pickle.dumps(one.chunks)
            resumed = {
                key: pickle.loads(bare).with_chunks(pickle.loads(chunks))
                for key, (bare, chunks) in kept.items()
            }
            shared = [set(keys)] if len(workers) == 2 else [set(keys[::2]), set(keys[1::2])]
            workers = [(own, join([resumed[key] for key in sorted(own)])) for own in shared]
    return told


def final(told):
    """Event id -> its last version, of those that still stand; ids and versions told once."""
    newest, seen = {}, set()
    for delivery in told:
        event = delivery.event
        if delivery.topic == LATE_TELEMETRY:
            continue
        assert delivery.topic == HAZARD_SCORES
        assert event.message_id not in seen
        seen.add(event.message_id)
        before = newest.get(event.event_id)
        assert event.version == (before.version + 1 if before else 1)
        newest[event.event_id] = event
    return {k: e.data for k, e in newest.items() if not e.retracted}


@settings(max_examples=40)
@given(streams, cut_places, st.integers(1, 4), st.sets(st.integers(0, 8)))
def test_neither_frames_nor_groups_nor_restarts_change_the_scores(records, cuts, groups, stops):
    records = sorted(records, key=lambda r: r["time_s"])
    whole = run(records)
    assert final(run(records, cuts, groups, stops)) == final(whole)
    in_order = {delivery.event.message_id for delivery in whole}
    assert in_order == {d.event.message_id for d in run(records, cuts, groups, stops)}


@settings(max_examples=40)
@given(streams, cut_places, st.sets(st.integers(0, 8)), st.randoms(use_true_random=False))
def test_any_order_within_the_lateness_ends_with_the_same_scores(records, cuts, stops, rng):
    # No two records of a vehicle at the same time: which of them comes last says what counts.
    records = list({(r["vehicle_id"], r["time_s"]): r for r in records}.values())
    in_order = sorted(records, key=lambda r: r["time_s"])
    disturbed = sorted(in_order, key=lambda r: r["time_s"] + rng.uniform(0, LATENESS_S))
    assert final(run(disturbed, cuts, stops=stops)) == final(run(in_order))
    assert final(run(disturbed, range(50))) == final(run(in_order))


@pytest.mark.parametrize("seed", range(3))
def test_a_long_stream_that_comes_late_throughout_ends_with_the_same_scores(seed):
    rng = np.random.default_rng(seed)
    records = []
    for step in range(200):
        one = {"vehicle_id": f"v{step % 2}", "time_s": step * 1.3, "sensors": {}}
        told = rng.random(5) < 0.3
        one |= {"depth_m": rng.uniform(0, 120)} if told[0] else {}
        one |= {"roll_deg": rng.uniform(-30, 30), "pitch_deg": 1.0} if told[1] else {}
        one["sensors"] |= {"salt": rng.uniform(0, 1)} if told[2] else {}
        one["sensors"] |= {"wheel_distance_m": step * 0.05} if told[3] else {}
        one |= {"longitude": step * 1e-6, "latitude": rng.uniform(0, 1e-4)} if told[4] else {}
        records.append(one)
    disturbed = sorted(records, key=lambda r: r["time_s"] + rng.uniform(0, LATENESS_S))
    told = run(disturbed, range(len(records)), stops=range(0, len(records), 40))
    assert final(told) == final(run(records))
    assert any(delivery.event.version > 2 for delivery in told)


@given(streams)
def test_every_score_has_the_form_that_is_published(records):
    for data in final(run(records)).values():
        event = {"event_id": "0" * 32, "version": 1, "retracted": False, "vehicle_id": "a"}
        HazardScored.model_validate(event | data)
        assert data["lower"] <= data["score"] + 1e-12
        assert data["score"] <= data["upper"] + 1e-12
        by_hand = 1.0
        for part in data["parts"]:
            by_hand *= 1.0 - part["contribution"]
        np.testing.assert_allclose(data["score"], 1.0 - by_hand, atol=1e-8)


@settings(max_examples=40)
@given(streams, cut_places)
def test_what_is_too_late_is_so_wherever_frames_end(records, cuts):
    records = list({(r["vehicle_id"], r["time_s"]): r for r in records}.values())
    assert final(run(records, cuts)) == final(run(records)) == final(run(records, range(50)))


def test_what_comes_too_late_is_told_and_changes_nothing():
    records = [
        {"vehicle_id": "a", "time_s": 100.0, "depth_m": 10.0},
        {"vehicle_id": "a", "time_s": 50.0, "depth_m": 119.0},
    ]
    told = run(records, [1])
    late = [d.event for d in told if d.topic == LATE_TELEMETRY]
    assert [(e.vehicle_id, e.data["behind_s"]) for e in late] == [("a", 50.0)]
    assert late[0].data["record"]["sensors"]["depth_m"] == 119.0
    assert final(told) == final(run(records[:1]))


values = st.floats(-100, 100) | st.just(float("nan"))


@given(
    st.lists(
        st.tuples(values, st.floats(-100, 100), st.floats(0.01, 1.0), st.sampled_from([1.0, -1.0])),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 5),
    st.floats(0, 200),
)
def test_a_score_never_falls_when_a_part_grows_worse(parts, which, worse):
    # Of each part: value, safe value, weight, and whether more (1) or less (-1) is bad.
    which %= len(parts)

    def score(extra):
        found = [
            contribution(np.array([v + way * (extra if p == which else 0.0)]), s, s + way * 50.0, w)
            for p, (v, s, w, way) in enumerate(parts)
        ]
        known = np.array([[not np.isnan(v)] for v, *_ in parts])
        return scores(np.stack(found), known, [w for _, _, w, _ in parts])

    before, after = score(0.0), score(worse)
    for name in ("score", "lower", "upper"):
        assert getattr(after, name)[0] >= getattr(before, name)[0]
    assert before.lower[0] <= before.score[0] <= before.upper[0]
    assert before.score[0] >= before.contributions.max() - 1e-15


@given(st.floats(0, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 50), st.floats(0, 50))
def test_a_vehicle_is_scored_no_lower_the_less_is_left_where_less_is_bad(
    salt, tilt, less_salt, depth, deeper
):
    """Through a whole profile: two parts whose limit is below their safe value, among others."""

    def scored(salt, depth_m):
        record = {"vehicle_id": "a", "time_s": 1.0, "depth_m": depth_m, "sensors": {"salt": salt}}
        [data] = final(run([record | {"roll_deg": 20 * tilt, "pitch_deg": 5.0}])).values()
        return data

    before, after = scored(salt, depth), scored(salt - abs(less_salt), depth + deeper)
    for name in ("score", "lower", "upper"):
        assert after[name] >= before[name] - 1e-9
    contributions = [{p["name"]: p["contribution"] for p in d["parts"]} for d in (before, after)]
    for name in ("salt", "depth_margin_m"):
        assert contributions[1][name] >= contributions[0][name]
    assert contributions[1]["salt"] == pytest.approx(
        0.5 * float(np.clip(1.0 - (salt - abs(less_salt)), 0, 1)), abs=1e-6
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_classes_are_what_a_loop_with_hysteresis_finds(scores_, cuts):
    thresholds, hysteresis = (0.3, 0.6, 0.85), 0.1
    expected, on = [], [False] * 3
    for row, score in enumerate(scores_):
        for place, threshold in enumerate(thresholds):
            if row == 0 or score >= threshold or score < threshold - hysteresis:
                on[place] = score >= threshold
        expected.append(sum(on))
    found, before = [], np.array([-1], np.int8)
    bounds = [0, *sorted(min(cut, len(scores_)) for cut in cuts), len(scores_)]
    for a, b in pairwise(bounds):
        if a < b:
            piece = classes(
                np.array(scores_[a:b]), np.array([0, b - a]), thresholds, hysteresis, before
            )
            found += piece.tolist()
            before = piece[-1:]
    assert found == expected
