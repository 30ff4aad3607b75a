"""Readers on real files: nothing lost, traps of the data met, outside oracles agreed with."""

import csv
import gzip
import json
import math
import pickle
import re
import statistics
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.readers import Chunk, reader_for
from connectors.readers.mars_clock import sol_at_time_us, time_us_at_sclk
from connectors.readers.remus import sensor_name
from schemas.decoding import TelemetryDecoder
from schemas.mars_time import SOL_S
from schemas.message import Reject

WAYPOINTS = "mars2020-traverse/M20_waypoints_tosol0401.json"
TRAVERSE = "mars2020-traverse/M20_traverse_sol0014-0999.json.gz"
NEW_YORK = "ais-marinecadastre/NYHarbor_2020_06_30_first_hour.csv.gz"
ONE_SECOND = "ais-marinecadastre/noaa_2023-01-11_one_second_1000_vessels.csv.gz"
REMUS = "auv-ooi-remus600"

# Format, file, telemetry records in it, rows in it that are none.
FILES = [
    ("mars2020-waypoints", WAYPOINTS, 123, 0),
    ("mars2020-traverse", TRAVERSE, 17093, 0),
    ("mars2020-traverse", "msl-traverse/MSL_traverse_0000-0849.json.gz", 0, 850),
    ("marinecadastre", NEW_YORK, 8689, 0),
    ("marinecadastre", ONE_SECOND, 1000, 0),
    ("remus", f"{REMUS}/AUV_subset_reduced.csv", 500, 34),
    ("remus", f"{REMUS}/AUV_flort_subset_reduced.csv", 321, 34),
    ("remus", f"{REMUS}/eng/subset_battery.csv", 20, 0),
    ("remus", f"{REMUS}/eng/subset_emergency.csv", 7, 0),
    ("remus", f"{REMUS}/eng/subset_fault.csv", 36, 0),
    ("remus", f"{REMUS}/eng/subset_imagenex.csv", 20, 4),
    ("remus", f"{REMUS}/eng/subset_motor.csv", 28, 0),
    ("remus", f"{REMUS}/eng/subset_oil_comp.csv", 20, 1),
    ("remus", f"{REMUS}/eng/subset_state.csv", 25, 0),
    ("remus", f"{REMUS}/eng/subset_tx_board.csv", 22, 0),
    ("remus", f"{REMUS}/eng/subset_usbl.csv", 20, 0),
    ("remus", f"{REMUS}/eng/battery_bad_timestamp.csv", 4, 1),
    ("remus", f"{REMUS}/eng/emergency_bad_timestamp.csv", 3, 1),
    ("remus", f"{REMUS}/eng/fault_bad_timestamp.csv", 6, 1),
    ("remus", f"{REMUS}/eng/motor_bad_timestamp.csv", 4, 1),
    ("remus", f"{REMUS}/eng/state_bad_timestamps.csv", 7, 1),
]


def read(path: Path, spec: str, rows: int = 10_000, resume: object = None) -> list[Chunk]:
    return list(reader_for(spec).read(path, resume, rows))


def records(chunks: list[Chunk]) -> list[dict[str, Any]]:
    lines = [line for c in chunks if c.message for line in c.message.body.split(b"\n") if line]
    return [json.loads(line) for line in lines]


def rejects(chunks: list[Chunk]) -> list[Reject]:
    return [reject for chunk in chunks for reject in chunk.rejects]


@pytest.mark.parametrize(("spec", "name", "good", "bad"), FILES)
def test_every_row_of_the_file_is_a_record_or_a_reject(
    outside_data: Path, spec: str, name: str, good: int, bad: int
) -> None:
    path = outside_data / name
    chunks = read(path, spec)
    assert (len(records(chunks)), len(rejects(chunks))) == (good, bad)
    assert chunks[-1].bytes_done == path.stat().st_size


@pytest.mark.parametrize(("spec", "name", "good", "bad"), FILES)
def test_reading_resumes_at_every_chunk_with_the_same_rest(
    outside_data: Path, spec: str, name: str, good: int, bad: int
) -> None:
    path = outside_data / name
    chunks = read(path, spec, rows=max(2, (good + bad) // 3))
    assert len(chunks) > 1
    for index, chunk in enumerate(chunks):
        resume = pickle.loads(pickle.dumps(chunk.resume))
        rest = read(path, spec, rows=max(2, (good + bad) // 3), resume=resume)
        assert [(c.message, c.rejects) for c in rest] == [
            (c.message, c.rejects) for c in chunks[index + 1 :]
        ]


@pytest.mark.parametrize(("spec", "name", "good", "bad"), FILES)
def test_gzip_and_plain_give_the_same(
    outside_data: Path, tmp_path: Path, spec: str, name: str, good: int, bad: int
) -> None:
    path = outside_data / name
    data = path.read_bytes()
    other = tmp_path / path.name
    other.write_bytes(gzip.decompress(data) if name.endswith(".gz") else gzip.compress(data))
    as_stored, otherwise = read(path, spec, rows=100), read(other, spec, rows=100)
    assert [(c.message, c.rejects) for c in otherwise] == [
        (c.message, c.rejects) for c in as_stored
    ]
    assert otherwise[-1].bytes_done == other.stat().st_size


@pytest.mark.parametrize(("spec", "name", "good", "bad"), FILES)
def test_the_decoder_takes_every_record(
    outside_data: Path, spec: str, name: str, good: int, bad: int
) -> None:
    messages = [c.message for c in read(outside_data / name, spec) if c.message]
    decoded = TelemetryDecoder().decode(messages)
    assert decoded.rejects == []
    assert (0 if decoded.frame is None else len(decoded.frame)) == good


def test_waypoint_times_increase_and_agree_with_sols(outside_data: Path) -> None:
    found = records(read(outside_data / WAYPOINTS, "mars2020-waypoints"))
    times = [r["timestamp"] for r in found]
    assert times == sorted(set(times))
    assert len({r["message_id"] for r in found}) == 123
    for record in found:
        time_us = round(datetime.fromisoformat(record["timestamp"]).timestamp() * 1e6)
        assert int(sol_at_time_us(time_us)) == record["sensors"]["sol"]
    # Spacecraft clock absent (sol 13) or filed under another sol.
    unsure = [r["sensors"]["sol"] for r in found if "time_uncertainty_s" in r["sensors"]]
    assert unsure == [13, 29, 31, 110, 359, 394]


def test_both_clocks_agree_on_waypoints_and_drives(outside_data: Path) -> None:
    """Rovers drive by daylight: the spacecraft clock must say so in solar time of the same sol.

    98 % of all counts lie in the sol they are filed under or one next to it, and the middle 90 %
    of the ends of drives between 11:00 and 16:15 local mean solar time. A clock wrong by an hour
    would fail.
    """
    layers = [
        json.loads((outside_data / WAYPOINTS).read_bytes()),
        json.loads(gzip.decompress((outside_data / TRAVERSE).read_bytes())),
    ]
    waypoints, drives = ([f["properties"] for f in layer["features"]] for layer in layers)
    starts = [
        sol_at_time_us(time_us_at_sclk(p["SCLK_START"])) - p["sol"]
        for p in (*waypoints, *drives)
        if p["SCLK_START"]
    ]
    assert sum(-1 <= start < 2 for start in starts) / len(starts) > 0.98
    ends = sorted(sol_at_time_us(time_us_at_sclk(p["SCLK_END"])) - p["sol"] for p in drives)
    middle = ends[len(ends) // 20 : -len(ends) // 20]
    assert 11 / 24 < middle[0] < middle[-1] < 16.25 / 24


def test_the_heading_of_a_waypoint_is_where_the_rover_came_to_look(outside_data: Path) -> None:
    drives = records(read(outside_data / TRAVERSE, "mars2020-traverse"))
    waypoints = records(read(outside_data / WAYPOINTS, "mars2020-waypoints"))
    last_metre: dict[str, tuple[float, float]] = {}
    for before, after in pairwise(drives):
        east = (after["longitude"] - before["longitude"]) * math.cos(math.radians(18.4))
        north = after["latitude"] - before["latitude"]
        if (east or north) and _drive_of(before) == _drive_of(after):
            last_metre[_drive_of(after)] = (east, north)
    offsets = [
        _turn(math.degrees(math.atan2(*last_metre[w["message_id"]])), w["heading_deg"])
        for w in waypoints
        if w["message_id"] in last_metre
    ]
    assert len(offsets) > 90
    assert statistics.median(offsets) < 10


def _drive_of(vertex: dict[str, Any]) -> str:
    return str(vertex["message_id"]).partition(":")[0]


def _turn(one_deg: float, other_deg: float) -> float:
    """The angle between two directions, 0 to 180 deg."""
    return abs((one_deg - other_deg + 180) % 360 - 180)


def test_traverse_times_increase_over_all_drives(outside_data: Path) -> None:
    found = records(read(outside_data / TRAVERSE, "mars2020-traverse"))
    times = [r["timestamp"] for r in found]
    assert times == sorted(set(times))
    assert {r["body"] for r in found} == {"mars"}
    by_sol = {r["sensors"]["sol"] for r in found if "time_uncertainty_s" in r["sensors"]}
    assert by_sol == {668}
    assert {r["sensors"]["time_uncertainty_s"] for r in found if r["sensors"]["sol"] == 668} == {
        round(SOL_S / 2)
    }


def test_drives_without_sol_are_told_apart_from_broken_ones(outside_data: Path) -> None:
    found = rejects(
        read(outside_data / "msl-traverse/MSL_traverse_0000-0849.json.gz", "mars2020-traverse")
    )
    assert {r.reason for r in found} == {"sol: is missing or no count of sols"}


def test_ais_courses_agree_with_headings_of_moving_vessels(outside_data: Path) -> None:
    """The New York file writes courses as signed numbers; modulo 360 they would be 49 deg off."""
    with gzip.open(outside_data / NEW_YORK, "rt") as file:
        signed = [float(row["COG"]) < 0 for row in csv.DictReader(file)]
    found = records(read(outside_data / NEW_YORK, "marinecadastre"))
    offsets = [
        _turn(record["sensors"]["course_deg"], record["heading_deg"])
        for record, was_signed in zip(found, signed, strict=True)
        if was_signed and record["speed_kn"] > 5 and "heading_deg" in record
    ]
    assert len(offsets) > 250
    assert statistics.median(offsets) < 5


def test_ais_values_that_mean_not_available_are_absent(outside_data: Path) -> None:
    found = records(read(outside_data / NEW_YORK, "marinecadastre"))
    assert len({r["vessel_id"] for r in found}) == 295
    assert sum("heading_deg" not in r for r in found) == 3606  # 511
    courses = [r.get("sensors", {}).get("course_deg") for r in found]
    assert courses.count(None) == 777  # -49.6
    assert max(course for course in courses if course is not None) < 360
    assert all(r["speed_kn"] >= 0 for r in found)
    burst = records(read(outside_data / ONE_SECOND, "marinecadastre"))
    assert len({r["vessel_id"] for r in burst}) == 1000


def test_ais_by_a_mapping_of_columns_is_what_its_own_reader_gives(
    outside_data: Path, tmp_path: Path
) -> None:
    mapping = tmp_path / "ais.toml"
    mapping.write_text(
        """
        [constant]
        kind = "vessel"
        [time]
        column = "BaseDateTime"
        zone = "UTC"
        [fields]
        vehicle_id = {column = "MMSI", prefix = "mmsi:"}
        latitude = {column = "LAT"}
        longitude = {column = "LON"}
        speed_mps = {column = "SOG", unit = "kn"}
        heading_deg = {column = "Heading", absent = [511]}
        """
    )
    mapped = records(read(outside_data / NEW_YORK, f"csv:{mapping}"))
    own = records(read(outside_data / NEW_YORK, "marinecadastre"))
    assert len(mapped) == len(own) == 8689
    for one, other in zip(mapped, own, strict=True):
        assert one["vehicle_id"] == other["vessel_id"]
        assert one["timestamp"][:19] == other["timestamp"][:19]
        assert one["speed_mps"] == pytest.approx(other["speed_kn"] * 1852 / 3600)
        assert {k: one.get(k) for k in ("latitude", "longitude", "heading_deg")} == {
            k: other.get(k) for k in ("latitude", "longitude", "heading_deg")
        }


def test_remus_kinds_of_one_file_are_all_read(outside_data: Path) -> None:
    chunks = read(outside_data / REMUS / "AUV_subset_reduced.csv", "remus:remus-600")
    kinds = Counter(r["source"] for r in records(chunks))
    assert len(kinds) == 15  # all of the 16 but 1102, whose four records have no clock
    assert kinds["remus-eco_parameter"] == 202
    assert kinds["remus-state"] == 23
    assert {r["auv_id"] for r in records(chunks)} == {"remus-600"}
    assert {r.reason.partition(":")[0] for r in rejects(chunks)} == {"clock not yet set"}
    assert rejects(chunks)[0].raw.startswith(b"1181,62275,41.5543,-70.7050,62275092")
    assert rejects(chunks)[0].origin == "file:AUV_subset_reduced.csv:2"


def test_remus_depths_a_little_above_the_surface_are_kept(outside_data: Path) -> None:
    found = records(read(outside_data / REMUS / "eng/subset_state.csv", "remus"))
    assert -1 < min(r["depth_m"] for r in found) < 0


def test_remus_packs_have_a_charge(outside_data: Path) -> None:
    found = records(read(outside_data / REMUS / "eng/subset_battery.csv", "remus"))
    assert found[0]["battery_pct"] == pytest.approx(100 * 17479 / 21541)
    assert all(0 < r["battery_pct"] < 100 for r in found)


def columns_of(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """(kind, (name, unit) of each column) of a file that holds one kind, read the plain way."""
    header, first = path.read_bytes().splitlines()[:2]
    text = header.replace(b"\xc2\xb0", b"\xb0").replace(b"\xef\xbf\xbd", b"\xb0").decode("latin-1")
    named = re.findall(r"(?:^|,)([^,\[]+)\[[^|,]*\|([^\],]*)\]", text)
    return first.split(b",")[0].decode(), [(name.strip(), unit) for name, unit in named]


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("subset_battery", "battery_telem_20"),
        ("subset_emergency", "emergency_telem_7"),
        ("subset_fault", "fault_telem_35"),
        ("subset_motor", "motor_telem_28"),
        ("subset_state", "state_telem_25"),
        ("subset_usbl", "usbl_telem_22"),
    ],
)
def test_remus_values_are_those_of_the_observatory_s_own_parser(
    outside_data: Path, name: str, oracle: str
) -> None:
    """OOI's expected results name their keys in the order of the file's columns."""
    path = outside_data / REMUS / "eng" / f"{name}.csv"
    expected = yaml.safe_load((path.parent / f"expected/{oracle}.yml").read_text())["data"]
    found = records(read(path, "remus"))
    if name == "subset_fault":
        # The record on the header's own line, which OOI's parser leaves out.
        del found[0]
    kind, columns = columns_of(path)
    assert len(found) == len(expected)
    for record, row in zip(found, expected, strict=True):
        ntp_s = datetime.fromisoformat(record["timestamp"]).timestamp() + 2_208_988_800
        assert ntp_s == pytest.approx(row.pop("internal_timestamp"), abs=1e-6)
        del row["_index"]
        compared = 0
        for (column, unit), value in zip(columns[1:], row.values(), strict=True):
            here = _value(record, kind, column, unit)
            if here is not None:
                compared += 1
                assert here == (value if isinstance(value, str) else pytest.approx(value))
        # Not in the record: both times, a fault's file name, the position 0, 0.
        assert compared >= len(row) - 4


def _value(record: dict[str, Any], kind: str, column: str, unit: str) -> Any:
    promoted = {
        "Latitude": "latitude",
        "Longitude": "longitude",
        "Depth": "depth_m",
        "Pitch": "pitch_deg",
        "Roll": "roll_deg",
        "Compass True Heading": "heading_deg",
        "Estimated Velocity": "speed_mps",
        "Temperature": "temperature_c",
        "Message": "status",
    }
    sensor = record["sensors"].get(sensor_name(kind, column, unit))
    return record.get(promoted.get(column, "")) if sensor is None else sensor
