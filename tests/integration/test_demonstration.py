"""The demonstration on real files, held to what plain Python and shapely say of the same rows.

The AIS hour is judged from the cells of its CSV, the rules written out again in Python.
"""

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely

from connectors.readers import reader_for
from tests.by_hand import (
    Condition,
    Crossing,
    Row,
    alike,
    every,
    told_by,
    walk,
    while_in,
    zones_of,
)
from tests.outside import DATA, MISSING

needs_outside_data = pytest.mark.skipif(DATA is None, reason=MISSING)
FOLDER = DATA or Path()
ROOT = Path(__file__).resolve().parents[2]
AIS = FOLDER / "ais-marinecadastre" / "NYHarbor_2020_06_30_first_hour.csv.gz"
REMUS = FOLDER / "auv-ooi-remus600" / "AUV_subset_reduced.csv"
WAYPOINTS = FOLDER / "mars2020-traverse" / "M20_waypoints_tosol0401.json"


# Rule, zone, vehicle, `raised` or `cleared`, time.
Told = tuple[str, str | None, str, str, float]


def farwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the demonstration wrote."""
    out = tmp_path_factory.mktemp("demo")
    done = farwatch("demo", "--data", str(DATA), "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def events(demo: Path, name: str, topic: str) -> list[dict[str, Any]]:
    lines = (demo / name / "results" / f"{topic}.ndjson").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def crossings_told(demo: Path, name: str) -> list[Crossing]:
    return [
        (e["subject"], e["data"]["zone_id"], e["type"].split(".")[2], seconds(e["time"]))
        for e in events(demo, name, "geofencing_events")
        if e["type"].startswith("farwatch.zone.")
    ]


def alarms_told(demo: Path, name: str) -> Counter[Told]:
    return Counter(
        (
            e["data"]["rule_id"],
            e["data"]["zone_id"],
            e["subject"],
            e["type"].split(".")[2],
            seconds(e["time"]),
        )
        for e in events(demo, name, "compliance_violations")
    )


def known(cell: str, absent: float) -> float | None:
    return None if cell in {"", str(absent)} else float(cell)


@pytest.fixture(scope="module")
def ais_rows() -> list[Row]:
    """The rows of the AIS hour from its CSV, with the zones each vessel is in."""
    rows = []
    with gzip.open(AIS, "rt", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            time = datetime.fromisoformat(cells["BaseDateTime"]).replace(tzinfo=UTC).timestamp()
            place = float(cells["LON"]), float(cells["LAT"])
            rows.append(Row(f"mmsi:{cells['MMSI']}", time, *place, cells=cells))
    walk(rows, zones_of("new-york"))
    return rows


def knots(row: Row) -> float:
    return float(row.cells["SOG"])


def long_enough(row: Row) -> bool | None:
    length = known(row.cells["Length"], 0.0)
    return None if length is None else length >= 19.8


def fishes(row: Row) -> bool | None:
    vessel_type = known(row.cells["VesselType"], 0.0)
    return None if vessel_type is None else vessel_type == 30


def anchored(row: Row) -> bool | None:
    status = known(row.cells["Status"], 15.0)
    return None if status is None else status in {1, 5}


# Rule -> kind of zone, seconds, condition on the cells of the CSV (speeds in knots).
IN_ZONES: dict[str, tuple[str, float, Condition]] = {
    "ny-security-zone": ("security", 0, lambda row: True),
    "ny-terminal-channel-stop": ("no_stopping", 120, lambda row: knots(row) <= 0.5),
    "ny-right-whale-speed-out-of-season": (
        "right_whale",
        0,
        lambda row: every(knots(row) > 10, long_enough(row)),
    ),
    "ny-separation-zone": (
        "separation",
        120,
        lambda row: None if fishes(row) is None else not fishes(row),
    ),
    "ny-stopped-in-fairway": ("fairway", 600, lambda row: knots(row) <= 0.5),
    "ny-fast-in-fairway": ("fairway", 60, lambda row: every(knots(row) > 15, long_enough(row))),
    "ny-fast-through-anchorage": ("anchorage", 0, lambda row: knots(row) > 10),
}
ON_RECORDS: dict[str, tuple[float, Condition]] = {
    "ny-under-way-as-anchored": (120, lambda row: every(anchored(row), knots(row) > 3)),
    "ny-no-heading": (
        300,
        lambda row: every(row.cells["Heading"] in {"", "511.0"}, knots(row) > 5, long_enough(row)),
    ),
}


@needs_outside_data
def test_the_vessels_cross_zones_where_plain_geometry_says(demo: Path, ais_rows: list[Row]) -> None:
    expected = walk(ais_rows, zones_of("new-york"))
    assert len(expected) > 100
    assert alike(crossings_told(demo, "new-york-harbour"), expected)


@needs_outside_data
def test_the_vessels_raise_the_alarms_that_the_csv_gives_by_hand(
    demo: Path, ais_rows: list[Row]
) -> None:
    expected: Counter[Told] = Counter()
    for rule, (kind, for_s, holds) in IN_ZONES.items():
        for zone in zones_of("new-york"):
            if zone.kind == kind:
                told = told_by(ais_rows, while_in(zone.id, holds), for_s)
                expected.update((rule, zone.id, *each) for each in told)
    for rule, (for_s, holds) in ON_RECORDS.items():
        expected.update((rule, None, *each) for each in told_by(ais_rows, holds, for_s))
    assert {rule for rule, *_ in expected} >= {*ON_RECORDS, "ny-fast-through-anchorage"}
    # The season of the whales is over and nobody goes against a lane: no other rule speaks.
    assert alarms_told(demo, "new-york-harbour") == expected


@needs_outside_data
def test_a_fishing_vessel_may_stay_in_the_separation_zone(demo: Path, ais_rows: list[Row]) -> None:
    there = [row for row in ais_rows if "off-new-york-separation-zone" in row.zones]
    assert there
    assert all(fishes(row) for row in there)
    assert not [
        event
        for event in events(demo, "new-york-harbour", "compliance_violations")
        if event["data"]["rule_id"] == "ny-separation-zone"
    ]


@needs_outside_data
def test_a_rule_in_shadow_is_recorded_and_nobody_is_told(demo: Path) -> None:
    def rules_on(topic: str) -> set[str]:
        return {e["data"]["rule_id"] for e in events(demo, "new-york-harbour", topic)}

    assert "ny-right-whale-speed-out-of-season" in rules_on("compliance_violations")
    for topic in ("alert_notifications", "critical_alerts", "warning_alerts"):
        assert "ny-right-whale-speed-out-of-season" not in rules_on(topic)


def rows_of(format_spec: str, path: Path) -> tuple[list[Row], int]:
    """The records that a reader gives of a file, and the number of its rejects."""
    rows, rejects = [], 0
    for chunk in reader_for(format_spec).read(path, None, 1000):
        rejects += len(chunk.rejects)
        for line in chunk.message.body.splitlines() if chunk.message else ():
            if line.strip():
                cells = json.loads(line)
                vehicle = cells.get("auv_id") or cells["rover_id"]
                place = cells.get("longitude"), cells.get("latitude"), cells.get("depth_m")
                rows.append(Row(vehicle, seconds(cells["timestamp"]), *place, cells=cells))
    return rows, rejects


@needs_outside_data
def test_perseverance_visits_the_zones_that_hold_its_published_waypoints(demo: Path) -> None:
    rows, rejects = rows_of("mars2020-waypoints", WAYPOINTS)
    published = [
        (p["lon"], p["lat"])
        for p in (f["properties"] for f in json.loads(WAYPOINTS.read_bytes())["features"])
    ]
    assert rejects == 0
    assert sorted((row.longitude, row.latitude) for row in rows) == sorted(published)
    zones = zones_of("jezero")
    inside = {
        zone.id: sum(zone.area.covers(shapely.Point(point)) for point in published)
        for zone in zones
    }
    assert all(inside.values())
    expected = walk(rows, zones, max_gap_s=30 * 88_775.244)
    assert alike(crossings_told(demo, "perseverance"), expected)


@pytest.fixture(scope="module")
def remus_rows() -> list[Row]:
    """The records of the REMUS file, with the zones the vehicle is in."""
    rows, _ = rows_of("remus:remus-600", REMUS)
    walk(rows, zones_of("pioneer"))
    return rows


@needs_outside_data
def test_each_line_of_the_remus_file_is_a_record_a_header_or_a_dead_letter(
    demo: Path, remus_rows: list[Row]
) -> None:
    lines = [line for line in REMUS.read_bytes().splitlines() if line.strip()]
    headers = sum(line.startswith(b"Message Id[") for line in lines)
    dead = events(demo, "remus-600", "dead_letters")
    assert len(lines) == headers + len(remus_rows) + len(dead)
    assert all("clock not yet set" in letter["data"]["reason"] for letter in dead)
    assert events(demo, "remus-600", "late_telemetry") == []


@needs_outside_data
def test_the_remus_crosses_bands_of_depth_as_its_fixes_say(
    demo: Path, remus_rows: list[Row]
) -> None:
    expected = walk(remus_rows, zones_of("pioneer"))
    assert {zone for _, zone, _, _ in expected} == {
        "buzzards-bay-trial",
        "buzzards-bay-launch",
        "buzzards-bay-dive",
    }
    assert alike(crossings_told(demo, "remus-600"), expected)


def sensor_over(name: str, limit: float) -> Condition:
    """Whether the sensor is above the limit; unknown where the record has no such sensor."""
    return lambda row: row.cells["sensors"][name] > limit if name in row.cells["sensors"] else None


def below(value: float | None, limit: float) -> bool | None:
    return None if value is None else value < limit


REMUS_RULES: dict[str, tuple[str | None, float, Condition]] = {
    "remus-battery-low": (None, 0, lambda row: below(row.cells.get("battery_pct"), 75)),
    "remus-oil-low": (
        None,
        20,
        lambda row: below(row.cells["sensors"].get("oil_oil_level_pct"), 55),
    ),
    "remus-fault-bits": (None, 10, sensor_over("state_faults_mask", 0)),
    "remus-fault-message": (
        None,
        0,
        lambda row: every(
            row.cells["source"] == "remus-fault",
            row.cells["status"].startswith("Warning") if "status" in row.cells else None,
        ),
    ),
    "remus-roll": (
        None,
        0,
        lambda row: abs(row.cells["roll_deg"]) > 25 if "roll_deg" in row.cells else None,
    ),
    "remus-dive-under-way": (
        "buzzards-bay-dive",
        0,
        lambda row: None if row.depth is None else row.depth > 5,
    ),
}


@needs_outside_data
def test_the_remus_raises_the_alarms_that_its_records_give_by_hand(
    demo: Path, remus_rows: list[Row]
) -> None:
    expected: Counter[Told] = Counter()
    for rule, (zone_id, for_s, holds) in REMUS_RULES.items():
        told = told_by(remus_rows, while_in(zone_id, holds) if zone_id else holds, for_s)
        found = [(rule, zone_id, *each) for each in told]
        assert found, rule
        expected.update(found)
    assert alarms_told(demo, "remus-600") == expected


@needs_outside_data
def test_only_the_map_of_mars_lies_on_relief(demo: Path) -> None:
    on_relief = {
        report.parent.name
        for report in demo.glob("*/report.html")
        if "data:image/png;base64," in report.read_text("utf-8")
    }
    assert on_relief == {"perseverance"}


def test_a_data_folder_without_the_files_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    done = farwatch("demo", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "lacks" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_bad_relief_with_status_2(tmp_path: Path) -> None:
    done = farwatch("watch", "--relief", str(tmp_path / "absent.json"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--relief" in done.stderr
