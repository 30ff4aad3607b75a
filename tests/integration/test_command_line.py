"""The command line on wrong input: status, one line, nothing half-written."""

import json
import signal
import subprocess
import time

import pytest

from tests.watching import (
    ROOT,
    RULES,
    ZONES,
    command,
    environment,
    run,
    telemetry,
    told,
    write_inputs,
)


@pytest.fixture
def given(tmp_path):
    write_inputs(tmp_path / "in", telemetry(200))
    return tmp_path / "in"


def watch(given, tmp_path, *words, **settings):
    return run(command("watch", *words), environment(given, tmp_path / "out", **settings))


def refused(done, *says):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr
    return done.stderr.splitlines()


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


def test_a_recovery_folder_of_other_settings_is_refused(given, tmp_path):
    recovery = tmp_path / "recovery"
    assert watch(given, tmp_path, "--quiet", recovery=recovery).returncode == 0
    lines = refused(watch(given, tmp_path, recovery=recovery, key_groups=3), "key_groups")
    assert len(lines) == 1
    (given / "rules.yaml").write_text(RULES.replace("350.0", "300.0"))
    says = "rule `deep` version 1 says something else than before"
    assert len(refused(watch(given, tmp_path, recovery=recovery), says)) == 1
    # A version that ends, and the next one, do belong to it.
    ended = RULES.replace("  for: 30s", "  for: 30s\n  effective_to: 2030-01-01T00:00:00Z")
    (given / "rules.yaml").write_text(ended)
    assert watch(given, tmp_path, "--quiet", recovery=recovery).returncode == 0


def test_a_recovery_folder_that_holds_something_else_is_refused(given, tmp_path):
    (tmp_path / "recovery").mkdir()
    (tmp_path / "recovery" / "letter.txt").write_text("dear")
    lines = refused(watch(given, tmp_path, recovery=tmp_path / "recovery"), "something else")
    assert len(lines) == 1
    assert [p.name for p in (tmp_path / "recovery").iterdir()] == ["letter.txt"]


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


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.3])
def test_ctrl_c_while_running_is_one_line_and_the_run_can_go_on(given, tmp_path, after_s):
    write_inputs(given, telemetry(3_000))
    pace = {"epoch_s": 0.05, "epoch_rows": 60, "frame_rows": 30, "recovery": tmp_path / "recovery"}
    env = environment(given, tmp_path / "out", **pace)
    with subprocess.Popen(
        command("watch", "--quiet"), env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as running:
        events = tmp_path / "out/topics/geofencing_events.ndjson"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (events.is_file() and events.stat().st_size):
            time.sleep(0.01)  # noqa: TID251 (waits for another process)
        time.sleep(after_s)  # noqa: TID251 (another moment each time)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert said.count("\n") == 1
    assert "interrupted" in said
    assert run(command("watch", "--quiet"), env).returncode == 0
    straight = environment(given, tmp_path / "straight")
    assert run(command("watch", "--quiet"), straight).returncode == 0
    assert told(tmp_path / "out") == told(tmp_path / "straight")


def test_a_report_asked_for_only_on_resume_is_refused(given, tmp_path):
    recovery = tmp_path / "recovery"
    assert watch(given, tmp_path, "--quiet", recovery=recovery).returncode == 0
    report = str(tmp_path / "report.html")
    assert (
        len(refused(watch(given, tmp_path, "--report", report, recovery=recovery), "report")) == 1
    )


def test_a_torn_recovery_folder_is_refused(given, tmp_path):
    recovery = tmp_path / "recovery"
    assert watch(given, tmp_path, "--quiet", recovery=recovery).returncode == 0
    (recovery / "part-0.sqlite3").write_bytes(b"nonsense")
    assert len(refused(watch(given, tmp_path, recovery=recovery), "part-0.sqlite3")) == 1
    (recovery / "farwatch.json").write_text("{")
    assert len(refused(watch(given, tmp_path, recovery=recovery), "farwatch.json")) == 1


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
    ("damage", "says"), [("gone", "No such file"), ("flipped", "is damaged at byte 0")]
)
def test_a_recovery_folder_without_its_journal_is_refused(tmp_path, damage, says):
    write_inputs(tmp_path / "in", telemetry(3000))
    recovery = tmp_path / "recovery"
    settings = {"recovery": recovery, "key_groups": 1, "lateness_s": 10_000}
    assert watch(tmp_path / "in", tmp_path, "--quiet", **settings).returncode == 0
    assert watch(tmp_path / "in", tmp_path, "--quiet", **settings).returncode == 0
    [segment] = [path for path in (recovery / "journal").rglob("*") if path.is_file()]
    if damage == "gone":
        segment.unlink()
    else:
        segment.write_bytes(b"\0" + segment.read_bytes()[1:])
    lines = refused(watch(tmp_path / "in", tmp_path, **settings), str(segment), says, "restore it")
    assert len(lines) == 1
