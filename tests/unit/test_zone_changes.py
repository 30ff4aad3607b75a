"""Zones that come, change shape and go around a vehicle at rest: what is told, when and why."""

import json

import pytest

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from schemas.frame import rfc3339
from schemas.zone_file import load_zones
from tests.frames import frame_of

POLICY = group.Policy(lateness_us=60_000_000)
CHANGE_S = 100
CHANGED = rfc3339(CHANGE_S * 1_000_000)


def zone(side=2.0, version=1, **properties):
    ring = [[0, 0], [side, 0], [side, side], [0, side], [0, 0]]
    return {
        "type": "Feature",
        "id": "z",
        "properties": {"version": version, **properties},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def registry(*zones):
    document = {"type": "FeatureCollection", "features": [FAR_OFF, *zones]}
    return Registry.of(load_zones(json.dumps(document).encode(), "zones"), ())


FAR_OFF = zone() | {
    "id": "far off",
    "geometry": {"type": "Polygon", "coordinates": [[[9, 9], [10, 9], [10, 10], [9, 9]]]},
}
WHOLE = zone()
ENDS = zone(effective_to=CHANGED)
COMES = zone(effective_from=CHANGED)
LARGER = zone(side=3.0, version=2, effective_from=CHANGED)
ELSEWHERE = zone(side=0.5, version=2, effective_from=CHANGED)


def told(records, before, after=None):
    """(what, zone version, seconds, reason) of what is said; the same for frames of any size.

    ``after``: the zones that become known behind the last record before the change.
    """
    old = registry(*before)
    new = old if after is None else registry(*after)
    known = sum(r["time_s"] < CHANGE_S for r in records)
    answers = []
    for size in (1, 1000):
        state, answer = group.GroupState(), []
        for judge, part in ((old, records[:known]), (new, records[known:])):
            for first in range(0, len(part), size):
                frame = frame_of(part[first : first + size])
                for seen in Assessor(judge, Limits(), KeyGroups(1)).assess(frame):
                    state, deliveries = group.advance(POLICY, judge, state, seen)
                    answer += [d.event for d in deliveries]
        assert {event.version for event in answer} <= {1}
        answers.append(
            [
                (
                    event.type.removeprefix("farwatch.").removesuffix(".v1"),
                    event.data.get("zone_version"),
                    event.time_us / 1e6,
                    event.data.get("reason"),
                )
                for event in answer
            ]
        )
    assert answers[0] == answers[1]
    return answers[0]


def at_rest(*times_s, **fields):
    """Fixes at (1, 1)."""
    fix = {"vehicle_id": "a", "longitude": 1.0, "latitude": 1.0} | fields
    return [fix | {"time_s": float(time_s)} for time_s in times_s]


ENTERED, EXITED, GAP = "zone.entered", "zone.exited", "track.gap"
SEEN = (ENTERED, 1, 90, "observed")
LEFT = (EXITED, 1, CHANGE_S, "zone_changed")
CASES = pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (COMES,), [(ENTERED, 1, CHANGE_S, "zone_changed")]),
        ((WHOLE,), (ENDS, LARGER), [SEEN, LEFT, (ENTERED, 2, CHANGE_S, "zone_changed")]),
        ((WHOLE,), (ENDS, ELSEWHERE), [SEEN, LEFT]),
        ((WHOLE,), (ENDS,), [SEEN, LEFT]),
        ((ENDS,), None, [SEEN, LEFT]),
    ],
    ids=["new", "new shape that holds it", "new shape that does not", "deleted", "effective_to"],
)


@CASES
@pytest.mark.parametrize("times_s", [(90, 110), (90, CHANGE_S), (90, 99.999999, 100.000001)])
def test_the_change_is_told_at_its_own_time(before, after, expected, times_s):
    assert told(at_rest(*times_s), before, after) == expected


@CASES
def test_across_a_gap_the_change_is_what_made_it(before, after, expected):
    # A gap for the vehicle: nothing is known between its fixes, yet an end needs no knowledge.
    late_s = CHANGE_S + 2 * 86_400
    gap = (GAP, None, 90, "time")
    assert told(at_rest(90, late_s), before, after) == [
        *(one for one in expected if one == SEEN),
        gap,
        *(
            (what, version, late_s if what == ENTERED else time_s, reason)
            for what, version, time_s, reason in expected
            if (what, reason) != (ENTERED, "observed")
        ),
    ]


@pytest.mark.parametrize(
    "last",
    [at_rest(110), [{"vehicle_id": "a", "time_s": 110.0, "depth_m": 5.0}]],
    ids=["a fix of unknown depth", "a record without a position"],
)
@pytest.mark.parametrize("after", [None, ENDS], ids=["effective_to", "deleted"])
def test_a_zone_with_a_band_ends_whatever_is_known_of_the_depth(last, after):
    band = {"properties": {"version": 1, "max_depth_m": 10}}
    ended = {"properties": {"version": 1, "max_depth_m": 10, "effective_to": CHANGED}}
    before = WHOLE | (band if after else ended)
    later = (WHOLE | ended,) if after else None
    assert told(at_rest(90, depth_m=5.0) + last, (before,), later) == [SEEN, LEFT]
