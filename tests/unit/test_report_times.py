"""Alarms and visits from events, and times as people read them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.frame import rfc3339
from scripts.report.episodes import alarms, crossings, in_force, visits
from scripts.report.profiles import depth_axis
from scripts.report.times import DAY_US, Period, duration, parsed_us, period, stamp, ticks
from tests.report_sample import START_US, cleared, event, raised

MINUTE_US = 60_000_000


def crossing(kind: str, time_us: int, visit: str, **changed: object) -> dict[str, object]:
    return event(kind, "A", time_us, **({"zone_id": "z", "visit_id": visit} | changed))


def test_an_alarm_lasts_from_raised_to_cleared() -> None:
    events = [raised("A", 0, START_US), cleared("A", 0, START_US + MINUTE_US)]
    (alarm,) = alarms(in_force(events))
    assert (alarm.raised_us, alarm.cleared_us) == (START_US, START_US + MINUTE_US)
    assert alarm.state == "cleared"


def test_an_alarm_raised_again_is_another_row() -> None:
    times = [START_US + n * MINUTE_US for n in range(3)]
    events = [raised("A", 0, times[0]), cleared("A", 0, times[1]), raised("A", 0, times[2])]
    assert [alarm.cleared_us for alarm in alarms(in_force(events))] == [times[1], None]


def test_the_order_in_which_events_come_does_not_matter() -> None:
    events = [raised("A", 0, START_US), cleared("A", 0, START_US + 1), raised("B", 1, START_US)]
    assert alarms(in_force(events)) == alarms(in_force(events[::-1]))


def test_an_acknowledged_alarm_is_open_and_says_so() -> None:
    alarm_id = raised("A", 0, START_US)["data"]["alarm_id"]
    acknowledged = event(
        "farwatch.alarm.acknowledged.v1", "A", START_US + 5, alarm_id=alarm_id, state="acknowledged"
    )
    (alarm,) = alarms(in_force([raised("A", 0, START_US), acknowledged]))
    assert (alarm.state, alarm.cleared_us) == ("acknowledged", None)


def test_the_highest_version_of_an_event_stands() -> None:
    first = raised("A", 0, START_US, message="first")
    second = {**first, "data": {**first["data"], "version": 2, "message": "second"}}
    for order in ([first, second], [second, first]):
        assert [alarm.message for alarm in alarms(in_force(order))] == ["second"]


def test_a_visit_is_made_of_its_two_crossings() -> None:
    events = [
        crossing(ZONE_ENTERED, START_US, "v1", longitude=1.0, latitude=2.0),
        crossing(ZONE_EXITED, START_US + 9, "v1"),
        crossing(ZONE_ENTERED, START_US + 20, "v2"),
        crossing(ZONE_EXITED, START_US - 50, "v0"),
    ]
    found = visits(crossings(in_force(events)))
    assert [(visit.entered_us, visit.exited_us) for visit in found] == [
        (None, START_US - 50),
        (START_US, START_US + 9),
        (START_US + 20, None),
    ]


@pytest.mark.parametrize(
    ("length_us", "words"),
    [
        (0, "0 s"),
        (42_400_000, "42 s"),
        (90 * 1_000_000, "1 min 30 s"),
        (3_600 * 1_000_000, "1 h"),
        (DAY_US * 13 + 15 * 3_600_000_000, "13 d 15 h"),
    ],
)
def test_a_duration_is_told_in_two_units(length_us: int, words: str) -> None:
    assert duration(length_us).replace("\N{NO-BREAK SPACE}", " ") == words


@given(st.integers(-(10**15), 4 * 10**15))
def test_a_time_is_read_back_as_it_was_written(time_us: int) -> None:
    assert parsed_us(rfc3339(time_us)) == time_us
    assert stamp(time_us) == rfc3339(time_us)[:19].replace("T", " ")


@given(st.integers(0, 2 * 10**15), st.integers(0, 10**15), st.integers(2, 8))
def test_ticks_are_few_in_order_and_inside(start_us: int, length_us: int, at_most: int) -> None:
    found = ticks(period(start_us, start_us + length_us), at_most)
    shares = [share for share, _ in found]
    assert len(found) <= at_most + 1
    assert all(0 <= share <= 1 for share in shares)
    assert all(one < other for one, other in pairwise(shares))


def test_ticks_of_a_day_are_hours_and_of_years_are_months() -> None:
    day = Period(START_US, START_US + DAY_US)
    assert [label for _, label in ticks(day, 4)] == ["Mar 4", "06:00", "12:00", "18:00", "Mar 5"]
    year = Period(START_US, START_US + 365 * DAY_US)
    assert [label for _, label in ticks(year, 4)] == [
        "Apr 2026",
        "Jul 2026",
        "Oct 2026",
        "Jan 2027",
    ]


@given(st.floats(-20, 11_000), st.floats(0, 11_000))
def test_a_depth_axis_holds_the_surface_and_all_depths(least: float, span: float) -> None:
    top, bottom, depths = depth_axis(least, least + span)
    assert top <= min(least, 0.0)
    assert bottom >= max(least + span, 0.0)
    assert 2 <= len(depths) <= 6
    assert 0.0 in depths
