"""Readers by name, and source files that cannot be read at all."""

import gzip
import os
from pathlib import Path

import pytest

from connectors.readers.contract import FormatError, SourceFileError, check, total_bytes
from connectors.readers.registry import FORMATS, reader_for


def test_every_format_but_csv_gives_a_reader_by_its_name_alone() -> None:
    for name in FORMATS.keys() - {"csv"}:
        assert callable(reader_for(name).read)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("ndjosn", "did you mean ndjson?"),
        ("quux", "known are ndjson, csv, mars2020-waypoints"),
        ("", "unknown format ''"),
        ("marinecadastre:x", "takes no argument"),
        ("csv", "use csv:MAPPING.toml"),
        ("remus:two words", "use 1 to 64 of"),
        ("csv:no/such/mapping.toml", "check the path"),
    ],
)
def test_a_wrong_format_is_told_in_one_line_with_the_remedy(spec: str, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        reader_for(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_with_path_and_remedy(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, says in [
        (pipe, "is a pipe or a device"),
        (tmp_path / "none.ndjson", "there is no such file"),
        (tmp_path, "is a folder"),
        (empty, "is empty"),
    ]:
        with pytest.raises(SourceFileError, match=says) as caught:
            check(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["mars2020-waypoints", "mars2020-traverse", "marinecadastre", "remus"]
)
def test_a_file_of_another_format_is_found_before_anything_starts(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "telemetry.ndjson"
    path.write_bytes(b'{"auv_id":"a","timestamp":1}\n')
    check(path)
    with pytest.raises(SourceFileError, match="check --format"):
        check(path, reader_for(name))


def test_a_gzip_file_that_ends_early_is_told_as_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "cut.ndjson.gz"
    whole = gzip.compress(b'{"auv_id":"a","timestamp":1}\n' * 1000)
    path.write_bytes(whole[: len(whole) // 2])
    assert total_bytes(path) == len(whole) // 2
    with pytest.raises(SourceFileError, match="check that it is complete"):
        list(reader_for("ndjson").read(path, None, 10))
