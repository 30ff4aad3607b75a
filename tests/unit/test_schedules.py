"""Schedules: windows in UTC by clocks on Earth and by the Sun over Mars."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.schedules import Schedules, Timetable
from rules.tracks import FOREVER, NEVER
from schemas.mars_time import sol_date, time_us_at_sol_date
from schemas.schedule import Schedule
from schemas.zone_file import ZoneFileError, load_zones

RING = [[0, 0], [1, 0], [1, 1], [0, 0]]


def us(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def zones(*properties):
    features = [
        {
            "type": "Feature",
            "id": str(i),
            "properties": given,
            "geometry": {"type": "Polygon", "coordinates": [RING]},
        }
        for i, given in enumerate(properties)
    ]
    document = {"type": "FeatureCollection", "features": features}
    return load_zones(json.dumps(document, indent=1).encode(), "z.geojson")


def windows(first, last, **schedule):
    """The windows that meet a stretch of UTC, as text."""
    begins, ends = Timetable(Schedule(**schedule)).spans(us(first), us(last))
    return [
        tuple(str(np.datetime64(int(t), "us").astype("datetime64[s]"))[5:16] for t in window)
        for window in zip(begins, ends, strict=True)
        if window[1] > us(first) and window[0] <= us(last)
    ]


def test_windows_of_every_day_and_over_midnight():
    hours = ["22:00-06:00", "12:30-13:00"]
    assert windows("2026-03-01T12:00", "2026-03-02T23:00", windows=hours) == [
        ("03-01T12:30", "03-01T13:00"),
        ("03-01T22:00", "03-02T06:00"),
        ("03-02T12:30", "03-02T13:00"),
        ("03-02T22:00", "03-03T06:00"),
    ]


def test_windows_that_touch_are_one():
    assert len(windows("2026-03-01T12:00", "2026-03-09T12:00", windows=["00:00-24:00"])) == 1
    assert windows(
        "2026-03-01T12:00",
        "2026-03-01T13:00",
        windows=["10:00-12:30", "12:30-14:00", "12:00-13:00"],
    ) == [("03-01T10:00", "03-01T14:00")]


def test_a_window_over_midnight_belongs_to_the_weekday_it_begins_on():
    # 2026-03-06 is a Friday.
    found = windows(
        "2026-03-02T00:00", "2026-03-09T12:00", windows=["22:00-02:00"], weekdays=["fri", "sun"]
    )
    assert found == [
        ("03-01T22:00", "03-02T02:00"),
        ("03-06T22:00", "03-07T02:00"),
        ("03-08T22:00", "03-09T02:00"),
    ]


def test_local_days_are_those_of_the_time_zone():
    # Friday in Kiritimati begins on Thursday at 10:00 UTC.
    assert windows(
        "2026-03-02T00:00", "2026-03-08T00:00", windows=["00:00-06:00"], weekdays=["fri"],
        time_zone="+14:00",
    ) == [("03-05T10:00", "03-05T16:00")]  # fmt: skip


def test_windows_follow_summer_time():
    hours = {"windows": ["09:00-17:00"], "time_zone": "Europe/London"}
    assert windows("2026-03-28T00:00", "2026-03-29T20:00", **hours) == [
        ("03-28T09:00", "03-28T17:00"),
        ("03-29T08:00", "03-29T16:00"),
    ]


def test_times_that_a_clock_skips_or_shows_twice_are_read_as_in_rfc_5545():
    # New York, 2026-03-08: 02:00 to 03:00 does not exist; 2026-11-01: 01:00 to 02:00 comes twice.
    new_york = {"windows": ["02:15-02:45"], "time_zone": "America/New_York"}
    assert windows("2026-03-08T00:00", "2026-03-08T23:00", **new_york) == [
        ("03-08T07:15", "03-08T07:45")
    ]
    new_york["windows"] = ["01:15-01:45"]
    assert windows("2026-11-01T00:00", "2026-11-01T23:00", **new_york) == [
        ("11-01T05:15", "11-01T05:45")
    ]
    # The whole day of 25 hours.
    new_york["windows"] = ["00:00-24:00"]
    new_york["weekdays"] = ["sun"]
    assert windows("2026-11-01T12:00", "2026-11-01T13:00", **new_york) == [
        ("11-01T04:00", "11-02T05:00")
    ]


@pytest.mark.parametrize(
    ("utc", "longitude", "solar_time"),
    [
        # Raw images of Perseverance, by the mission's clock (connectors.readers.mars_clock).
        ("2021-06-01T14:14:37.984", 77.43, "15:26:09.6"),
        ("2025-04-23T16:40:44.575", 77.43, "16:41:15.1"),
        ("2025-10-07T02:08:38.000", 77.43, "15:18:15.0"),
    ],
)
def test_solar_time_on_mars_is_what_a_mission_published(utc, longitude, solar_time):
    hours, minutes, seconds = solar_time.split(":")
    published_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    local = (sol_date(np.array([us(utc)]))[0] + longitude / 360) % 1
    assert local * 86_400 == pytest.approx(published_s, abs=1.5)
    # A window of 10 s around it is open then, and a sol later.
    low, high = (f"{hours}:{minutes}:{int(float(seconds)) + d:02d}" for d in (-3, 3))
    schedule = {"windows": [f"{low}-{high}"], "solar_longitude": longitude}
    around = Schedules(zones({"body": "mars", "schedule": schedule}))
    sols = us(utc) + np.array([-1, 0, 1, 300]) * 88_775_244_147
    assert around.open_at(np.zeros(4, int), sols).all()
    assert not around.open_at(np.zeros(4, int), sols + 30_000_000).any()


@given(st.integers(0, us("2199-12-31T00:00")))
def test_sol_dates_and_utc_are_each_others_inverse(time_us):
    times = np.array([time_us])
    again = time_us_at_sol_date(sol_date(times))
    # A leap second itself has no UTC here: a second before it may come back as one after.
    assert abs(int(again[0]) - time_us) <= 1_000_002
    assert np.median(np.abs(time_us_at_sol_date(sol_date(times + np.arange(-5, 6) * 10**6))
                            - times - np.arange(-5, 6) * 10**6)) <= 2  # fmt: skip


def test_each_zone_has_its_own_windows_and_one_without_is_always_open():
    of = Schedules(
        zones(
            {"schedule": {"windows": ["01:00-02:00", "03:00-04:00"]}},
            {},
            {"schedule": {"windows": ["01:30-05:00"]}},
        )
    )
    day = us("2026-03-01T00:00")
    hour = 3_600_000_000
    zone = np.array([0, 1, 2, 0])
    stretch, begin, end = of.between(
        zone, np.full(4, day + 1.5 * hour, int), np.full(4, day + 3 * hour, int)
    )
    assert stretch.tolist() == [0, 0, 1, 2, 3, 3]
    assert ((begin[[0, 1, 3]] - day) / hour).tolist() == [1, 3, 1.5]
    assert ((end[[0, 1, 3]] - day) / hour).tolist() == [2, 4, 5]
    assert (begin[2], end[2]) == (NEVER, FOREVER)
    at = np.full(4, day + 2 * hour, int)
    assert of.open_at(zone, at).tolist() == [False, True, True, False]
    closed = of.closed_us(zone, at - hour, at)
    assert closed.tolist() == [day + 2 * hour, FOREVER, FOREVER, day + 2 * hour]


@given(
    st.lists(st.integers(us("1970-01-01T00:00"), us("2199-12-31T00:00")), min_size=1, max_size=5)
)
def test_answers_do_not_depend_on_what_was_asked_before(times):
    schedule = Schedule(windows=("23:10-00:40", "12:00-13:00"), time_zone="+05:30",
                        weekdays=("mon", "sat"))  # fmt: skip
    asked_before = Timetable(schedule)
    for time in times:
        for table in (asked_before, Timetable(schedule)):
            begin, end = table.spans(time, time)
            local = np.datetime64(time + int(5.5 * 3.6e9), "us")
            minute = (local - local.astype("datetime64[D]")) // np.timedelta64(1, "m")
            weekday = (local.astype("datetime64[D]").astype(int) + 3) % 7
            expected = (
                (weekday in (0, 5) and (minute >= 1390 or 720 <= minute < 780))
                or (weekday in (1, 6) and minute < 40)
            )  # fmt: skip
            assert ((begin <= time) & (time < end)).any() == expected


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({}, "`schedule.windows` is {}: field required"),
        ({"windows": []}, "`schedule.windows` is []"),
        ({"windows": ["9-17"]}, "`schedule.windows` is '9-17': give times of day as"),
        ({"windows": ["09:00-24:01"]}, "to 24:00 at most"),
        ({"windows": ["24:00-03:00"]}, "to 24:00 at most"),
        ({"windows": ["09:00-09:00"]}, "a whole day is 00:00-24:00"),
        ({"windows": ["09:00-10:00"], "time_zone": "Middle/Earth"}, "a name as Europe/Oslo"),
        ({"windows": ["09:00-10:00"], "time_zone": "+2"}, "give UTC, an offset as +02:00"),
        ({"windows": ["09:00-10:00"], "weekdays": ["monday"]}, "'mon', 'tue'"),
        ({"windows": ["09:00-10:00"], "every": "day"}, "`schedule.every` is 'day'"),
        ({"windows": ["09:00-10:00"], "solar_longitude": 77}, "is for Mars: give `time_zone`"),
        ("09:00-10:00", "`schedule` is '09:00-10:00'"),
    ],
)
def test_mistakes_name_line_value_and_remedy(schedule, said):
    with pytest.raises(ZoneFileError) as caught:
        zones({"kind": "x", "schedule": schedule})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith('z.geojson:9: zone "0":')
    assert said in mistake


def test_sols_have_no_weekdays():
    schedule = {"windows": ["09:00-10:00"], "solar_longitude": 77, "weekdays": ["mon"]}
    with pytest.raises(ZoneFileError, match="sols have neither time zone nor weekdays"):
        zones({"body": "mars", "schedule": schedule})


def test_a_schedule_written_as_a_feature_reads_back_equal():
    given = zones(
        {"schedule": {"windows": ["09:00-10:00"], "time_zone": "Europe/Oslo", "weekdays": ["mon"]}},
        {"body": "mars", "schedule": {"windows": ["09:00-10:00"], "solar_longitude": 77.4}},
    )
    document = {"type": "FeatureCollection", "features": [zone.feature() for zone in given]}
    again = load_zones(json.dumps(document).encode(), "z")
    assert [zone.schedule for zone in again] == [zone.schedule for zone in given]
