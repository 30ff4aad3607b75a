"""The benchmark measures what it says, on inputs that are what they claim to be."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import shapely
import typer
import yaml
from typer.testing import CliRunner, Result

from schemas.zone_file import load_zones
from scripts.benchmark import main, per_message
from scripts.benchmark.answers import difference, read_answers, zone_difference
from scripts.benchmark.areas import draw_rules, draw_zones, memberships, region_side_m, shares
from scripts.benchmark.command import plan
from scripts.benchmark.fleet import DEG_PER_M, simulate
from scripts.benchmark.generate import Inputs, Size, make_inputs
from scripts.benchmark.launcher import main as launch
from scripts.benchmark.matrix import ALL, QUICK, QUICK_RECORDS, Row
from scripts.benchmark.measure import Figures, RunFailedError, Usage, combined, run_program
from scripts.benchmark.table import Agreement, Outcome

SMALL = Size(vehicles=50, zones=40, rules=20, records=4_000)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return make_inputs(SMALL, tmp_path_factory.mktemp("bench"))


def records_of(inputs: Inputs) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inputs.telemetry.read_text().splitlines()]


def bench(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, arguments)


def test_the_same_seed_gives_the_same_files_and_another_seed_others(
    inputs: Inputs, tmp_path: Path
) -> None:
    again = make_inputs(SMALL, tmp_path)
    other = make_inputs(Size(50, 40, 20, 4_000, seed=2), tmp_path)
    for name in ("telemetry", "first_record", "zones", "rules"):
        first = getattr(inputs, name).read_bytes()
        assert getattr(again, name).read_bytes() == first
        assert getattr(other, name).read_bytes() != first


def test_files_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    first = make_inputs(SMALL, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert make_inputs(SMALL, tmp_path) == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == made


def test_each_line_has_eight_fields_and_the_values_of_the_columns(inputs: Inputs) -> None:
    fleet = simulate(SMALL.vehicles, SMALL.records, region_side_m(SMALL.zones), SMALL.seed)
    records = records_of(inputs)
    assert len(records) == SMALL.records
    assert {len(record) for record in records} == {8}
    for name in (
        "latitude",
        "longitude",
        "depth_m",
        "speed_mps",
        "heading_deg",
        "battery_pct",
    ):
        assert [record[name] for record in records] == getattr(fleet, name).tolist()
    times = [datetime.fromisoformat(record["timestamp"]) for record in records]
    assert [round(time.timestamp() * 1000) for time in times] == fleet.time_ms.tolist()
    assert 180 <= inputs.telemetry.stat().st_size / SMALL.records <= 195


def test_rows_come_in_time_order_and_vehicles_move_as_their_speed_says() -> None:
    vehicles = 20
    fleet = simulate(vehicles, 2_000, 50_000.0, 1)
    assert np.all(np.diff(fleet.time_ms) >= 0)
    gap_s = (fleet.time_ms[vehicles:] - fleet.time_ms[:-vehicles]) / 1000
    assert gap_s.min() >= 0.99
    assert gap_s.max() <= 10.01
    assert fleet.speed_mps.min() >= 1
    assert fleet.speed_mps.max() <= 3
    east = fleet.longitude[vehicles:] - fleet.longitude[:-vehicles]
    north = fleet.latitude[vehicles:] - fleet.latitude[:-vehicles]
    moved_m = np.hypot(east, north) / DEG_PER_M
    expected_m = fleet.speed_mps[vehicles:] * gap_s
    # Coordinates are rounded to 0.1 m; where the region's edge turns a vehicle back it moves less.
    assert np.mean(np.abs(moved_m - expected_m) < 0.3) > 0.99
    assert np.all(moved_m < expected_m + 0.3)


@pytest.mark.parametrize("zones", [50, 500, 5_000])
def test_the_stated_shares_of_rows_are_inside_and_crossing(zones: int) -> None:
    fleet = simulate(200, 100_000, region_side_m(zones), 1)
    found = shares(fleet, draw_zones(zones, 1))
    assert 0.2 < found.inside < 0.3
    assert 0.002 < found.crossing < 0.01


def test_zones_are_valid_and_the_projects_own_loader_takes_them(inputs: Inputs) -> None:
    features = json.loads(inputs.zones.read_text())["features"]
    polygons = shapely.from_geojson([json.dumps(f["geometry"]) for f in features])
    assert len(polygons) == SMALL.zones
    assert shapely.is_valid(polygons).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert set(shapely.get_num_coordinates(polygons)) == {65}
    assert 0 < sum("min_depth_m" in f["properties"] for f in features) < SMALL.zones
    assert len(load_zones(inputs.zones.read_bytes(), "zones.geojson")) == SMALL.zones


def test_many_zones_are_valid_too() -> None:
    assert shapely.is_valid(shapely.polygons(draw_zones(5_000, 3).rings)).all()


@pytest.mark.parametrize("count", [1, 20, 1_000])
def test_half_of_the_rules_are_on_zones_and_a_third_wait(count: int) -> None:
    rules = draw_rules(count, 1)
    assert len({rule["id"] for rule in rules}) == count
    assert sum("zone." in rule["when"] for rule in rules) == count // 2
    assert sum("for" in rule for rule in rules) == count // 3


def test_about_two_percent_of_the_rows_satisfy_a_rule(tmp_path: Path) -> None:
    inputs = make_inputs(Size(vehicles=1_000, zones=500, rules=20, records=20_000), tmp_path)
    find = per_message.zone_finder(per_message.load_zones(inputs.zones))
    judge = per_message.rule_loop(
        [rule | {"for": timedelta(0)} for rule in per_message.load_rules(inputs.rules)]
    )
    records = (find(per_message.parse(line)) for line in inputs.telemetry.read_text().splitlines())
    satisfied = [len(judge(None, record)[0]) for record in records]
    assert 0.005 < np.mean(satisfied) < 0.04


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("depth_m > 10.0", True),
        ("depth_m > 30.0 || speed_mps < 2.0", True),
        ("depth_m > 30.0 || speed_mps < 1.0", False),
        ('zone.kind == "apei" && depth_m > 10.0', True),
        ('zone.kind == "depth_m" && depth_m > 10.0', False),
        ('zone.kind == "apei" && (depth_m < 10.0 || speed_mps < 1.6)', True),
    ],
)
def test_a_rule_means_the_same_in_python(when: str, holds: bool) -> None:
    record = {"depth_m": 20.0, "speed_mps": 1.5}
    assert per_message.predicate(when)(record, {"kind": "apei"}) is holds


def test_an_alarm_is_raised_once_after_its_duration_and_cleared_once() -> None:
    rule = {"id": "deep", "when": "depth_m > 10.0", "for": timedelta(seconds=10), "message": "{x}"}
    judge = per_message.rule_loop([rule])
    start = datetime.fromisoformat("2026-03-01T00:00:00Z")
    state, told = None, []
    for second, depth_m in [(0, 20), (5, 20), (12, 20), (15, 20), (20, 5), (25, 5), (30, 20)]:
        time = start + timedelta(seconds=second)
        record = {"vehicle_id": "a", "depth_m": depth_m, "zones": [], "time": time, "x": 1}
        state, events = judge(state, record | {"timestamp": time.isoformat()})
        told += [(second, event["type"]) for event in events]
    assert told == [(12, "raised"), (20, "cleared")]


def test_per_message_finds_the_zone_events_that_the_columns_say(
    inputs: Inputs, tmp_path: Path
) -> None:
    fleet = simulate(SMALL.vehicles, SMALL.records, region_side_m(SMALL.zones), SMALL.seed)
    _, enters, leaves = memberships(fleet, draw_zones(SMALL.zones, SMALL.seed))
    program, results = Path(per_message.__file__), tmp_path / "results"
    command = [sys.executable, "-P", str(program), str(inputs.telemetry), str(inputs.zones)]
    usage = tmp_path / "usage.json"
    assert launch(str(usage), [*command, str(inputs.rules), str(results)]) == 0
    found = read_answers(results)
    assert set(found.zone_events.values()) == {1}
    records = records_of(inputs)
    for what, rows in (("entered", enters), ("exited", leaves)):
        expected = {
            (records[i]["vehicle_id"], datetime.fromisoformat(records[i]["timestamp"]))
            for i in np.flatnonzero(rows)
        }
        assert {(key[1], key[4]) for key in found.zone_events if key[0] == what} == expected
        assert expected
    assert found.alarms


def launched(usage: Path, code: str) -> int:
    """The status of the code, run as the benchmark runs programs: by a small process."""
    words = ["-m", "scripts.benchmark.launcher", str(usage), sys.executable, "-c", code]
    return subprocess.run([sys.executable, *words], check=False).returncode


def test_a_launched_command_is_measured_and_its_status_passed_on(tmp_path: Path) -> None:
    usage = tmp_path / "usage.json"
    code = "import sys; held = bytearray(300_000_000); sys.exit(3)"
    assert launched(usage, code) == 3
    took = json.loads(usage.read_text())
    assert 300 < took["peak_mb"] < 400
    assert took["wall_s"] > 0
    assert took["cpu_s"] > 0
    killed = "import os; os.kill(os.getpid(), 9)"
    assert launched(usage, killed) == 128 + 9


def test_both_shapes_of_events_read_the_same(tmp_path: Path) -> None:
    bare = {"vehicle_id": "a", "zone_id": "z", "time": "2026-03-01T00:00:00.123Z"}
    lines = {
        "bare": bare | {"type": "entered"},
        "cloud": {
            "type": "farwatch.zone.entered.v1",
            "data": bare | {"time": "2026-03-01T00:00:00.123000Z"},
        },
    }
    for name, line in lines.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "geofencing_events.ndjson").write_text(json.dumps(line) + "\n")
    answers = [read_answers(tmp_path / name) for name in lines]
    assert answers[0] == answers[1]
    assert answers[0].zone_events.total() == 1


def test_a_doubled_or_missing_event_is_a_difference() -> None:
    once, twice = Counter({("entered", "a", "", "z", 1): 1}), Counter({("entered", 1): 2})
    assert difference(once, once) == ""
    assert "1 only in the one, 0 only in the other" in difference(once, Counter())
    assert difference(twice, Counter({("entered", 1): 1})) != ""


def test_only_the_times_of_zone_events_and_whole_passages_may_differ() -> None:
    at_records = Counter({("entered", "a", "", "z", 2): 1})
    earlier = Counter({("entered", "a", "", "z", 1): 1})
    passage = Counter({("entered", "a", "", "y", 3): 1, ("exited", "a", "", "y", 4): 1})
    assert zone_difference(at_records, earlier) == ""
    assert zone_difference(at_records, earlier + passage) == ""
    assert zone_difference(at_records + passage, earlier) != ""
    assert zone_difference(at_records, earlier + Counter({("entered", "a", "", "y", 3): 1})) != ""
    assert zone_difference(at_records, earlier + earlier) != ""


def test_different_answers_make_the_benchmark_void() -> None:
    outcome = Outcome({}, agreements={"watch": Agreement("", "")})
    assert not outcome.void
    outcome.agreements["frame-1000"] = Agreement("1 only in the one", "")
    assert outcome.void


def test_a_run_no_longer_than_its_start_has_no_throughput(inputs: Inputs) -> None:
    start, row = Usage(1.0, 1.0, 10.0), Row("watch", "watch", SMALL)
    short = Figures(row, start, start, inputs.shares, 0, 0)
    long = Figures(row, start, Usage(3.0, 2.0, 10.0), inputs.shares, 0, 0)
    assert short.steady_records_per_s is None
    assert long.steady_records_per_s == (SMALL.records - 1) / 2
    assert long.steady_cpu_us_per_record == pytest.approx(1e6 / SMALL.records)


def test_a_quick_run_holds_fewer_rows_on_smaller_inputs() -> None:
    quick, full = plan(None, records=None, quick=True), plan(None, records=None, quick=False)
    assert [row.name for row in full] == list(ALL)
    assert {row.name for row in quick} == set(QUICK)
    assert {row.size.records for row in quick} == {QUICK_RECORDS}
    # What is compared must run on the same input.
    assert len({row.size for row in quick[:3]}) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rows", "per-massage"),
        ("--rows", ""),
        ("--json", "no-such-folder/table.json"),
        ("--folder", __file__ + "/x"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_status_2(arguments: tuple[str, ...]) -> None:
    result = bench(*arguments)
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1
    assert result.output.startswith("bench: `--")


def test_the_table_for_machines_holds_figures_parameters_and_versions(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    result = bench("--rows", "per-message", "--records", "2000", "--json", str(table))
    assert result.exit_code == 0, result.output
    assert "per-message" in result.output
    found = json.loads(table.read_text())
    assert found["parameters"] == {"quick": False, "repeat": 1, "records_at_most": 2000}
    assert found["environment"]["cpu_count"] >= 1
    assert found["environment"]["versions"]["bytewax"]
    assert found["void"] is False
    (row,) = found["rows"]
    assert row["row"] == "per-message"
    assert (row["vehicles"], row["zones"], row["rules"], row["records"]) == (1000, 500, 20, 2000)
    assert min(row["wall_s"], row["startup_s"]) > 0
    assert row["peak_mb"] > 30
    assert row["zone_events"] > 0


def test_the_watch_finds_what_the_per_message_way_finds(inputs: Inputs, tmp_path: Path) -> None:
    found = []
    for program in ("per-message", "watch"):
        results = tmp_path / program / "results"
        results.parent.mkdir()
        row = Row(program, program, SMALL, frame_rows=1_000)
        run_program(row, inputs, inputs.telemetry, results)
        found.append(read_answers(results))
    assert zone_difference(found[0].zone_events, found[1].zone_events) == ""
    assert difference(found[0].alarms, found[1].alarms) == ""
    assert found[0].zone_events
    assert found[0].alarms


def test_of_several_runs_the_shortest_start_and_the_median_whole_count() -> None:
    runs = [Usage(3.0, 1.0, 10.0), Usage(1.0, 2.0, 30.0), Usage(2.0, 9.0, 20.0)]
    assert combined(runs, min) == Usage(1.0, 1.0, 10.0)
    assert combined(runs, median) == Usage(2.0, 2.0, 20.0)


def test_a_program_that_fails_is_told_with_its_last_line(inputs: Inputs, tmp_path: Path) -> None:
    row, missing = Row("per-message", "per-message", SMALL), tmp_path / "no-telemetry"
    broken = replace(inputs, zones=missing)
    with pytest.raises(RunFailedError, match=r"per-message ended with 1: .*no-telemetry"):
        run_program(row, broken, inputs.telemetry, tmp_path / "results")


@pytest.mark.slow
def test_the_table_says_that_both_ways_agree(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    result = bench(
        *("--rows", "per-message,watch,decode", "--records", "5000", "--json", str(table))
    )
    assert result.exit_code == 0, result.output
    found = {row["row"]: row for row in json.loads(table.read_text())["rows"]}
    assert found["watch"]["same_zone_events"] is True
    assert found["watch"]["same_alarms"] is True
    assert found["watch"]["zone_events"] >= found["per-message"]["zone_events"] > 0


def test_rules_are_yaml_that_reads_back_as_drawn(inputs: Inputs) -> None:
    assert yaml.safe_load(inputs.rules.read_text()) == draw_rules(SMALL.rules, SMALL.seed)
