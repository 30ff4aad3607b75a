"""A recovery folder is gone on with or refused: of other settings, torn, without its journal."""

import signal
import subprocess
import time

import pytest

from tests.command_line import refused, watch
from tests.watching import (
    ROOT,
    RULES,
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


@pytest.mark.parametrize("after_s", [0.0, 0.2])
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


@pytest.mark.parametrize(
    ("damage", "says"), [("gone", "No such file"), ("overwritten", "is damaged at byte")]
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
        segment.write_bytes(bytes(segment.stat().st_size))
    lines = refused(watch(tmp_path / "in", tmp_path, **settings), str(segment), says, "restore it")
    assert len(lines) == 1
