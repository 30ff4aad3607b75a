"""What a killed run wrote and did not commit is never resumed from."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from bytewax.recovery import init_db_dir

from connectors.contract import SettingsError
from flows.uncommitted import hold_store
from tests.watching import ROOT, command, environment, run, telemetry, write_inputs

RECORDS = 30
# Counts its records; ``killed``: dies in the sink, at the end of an epoch that has counted more
# than twelve; ``silent``: dies after some epochs without a record.
COUNTING = textwrap.dedent(
    """
    import os, signal, sys, time
    from datetime import UTC, datetime, timedelta
    from pathlib import Path

    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
    from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
    from bytewax.recovery import RecoveryConfig
    from bytewax.run import cli_main

    from flows.uncommitted import hold_store

    life, recovery = sys.argv[1], Path(sys.argv[2])

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    class Numbers(StatefulSourcePartition):
        def __init__(self, at):
            self.at, self.epochs = at, 0

        def next_batch(self):
            if life == "silent":
                if self.epochs == 3:
                    die()
                return []
            if self.at == 30:
                raise StopIteration
            self.at += 1
            return [("one", self.at)]

        def next_awake(self):
            return datetime.now(UTC) + timedelta(milliseconds=5)

        def snapshot(self):
            self.epochs += 1
            return self.at

    class Source(FixedPartitionedSource):
        def list_parts(self):
            return ["numbers"]

        def build_part(self, step_id, for_part, resume_state):
            return Numbers(resume_state or 0)

    class Last(StatefulSinkPartition):
        def write_batch(self, values):
            self.counted = values[-1]

        def snapshot(self):
            if life == "killed" and self.counted > 12:
                time.sleep(0.2)  # The engine writes what it has of the epoch meanwhile.
                die()
            return self.counted

        def close(self):
            print(self.counted)

    class Sink(FixedPartitionedSink):
        def list_parts(self):
            return ["last"]

        def build_part(self, step_id, for_part, resume_state):
            return Last()

    flow = Dataflow("counting")
    numbers = op.input("in", flow, Source())
    counts = op.stateful_map("count", numbers, lambda n, _: ((n or 0) + 1,) * 2)
    op.output("out", counts, Sink())
    hold_store(recovery)
    cli_main(
        flow,
        epoch_interval=timedelta(milliseconds=40),
        recovery_config=RecoveryConfig(recovery, timedelta(0)),
    )
    """
)


def live(life: str, recovery: Path) -> str:
    words = [sys.executable, "-c", COUNTING, life, str(recovery)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (0 if life == "whole" else -9), done.stderr
    return done.stdout


def test_a_state_is_never_ahead_of_its_source(tmp_path):
    init_db_dir(tmp_path, 1)
    live("killed", tmp_path)
    # Repeats the epoch, without the records that were in it.
    live("silent", tmp_path)
    assert live("whole", tmp_path).split() == [str(RECORDS)]


@pytest.fixture
def store(tmp_path) -> Path:
    """Two workers, of whom one has reached epoch 8 and one 7; snapshots of epochs 5 to 7."""
    init_db_dir(tmp_path, 2)
    with part(tmp_path, 0) as file:
        file.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 2, 1)")
        file.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (1, 2, 5)")
        file.execute(FRONT, (1, 0, 8))
        file.execute(SNAP, ("a", 5))
        file.execute(SNAP, ("a", 7))
    with part(tmp_path, 1) as file:
        file.execute(FRONT, (0, 1, 99))
        file.execute(FRONT, (1, 1, 7))
        file.execute(SNAP, ("b", 6))
        file.execute(SNAP, ("b", 7))
    return tmp_path


FRONT = "INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (?, ?, ?)"
SNAP = "INSERT INTO snaps (step_id, state_key, snap_epoch) VALUES ('s', ?, ?)"


def part(folder: Path, number: int) -> closing[sqlite3.Connection]:
    path = folder / f"part-{number}.sqlite3"
    return closing(sqlite3.connect(path, isolation_level=None))


def snaps(folder: Path) -> list[tuple[str, int]]:
    found = []
    for number in range(2):
        with part(folder, number) as file:
            found += file.execute("SELECT state_key, snap_epoch FROM snaps ORDER BY 1, 2")
    return found


def test_only_what_the_slowest_worker_has_committed_stays(store):
    hold_store(store)
    assert snaps(store) == [("a", 5), ("b", 6)]


def test_each_process_may_forget_again(store):
    hold_store(store, 0)
    with part(store, 0) as file:
        file.execute(SNAP, ("a", 7))  # Written by a process of the killed run that still ended.
    hold_store(store, 1)
    assert snaps(store) == [("a", 5), ("b", 6)]


def test_what_a_process_of_the_killed_run_commits_late_does_not_count(store):
    hold_store(store, 0)
    with part(store, 0) as file:
        file.execute(SNAP, ("a", 7))
        file.execute("UPDATE fronts SET worker_frontier = 8")
    with part(store, 1) as file:
        file.execute(FRONT, (1, 0, 8))
        file.execute("UPDATE fronts SET worker_frontier = 8 WHERE ex_num = 1")
    hold_store(store, 1)
    assert snaps(store) == [("a", 5), ("b", 6)]


def test_a_store_of_committed_snapshots_is_left_alone(store):
    hold_store(store, 0)
    before = executions(store)
    hold_store(store, 1)
    assert executions(store) == before


def executions(folder: Path) -> list[tuple[int, int]]:
    with part(folder, 0) as file:
        return file.execute("SELECT ex_num, resume_epoch FROM exs ORDER BY 1").fetchall()


def test_a_first_epoch_that_was_not_committed_is_forgotten(tmp_path):
    init_db_dir(tmp_path, 1)
    with part(tmp_path, 0) as file:
        file.execute(SNAP, ("a", 1))
        hold_store(tmp_path)
        assert file.execute("SELECT count(*) FROM snaps").fetchone() == (0,)


def test_a_store_is_one_process_s_at_a_time(store):
    hold_store(store)
    with pytest.raises(SettingsError, match="process 0 of a flow is using it"):
        hold_store(store)


def test_a_part_that_is_missing_is_told(store):
    (store / "part-1.sqlite3").unlink()
    with pytest.raises(SettingsError, match="holds 1 of 2 parts; every process needs all"):
        hold_store(store)


def test_a_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"No such file.*bytewax\.recovery"):
        hold_store(tmp_path / "nowhere")


def test_a_store_that_is_no_database_is_told(tmp_path):
    (tmp_path / "part-0.sqlite3").write_bytes(b"SQLite" * 1000)
    with pytest.raises(SettingsError, match="cannot be read"):
        hold_store(tmp_path)


@pytest.mark.parametrize("launcher", ["farwatch", "bytewax.run"])
def test_a_flow_does_not_start_on_a_store_that_another_uses(tmp_path, launcher):
    recovery = tmp_path / "recovery"
    write_inputs(tmp_path, telemetry(40))
    settings = {"recovery": recovery} if launcher == "farwatch" else {}
    env = environment(tmp_path, tmp_path, **settings)
    if launcher == "farwatch":
        words = command("watch", "--quiet")
        assert run(words, env).returncode == 0
    else:
        recovery.mkdir()
        init_db_dir(recovery, 1)
        words = [sys.executable, "-m", "bytewax.run", "flows.watch:flow"]
        words += ["-r", str(recovery), "-s", "1", "-b", "0"]
    hold_store(recovery)
    refused = run(words, env)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"farwatch: recovery folder `{recovery}`: process 0 of a flow is using it; stop that or"
        " name another folder\n"
    )


def test_a_store_that_others_may_enter_is_closed_to_them(tmp_path, caplog):
    store = tmp_path / "store"
    store.mkdir(0o755)
    init_db_dir(store, 1)
    assert store.stat().st_mode & 0o777 == 0o755
    os.close(hold_store(store))
    assert store.stat().st_mode & 0o777 == 0o700
    assert not caplog.records


def test_a_store_of_somebody_else_that_all_may_write_to_is_warned_of(tmp_path, caplog, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    init_db_dir(store, 1)
    store.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: store.stat().st_uid + 1)
    os.close(hold_store(store))
    [warning] = caplog.records
    assert f"`{store}`: all may write to it" in warning.getMessage()
    assert store.stat().st_mode & 0o777 == 0o777
