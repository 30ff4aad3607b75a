"""Entries and exits that hold: buffers, times, accuracy, dwell, gaps; however frames are cut."""

import json
from itertools import pairwise

import pytest

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.zone_file import ZoneFileError, load_zones
from tests.frames import frame_of

METRES = 1 / 111_319.49  # deg of longitude on the equator


def registry(west=0.0, **properties):
    ring = [[west, -0.1], [west + 0.1, -0.1], [west + 0.1, 0.1], [west, 0.1], [west, -0.1]]
    feature = {
        "type": "Feature",
        "id": "z",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    document = {"type": "FeatureCollection", "features": [feature]}
    return Registry.of(load_zones(json.dumps(document).encode(), "zones"), ())


def track(*fixes, west=0.0, **fields):
    """Fixes on the equator: (seconds, metres east of the zone's western edge, more fields)."""
    return [
        {
            "vehicle_id": "a",
            "time_s": float(time),
            "longitude": (west + metres * METRES + 180) % 360 - 180,
            "latitude": 0.0,
        }
        | fields
        | (more[0] if more else {})
        for time, metres, *more in fixes
    ]


def told(registry, records, limits=None):
    """(what, seconds, reason) of each event; the same for frames of any size."""
    answers = []
    for size in (1, 2, 3, 1000):
        assessor = Assessor(registry, limits or Limits(), KeyGroups(1))
        memory, events = Memory(), []
        for first in range(0, len(records), size):
            for seen in assessor.assess(frame_of(records[first : first + size])):
                outcome = run(Judges(registry, limits or Limits()), memory, seen)
                memory = outcome.memory
                events += outcome.zone_events
        events.sort(key=lambda e: (e.time_us, e.type))
        answers.append(
            [
                (
                    e.type.removeprefix("farwatch.").removesuffix(".v1"),
                    pytest.approx(e.time_us / 1e6, abs=0.05),
                    e.data.get("reason"),
                )
                for e in events
            ]
        )
        ids = [e.event_id for e in events]
        assert len(set(ids)) == len(ids)
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


ENTERED, EXITED = "zone.entered", "zone.exited"


def test_the_exit_is_beyond_the_buffer_and_flapping_within_it_tells_nothing():
    flapping = track((0, -500), (10, 500), (20, -50), (30, 50), (40, -90), (50, 10), (60, -300))
    assert told(registry(exit_buffer_m=100), flapping) == [
        (ENTERED, 5, "inferred"),
        # From +10 m to -300 m in 10 s: at -100 m after 110 / 310 of them.
        (EXITED, 50 + 10 * 110 / 310, "inferred"),
    ]
    assert len(told(registry(), flapping)) == 6


@pytest.mark.parametrize("west", [179.95, 180.0 - 50 * METRES, -180.0])
def test_buffers_hold_across_the_antimeridian(west):
    flapping = track((0, -500), (10, 500), (20, -50), (30, 50), (40, -300), west=west)
    assert told(registry(west, exit_buffer_m=100), flapping) == [
        (ENTERED, 5, "inferred"),
        (EXITED, 30 + 10 * 150 / 350, "inferred"),
    ]


def test_an_entry_counts_once_it_has_lasted_and_keeps_the_time_of_the_crossing():
    zone = registry(min_inside_s=30)
    short = [(0, -100), (10, 100), (20, -100)]
    assert told(zone, track(*short)) == []
    assert told(zone, track(*short, (30, 100), (50, 100), (54, 100))) == []
    assert told(zone, track(*short, (30, 100), (50, 100), (56, 100))) == [(ENTERED, 25, "inferred")]
    # Through and out between two fixes, but long enough inside.
    assert told(registry(min_inside_s=100), track((0, -5_000), (400, 16_132))) == [
        (ENTERED, 400 * 5_000 / 21_132, "inferred"),
        (EXITED, 400 * 16_132 / 21_132, "inferred"),
    ]


def test_an_exit_counts_once_it_has_lasted_and_keeps_the_time_of_the_first_crossing():
    zone = registry(min_outside_s=30)
    begin = [(0, 100), (10, 100), (20, -100)]
    assert told(zone, track(*begin, (30, -100), (40, 100))) == [(ENTERED, 0, "observed")]
    assert told(zone, track(*begin, (44, -100))) == [(ENTERED, 0, "observed")]
    assert told(zone, track(*begin, (46, -100))) == [
        (ENTERED, 0, "observed"),
        (EXITED, 15, "inferred"),
    ]


def test_a_fix_whose_error_circle_reaches_the_zone_shows_no_exit():
    vague = {"position_accuracy_m": 80.0}
    going = [(0, 100, vague), (10, -150, vague), (20, -170, vague), (30, -190, vague)]
    zone = registry(exit_buffer_m=100)
    entered, exit_at = (ENTERED, 0, "observed"), (EXITED, 10 * 200 / 250, "inferred")
    assert told(zone, track(*going[:3])) == [entered]
    assert told(zone, track(*going)) == [entered, exit_at]
    # No more than the cap counts: a real exit is not put off for ever.
    lost = {"position_accuracy_m": 5_000.0}
    far = track((0, 100, lost), (10, -150, lost), (20, -210, lost))
    assert told(zone, far[:2]) == [entered]
    assert told(zone, far) == [entered, exit_at]
    assert told(registry(exit_buffer_m=100, accuracy_cap_m=0), far[:2]) == [entered, exit_at]


def test_dwell_is_told_when_due_once_a_visit():
    zone = registry(max_dwell_s=60)
    dwelling = [(0, -100), (10, 100), (40, 100), (70, 100), (200, 100), (210, -100)]
    assert told(zone, track(*dwelling)) == [
        (ENTERED, 5, "inferred"),
        ("zone.dwell_exceeded", 65, None),
        (EXITED, 205, "inferred"),
    ]
    assert told(zone, track(*dwelling[:3])) == [(ENTERED, 5, "inferred")]
    assert told(zone, track((0, -100), (10, 100), (50, 100), (80, -500))) == [
        (ENTERED, 5, "inferred"),
        (EXITED, 55, "inferred"),
    ]


def test_dwell_sums_over_the_visits_within_its_window():
    visits = [(0, 100), (40, 100), (40.001, -100), (100, -100), (100.001, 100), (140, 100)]
    zone = registry(max_dwell_s=60, dwell_window_s=1000)
    assert ("zone.dwell_exceeded", 120, None) in told(zone, track(*visits))
    assert len(told(registry(max_dwell_s=60), track(*visits))) == 3
    # 50 s of the last 110 from 110 s on, while the first visit falls out of the window, then more.
    long = [*visits[:5], (400, 100)]
    narrow = registry(max_dwell_s=60, dwell_window_s=110)
    assert ("zone.dwell_exceeded", 160, None) in told(narrow, track(*long))
    # After the window nothing is left of it.
    late = [*visits[:3], (3_000, -100), (3_000.001, 100), (3_050, 100)]
    assert "zone.dwell_exceeded" not in [e[0] for e in told(zone, track(*late))]


def test_across_a_gap_nothing_is_inferred_and_presence_is_not_known():
    zone = registry(max_gap_s=100)
    through = track((0, -5_000), (90, -100), (300, 12_000))
    # The vehicle's own limit is a day: only the zone's says that this is a gap, for who is in it.
    assert told(zone, through) == []
    inside = track((0, 100), (90, 100), (300, 100), (310, -100))
    assert told(zone, inside) == [
        (ENTERED, 0, "observed"),
        ("track.gap", 90, "time"),
        (EXITED, 305, "inferred"),
    ]
    gone = track((0, 100), (300, -100))
    assert told(zone, gone) == [
        ("track.gap", 0, "time"),
        (ENTERED, 0, "observed"),
        (EXITED, 300, "observed"),
    ]


def test_a_way_that_the_vehicle_cannot_have_made_is_a_gap():
    limits = Limits.of({}, {"auv": 5.0})
    jump = track((0, -5_000), (10, 15_000), (20, 15_020))
    assert told(registry(), jump, limits) == [("track.gap", 0, "speed")]
    assert [e[0] for e in told(registry(), jump)] == [ENTERED, EXITED]
    vague = track((0, -50), (1, 60), position_accuracy_m=20.0)
    assert told(registry(), vague, limits) == [(ENTERED, 50 / 110, "inferred")]


def test_a_hold_starts_again_after_a_gap():
    zone = registry(min_inside_s=60, max_gap_s=100)
    assert told(zone, track((0, -100), (10, 100), (200, 100), (230, 100))) == []
    assert told(zone, track((0, -100), (10, 100), (200, 100), (270, 100))) == [
        (ENTERED, 5, "inferred")
    ]


def test_unknown_depth_neither_enters_nor_leaves_and_0_is_a_bound():
    surface = registry(min_depth_m=0, max_depth_m=10)
    fixes = [(0, 100), (10, 100, {"depth_m": 5.0}), (20, 100), (30, 100, {"depth_m": 15.0})]
    assert told(surface, track(*fixes)) == [
        (ENTERED, 10, "observed"),
        (EXITED, 30, "observed"),
    ]
    dive = track((0, 100, {"depth_m": -1.0}), (10, 100, {"depth_m": 19.0}))
    assert told(surface, dive) == [(ENTERED, 0.5, "inferred"), (EXITED, 5.5, "inferred")]


def test_heights_above_the_bottom_are_a_band_of_their_own():
    zone = registry(min_height_m=2, max_height_m=10, vertical="bottom")
    climb = track(
        (0, 100, {"height_above_bottom_m": 0.0}), (10, 100, {"height_above_bottom_m": 20.0})
    )
    assert told(zone, climb) == [(ENTERED, 1, "inferred"), (EXITED, 5, "inferred")]
    assert told(zone, track((0, 100), (10, 100), depth_m=5.0)) == []


@pytest.mark.parametrize("west", [0.0, 180.0 - 50 * METRES])
def test_a_band_holds_in_the_buffer_too(west):
    zone = registry(west, max_depth_m=10, exit_buffer_m=100)
    dive = track(
        (0, 100, {"depth_m": 0.0}),
        (10, -50, {"depth_m": 0.0}),
        (20, -60, {"depth_m": 20.0}),
        (30, -50, {"depth_m": 0.0}),
        west=west,
    )
    assert told(zone, dive) == [(ENTERED, 0, "observed"), (EXITED, 15, "inferred")]


def test_a_zone_on_a_schedule_opens_and_closes_around_who_is_in_it():
    hours = {"windows": ["00:00:05-00:00:15", "00:00:20-00:00:30", "00:01:00-00:02:00"]}
    zone = registry(schedule=hours, exit_buffer_m=100)
    changed = "zone_changed"
    visits = [
        (ENTERED, 5, changed),
        (EXITED, 15, changed),
        (ENTERED, 20, changed),
        (EXITED, 30, changed),
    ]
    # Fixes within the windows, and none at all.
    assert told(zone, track(*((time, 100) for time in (0, 7, 14, 15, 17, 20, 22, 35)))) == visits
    assert told(zone, track((0, 100), (40, 100))) == visits
    # In the buffer when it closes, outside when it opens again.
    assert told(zone, track((0, 100), (10, 100), (14, -50), (16, -50), (25, -50))) == visits[:2]
    # Open at midnight of a clock far from UTC, every day but some.
    night = {"windows": ["23:59:50-00:00:10"], "time_zone": "Asia/Kolkata", "weekdays": ["thu"]}
    begin = 18.5 * 3600 - 10
    still = [(begin + time, 100) for time in (-100, 5, 15, 100)]
    assert told(registry(schedule=night), track(*still)) == [
        (ENTERED, begin, changed),
        (EXITED, begin + 20, changed),
    ]
    assert told(registry(schedule=night | {"weekdays": ["fri"]}), track(*still)) == []


def test_the_uncertainty_is_what_the_accuracy_leaves_open_at_the_speed_made():
    [event] = run_once(registry(), track((0, -100), (10, 100), position_accuracy_m=10.0))
    # 20 m/s, 10 m.
    assert event.data["uncertainty_s"] == pytest.approx(0.5, rel=0.01)
    [event] = run_once(registry(), track((0, -100), (10, 100)))
    assert event.data["uncertainty_s"] == 10
    [event] = run_once(registry(), track((0, 100)))
    assert event.data["uncertainty_s"] is None


def run_once(registry, records):
    [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(records))
    return run(Judges(registry), Memory(), seen).zone_events


@pytest.mark.parametrize(
    ("properties", "mistake"),
    [
        ({"dwell_window_s": 50}, "`max_dwell_s` is absent"),
        ({"dwell_window_s": 50, "max_dwell_s": 60}, "`max_dwell_s` is 60.0, above it"),
        ({"accuracy_cap_m": 50}, "there is no `exit_buffer_m`"),
    ],
)
def test_contradictions_are_refused(properties, mistake):
    with pytest.raises(ZoneFileError, match=mistake):
        registry(**properties)


@pytest.mark.parametrize(
    ("body", "vertical"), [("earth", "ellipsoid"), ("mars", "areoid"), ("moon", "ellipsoid")]
)
def test_altitudes_are_a_band_of_their_own_on_each_body(body, vertical):
    zone = registry(body=body, vertical=vertical, min_altitude_m=-100, max_altitude_m=50)
    climbing = [(0, 200, {"altitude_m": -200.0}), (100, 200, {"altitude_m": 0.0})]
    climbing += [(200, 200, {"altitude_m": 100.0})]
    # A depth says nothing of an altitude.
    assert told(zone, track(*climbing, body=body, depth_m=0.0)) == [
        (ENTERED, 50, "inferred"),
        (EXITED, 150, "inferred"),
    ]
    assert told(zone, track((0, 200), (100, 200), body=body, depth_m=0.0)) == []


def test_a_rover_goes_in_and_out_by_the_sols_clock():
    sol_s = 88_775.244
    windows = {"windows": ["06:00-18:00"], "solar_longitude": 0.0}
    zone = registry(body="mars", schedule=windows)
    hourly = track(*((i * sol_s / 24, 200) for i in range(24 * 3)), body="mars")
    events = told(zone, hourly)
    # That it is in it at first is observed; then the clock opens and closes.
    (_, first, reason), *rest = events
    assert (first, reason) == (0, "observed")
    assert [what for what, *_ in rest] == [EXITED, ENTERED] * 3
    assert {reason for *_, reason in rest} == {"zone_changed"}
    times = [time.expected / sol_s for _, time, _ in rest]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([0.5] * 5, abs=1e-4)
