"""The command line on wrong input: status, one line, nothing half-written."""

import json
import sys

import pytest

from tests.command_line import refused, watch
from tests.watching import (
    RULES,
    ZONES,
    command,
    environment,
    run,
    telemetry,
    write_inputs,
)


@pytest.fixture
def given(tmp_path):
    write_inputs(tmp_path / "in", telemetry(200))
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"telemetry": "file:none.ndjson"}, ("none.ndjson", "no such file")),
        ({"telemetry": "none.ndjson"}, ("none.ndjson", "file:none.ndjson")),
        ({"telemetry": "ftp://x"}, ("unknown scheme `ftp`",)),
        ({"format": "remu"}, ("remu", "remus")),
        ({"zones": "file:none.geojson"}, ("none.geojson", "zones")),
        ({"rules": "file:none.yaml"}, ("none.yaml", "rules")),
        ({"results": "dir:/proc/farwatch"}, ("/proc/farwatch",)),
        ({"results": "sqlite:/proc/farwatch.sqlite"}, ("/proc",)),
        ({"results": ""}, ("FARWATCH_RESULTS",)),
        ({"frame_rows": "0"}, ("frame_rows",)),
        ({"key_group": "3"}, ("FARWATCH_KEY_GROUP", "FARWATCH_KEY_GROUPS")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_settings_are_one_line_and_status_2(given, tmp_path, settings, says):
    lines = refused(watch(given, tmp_path, **settings), *says)
    assert len(lines) == 1
    assert not (tmp_path / "out").exists()


def test_an_empty_telemetry_file_is_refused(given, tmp_path):
    (given / "telemetry.ndjson").write_text("")
    assert len(refused(watch(given, tmp_path), "telemetry.ndjson", "empty")) == 1


def test_every_mistake_in_zones_and_rules_is_told_with_its_line(given, tmp_path):
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["properties"]["max_dept_m"] = 3
    zones["features"][1]["properties"]["min_depth_m"] = 900
    (given / "zones.geojson").write_text(json.dumps(zones, indent=1))
    (given / "rules.yaml").write_text(
        RULES.replace("depth_m > 350.0", "depht_m > 350.0").replace("warning", "warnin", 1)
    )
    lines = refused(watch(given, tmp_path), "max_dept_m", "min_depth_m", "depht_m", "warnin")
    assert len(lines) == 4
    for line in lines:
        assert line.split(":")[1].strip().isdigit() or line.split(":")[2].strip().isdigit()
    assert not (tmp_path / "out").exists()


def test_a_self_crossing_zone_is_refused_with_the_reason(given, tmp_path):
    zones = json.loads(json.dumps(ZONES))
    ring = zones["features"][2]["geometry"]["coordinates"][0]
    ring[1], ring[2] = ring[2], ring[1]
    (given / "zones.geojson").write_text(json.dumps(zones))
    assert len(refused(watch(given, tmp_path), "z2", "Self-intersection")) == 1


def test_a_wholly_bad_stream_stops_with_status_1_and_its_dead_letters_are_kept(given, tmp_path):
    (given / "telemetry.ndjson").write_text('{"vehicle_id": "a"}\n' * 50)
    done = watch(given, tmp_path, "--quiet")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "all 50 records were rejected" in done.stderr
    letters = (tmp_path / "out/topics/dead_letters.ndjson").read_text().splitlines()
    assert len(letters) == 50


def test_a_flood_of_bad_records_stops_the_flow_before_its_end(given, tmp_path):
    good = (given / "telemetry.ndjson").read_text()
    (given / "telemetry.ndjson").write_text(good + "nonsense\n" * 5_000)
    done = watch(given, tmp_path, "--quiet", dead_letter_run=500, frame_rows=100, epoch_rows=100)
    assert done.returncode == 1
    assert "in a row were rejected" in done.stderr


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(given, tmp_path):
    lines = refused(watch(given, tmp_path, "--report", "/proc/no/report.html"), "/proc/no")
    assert len(lines) == 1
    assert not (tmp_path / "out").exists()


def test_checking_zones_tells_what_is_wrong_and_what_was_repaired(given):
    env, file = environment(given, given), given / "crossed.geojson"
    ring = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    feature = {
        "type": "Feature",
        "id": "x",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    document = {"type": "FeatureCollection", "features": [feature]}
    file.write_text(json.dumps(document))
    done = run(command("zones", "check", str(file)), env)
    assert done.returncode == 2
    assert 'crossed.geojson:1: zone "x": not a valid area: Self-intersection' in done.stderr
    feature["properties"]["repair"] = True
    file.write_text(json.dumps(document))
    done = run(command("zones", "check", str(file)), env)
    assert done.returncode == 0
    assert 'zone "x": repaired: not a valid area: Self-intersection' in done.stderr
    assert "is 2 polygons of 8 positions now" in done.stderr


def test_checking_zones_and_rules_alone(given):
    env = environment(given, given)
    assert run(command("zones", "check", f"{given}/zones.geojson"), env).returncode == 0
    assert run(command("rules", "check", f"{given}/rules.yaml"), env).returncode == 0
    (given / "rules.yaml").write_text("- id: x\n  when: depth_m >\n")
    assert run(command("rules", "check", f"{given}/rules.yaml"), env).returncode == 2


def test_stdout_gets_one_event_a_line(given, tmp_path):
    done = watch(given, tmp_path, "--quiet", results="stdout:")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines
    assert all(line["specversion"] == "1.0" for line in lines)


def test_the_report_is_one_file_that_names_the_alarms(given, tmp_path):
    report = tmp_path / "report.html"
    assert watch(given, tmp_path, "--quiet", "--report", str(report)).returncode == 0
    page = report.read_text()
    assert "apei-no-work" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_versions_of_a_zone_in_force_together_are_refused(given, tmp_path):
    zones = json.loads(json.dumps(ZONES))
    zones["features"].append(json.loads(json.dumps(zones["features"][0])))
    zones["features"][-1]["properties"]["version"] = 2
    (given / "zones.geojson").write_text(json.dumps(zones))
    assert len(refused(watch(given, tmp_path), "z0", "in force together")) == 1


def test_a_bad_file_among_good_ones_stops_nothing(given, tmp_path):
    (given / "telemetry-bad.ndjson").write_text("nonsense\n")
    assert watch(given, tmp_path, "--quiet").returncode == 0
    letters = (tmp_path / "out/topics/dead_letters.ndjson").read_text()
    assert "telemetry-bad.ndjson" in letters


@pytest.mark.parametrize(
    "words", [command("run", "watch"), [sys.executable, "-m", "bytewax.run", "flows.watch:flow"]]
)
def test_what_of_the_rules_is_slow_is_said_when_a_flow_starts(given, tmp_path, words):
    with (given / "rules.yaml").open("a") as rules:
        rules.write(
            "- {id: warm, severity: info, when: 'depth_m > 5.0 && sensors.exists(k, k == \"t\")'}\n"
        )
    done = run(words, environment(given, tmp_path))
    assert done.returncode == 0
    [said] = done.stderr.splitlines()
    assert f"{given}/rules.yaml:" in said
    assert 'rule "warm": computed record by record' in said
