"""What is too much is refused with its limit: a dead letter, or one line before the flow starts."""

import gzip
import json

import pytest

from connectors.readers import stored
from schemas.topics import DEAD_LETTERS
from tests.watching import command, environment, run, telemetry, told, write_inputs

LINES = telemetry(60)


TOO_MUCH = {
    "message of more than 40 records": "[" + ",".join(LINES[:50]) + "]",
    "message of more than 12000 bytes": json.dumps(
        {"vehicle_id": "a", "timestamp": 1, "status": "x" * 12_000}
    ),
    "nested": '{"vehicle_id": "a", "timestamp": 1, "extra": ' + "[" * 9 + "]" * 9 + "}",
}
LIMITS = {
    "max_message_records": 40,
    "max_message_bytes": 12_000,
    "max_nesting": 8,
    "frame_rows": 30,
}


def test_what_is_beyond_a_limit_is_a_dead_letter_that_names_it(tmp_path):
    write_inputs(tmp_path, LINES)
    for number, text in enumerate(TOO_MUCH.values(), 2):
        (tmp_path / f"telemetry{number}.ndjson").write_text(text + "\n")
    env = environment(tmp_path, tmp_path, results=f"dir:{tmp_path}/topics", **LIMITS)
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    letters = [
        event["data"] for (topic, _), event in told(tmp_path).items() if topic == DEAD_LETTERS
    ]
    for reason in TOO_MUCH:
        assert [reason in letter["reason"] for letter in letters].count(True) == 1, letters


def test_a_zone_of_too_many_positions_is_refused_with_its_line(tmp_path):
    write_inputs(tmp_path, LINES)
    done = run(command("watch", "--quiet"), environment(tmp_path, tmp_path, max_zone_vertices=4))
    assert done.returncode == 2
    assert "zone `z0`: has 5 positions, more than 4" in done.stderr
    assert "FARWATCH_MAX_ZONE_VERTICES" in done.stderr


def test_a_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.ndjson"
    path.write_bytes(gzip.compress(b" " * 4_000_000))
    monkeypatch.setattr(stored, "FREE_BYTES", 1_000_000)
    with stored.StoredFile(path) as file:
        file.read(900_000)
        with pytest.raises(stored.SourceFileError, match="more than 250 times its size"):
            file.read(900_000)


def test_telemetry_that_packs_well_is_read(tmp_path, monkeypatch):
    path = tmp_path / "telemetry.ndjson"
    content = "\n".join(telemetry(20_000)).encode()
    path.write_bytes(gzip.compress(content, 9))
    monkeypatch.setattr(stored, "FREE_BYTES", 100_000)
    with stored.StoredFile(path) as file:
        assert file.whole() == content
