"""State that an earlier version left: read on where its form is the same, else refused in words."""

import json
import tarfile
from dataclasses import make_dataclass
from pathlib import Path

import pytest

from connectors.contract import SettingsError
from flows import state_format
from flows.launch import MARKER, open_recovery
from flows.settings import Settings
from rules.registry import Registry
from tests.archive_state import ARCHIVE, OTHER_FORM, archived_env, write_archived_inputs
from tests.watching import command, rows, run_in, told

NOTHING = Registry.of((), ())


def unpacked(archive: Path, folder: Path) -> Path:
    """A folder with the watch's inputs and what the archive holds of its run."""
    write_archived_inputs(folder)
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def form_of(folder: Path) -> str:
    return json.loads((folder / "recovery" / MARKER).read_text())["state"]


def test_a_watch_goes_on_from_the_archived_state_of_its_form(tmp_path):
    whole, resumed = tmp_path / "whole", unpacked(ARCHIVE, tmp_path / "resumed")
    write_archived_inputs(whole)
    before = told(resumed)
    assert before
    form = state_format.state_format("file:telemetry.ndjson")
    assert form_of(resumed) == form, "the form of the state is another: see tests/archive_state.py"
    done = run_in(resumed, command("run", "watch"), archived_env())
    assert done.returncode == 0, done.stderr
    alone = run_in(whole, command("run", "watch"), archived_env())
    assert alone.returncode == 0, alone.stderr
    assert len(before) < len(told(whole))
    assert told(resumed) == told(whole)
    assert rows(resumed) == rows(whole)


def test_archived_state_of_another_form_is_refused_in_one_line_and_nothing_changes(tmp_path):
    folder = unpacked(OTHER_FORM, tmp_path / "resumed")
    assert form_of(folder) != state_format.state_format("file:telemetry.ndjson")
    before = contents(folder)
    done = run_in(folder, command("run", "watch"), archived_env())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "written by a farwatch that this one cannot read after" in done.stderr
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def settings(tmp_path) -> Settings:
    return Settings(telemetry="file:a", results=("dir:b",), recovery=tmp_path / "recovery")


def test_state_of_another_form_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    open_recovery("watch", settings(tmp_path), NOTHING)
    open_recovery("watch", settings(tmp_path), NOTHING)
    monkeypatch.setattr(state_format, "MEANING", state_format.MEANING + 1)
    with pytest.raises(
        SettingsError, match=r"go back to that, or start with a new folder.*Upgrade"
    ):
        open_recovery("watch", settings(tmp_path), NOTHING)


def test_another_field_or_another_order_is_another_form(monkeypatch):
    def form(*names: str) -> str:
        made = make_dataclass("Made", [(name, int) for name in names])
        monkeypatch.setattr(state_format, "CLASSES", (made,))
        return state_format.state_format("")

    assert form("a", "b") == form("a", "b")
    assert len({form("a", "b"), form("b", "a"), form("a"), form("a", "b", "c")}) == 4


def test_what_state_holds_is_found():
    names = {shape.partition("(")[0] for shape in state_format.shapes("file:x")}
    assert {
        "flows.steps.state.Journaled",
        "rules.group.GroupState",
        "rules.memory.Memory",
        "rules.visits.Visits",
        "rules.history.Piece",
        "connectors.files.FilePosition",
    } <= names
    assert "connectors.kafka.partition.Position" not in names
    kafka = {shape.partition("(")[0] for shape in state_format.shapes("kafka://a/b")}
    assert "connectors.kafka.partition.Position" in kafka
