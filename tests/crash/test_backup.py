"""Backups of a running watch: restored where nothing is left, and it goes on as undisturbed."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from connectors.contract import SettingsError
from flows.settings import Settings
from flows.store_copy import check_store
from scripts.backup.backups import check_backup, create_backup, restore_backup
from tests.databases import empty_database
from tests.kills import wait_until
from tests.watching import ROOT, command, environment, rows, run, telemetry, told, write_inputs

RECORDS = 6_000
# The lateness: enough for a journal beside the store.
PACE = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150, "key_groups": 2, "lateness_s": 3000}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(RECORDS))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out, lateness_s=3000))
    assert done.returncode == 0, done.stderr
    return out


class Machine:
    """A machine with a watch on it; what is lost with it is ``folder``."""

    def __init__(self, folder: Path, inputs: Path, **settings: object) -> None:
        self.folder = folder
        zones = f"file:{folder}/config/zones.geojson"
        shutil.copytree(inputs, folder / "config", ignore=shutil.ignore_patterns("*.ndjson"))
        given = {"recovery": folder / "recovery", "zones": zones, **PACE, **settings}
        self.env = environment(inputs, folder, **given)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.env.items():
                patch.setenv(name, value)
            self.settings = Settings.load()

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(
            command("run", "watch"), env=self.env, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    def until_told(self, more_than: int) -> None:
        def told_bytes() -> int:
            return sum(path.stat().st_size for path in (self.folder / "topics").glob("*.ndjson"))

        assert wait_until(lambda: told_bytes() > more_than, 60)

    def lose(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()


@pytest.mark.parametrize(
    ("processes", "backups"), [(1, 1), pytest.param(2, 6, marks=pytest.mark.slow)]
)
def test_a_machine_is_lost_and_restored_from_a_backup_of_its_running_watch(
    inputs, undisturbed, tmp_path, processes, backups
):
    machine = Machine(tmp_path / "machine", inputs, processes=processes)
    for number in range(backups):
        copy = tmp_path / f"copy-{number}"
        running = machine.start()
        machine.until_told((number + 1) * 100_000)
        assert running.poll() is None
        # As `farwatch backup create`, whose process is not the flow's, either.
        manifest = create_backup(machine.settings, copy)
        assert running.poll() is None, "read all before the backup was made"
        # Pickled state: for the flow's user alone, wherever it lies.
        kept = (machine.folder / "recovery", copy, copy / "recovery")
        assert [path.stat().st_mode & 0o777 for path in kept] == [0o700] * 3
        (copy / "recovery").chmod(0o755)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        machine.lose()
        began = time.monotonic()
        assert check_backup(copy)[1] > 2
        restore_backup(machine.settings, copy)
        restored_s = time.monotonic() - began
        assert (machine.folder / "recovery").stat().st_mode & 0o777 == 0o700
        print(f"held {manifest.held_s * 1e3:.1f} ms, restored in {restored_s:.2f} s")
    running = machine.start()
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 0, said
    assert told(machine.folder) == told(undisturbed)
    assert rows(machine.folder) == rows(undisturbed)
    assert any(path.is_file() for path in (machine.folder / "recovery" / "journal").rglob("*"))


def test_a_backup_that_is_not_whole_is_not_restored_and_nothing_is_overwritten(
    inputs, undisturbed, tmp_path
):
    machine, copy = Machine(tmp_path / "machine", inputs), tmp_path / "copy"
    machine.settings = machine.settings.model_copy(update={"recovery": None})
    shutil.copytree(undisturbed / "topics", machine.folder / "topics")
    shutil.copy(undisturbed / "results.sqlite", machine.folder)
    create_backup(machine.settings, copy)
    with pytest.raises(SettingsError, match="holds something"):
        create_backup(machine.settings, copy)
    with pytest.raises(SettingsError, match="is there; restore to where there is nothing"):
        restore_backup(machine.settings, copy)
    [database] = copy.rglob("database.sqlite")
    whole = database.read_bytes()
    database.write_bytes(whole[:-100] + bytes(100))
    machine.lose()
    for use in (check_backup, lambda folder: restore_backup(machine.settings, folder)):
        with pytest.raises(SettingsError, match=r"1 files are not as they were.*database\.sqlite"):
            use(copy)
    assert not any(machine.folder.iterdir())
    database.write_bytes(whole)
    restore_backup(machine.settings, copy)
    assert told(machine.folder) == told(undisturbed)
    assert rows(machine.folder) == rows(undisturbed)


def test_a_backup_goes_only_to_places_of_its_kind(inputs, tmp_path):
    machine, copy = Machine(tmp_path / "machine", inputs), tmp_path / "copy"
    machine.settings = machine.settings.model_copy(update={"recovery": None})
    made = create_backup(machine.settings, copy, leave_out=["sqlite"])
    assert [bool(place.folder) for place in made.places] == [True, False, True, True]
    others = machine.settings.model_copy(update={"results": ("dir:a",)})
    with pytest.raises(SettingsError, match=r"results 1 `sqlite:`.*the settings name results 0"):
        restore_backup(others, copy)


def test_a_recovery_store_with_a_torn_journal_is_told(inputs, tmp_path):
    machine = Machine(tmp_path / "machine", inputs)
    done = machine.start()
    assert done.communicate(timeout=120)[1] == ""
    for segment in (machine.folder / "recovery" / "journal").rglob("*-*"):
        if segment.is_file():
            segment.write_bytes(b"")
    with pytest.raises(SettingsError, match="lacks its journal"):
        check_store(machine.folder / "recovery")


def test_a_backup_of_another_format_is_refused(tmp_path):
    manifest = {"format": 2, "farwatch": "9.0.0"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SettingsError, match="has format 2, this farwatch reads 1; restore it with"):
        check_backup(tmp_path)


@pytest.mark.slow
def test_with_postgresql_as_its_place_and_the_commands_themselves(
    inputs, undisturbed, tmp_path, postgresql_url
):
    """The drill of deploy/README.md, word for word."""
    with empty_database(postgresql_url) as old, empty_database(postgresql_url) as new:
        for what, file in (("zones", "zones.geojson"), ("rules", "rules.yaml")):
            put = run(command(what, "put", f"{inputs}/{file}", "--to", old), dict(os.environ))
            assert put.returncode == 0, put.stderr
        places = {"zones": old, "rules": old, "processes": 2}
        machine = Machine(
            tmp_path / "machine", inputs, results=f"{old} dir:{tmp_path}/machine/topics", **places
        )
        running = machine.start()
        machine.until_told(100_000)
        copy = tmp_path / "copy"
        for words in (("create", copy), ("check", copy)):
            done = run(command("backup", *map(str, words)), machine.env)
            assert done.returncode == 0, done.stderr
        assert running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        machine.lose()
        env = {name: value.replace(old, new) for name, value in machine.env.items()}
        began = time.monotonic()
        done = run(command("backup", "restore", str(copy)), env)
        assert done.returncode == 0, done.stderr
        print(done.stderr, f"{time.monotonic() - began:.1f} s with the start of the command")
        done = run(command("run", "watch"), env)
        assert done.returncode == 0, done.stderr
        assert told(machine.folder) == told(undisturbed)
        with psycopg.connect(new) as database:
            for table, expected in rows(undisturbed).items():
                query = f"SELECT count(*) FROM {table}".encode()
                assert database.execute(query).fetchone() == (len(expected),), table
