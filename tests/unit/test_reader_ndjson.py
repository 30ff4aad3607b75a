"""The NDJSON reader: bytes pass untouched, cut at line ends, resumable anywhere."""

import gzip
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.readers import ndjson
from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.ndjson import NdjsonReader

LINES = b"".join(b'{"auv_id":"a","timestamp":%d}\n' % second for second in range(25))


def read(path: Path, rows: int = 10, resume: object = None) -> list[Chunk]:
    return list(NdjsonReader().read(path, resume, rows))


def body(chunk: Chunk) -> bytes:
    assert chunk.message is not None
    return chunk.message.body


def first_lines(chunks: list[Chunk]) -> list[int | None]:
    return [chunk.message.first_line for chunk in chunks if chunk.message]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "telemetry.ndjson"
    path.write_bytes(LINES)
    return path


def test_chunks_have_the_asked_number_of_lines_and_know_their_place(file: Path) -> None:
    chunks = read(file)
    assert [body(c).count(b"\n") for c in chunks] == [10, 10, 5]
    assert first_lines(chunks) == [1, 11, 21]
    assert {c.message.origin for c in chunks if c.message} == {"file:telemetry.ndjson"}
    assert chunks[-1].bytes_done == len(LINES)


def test_a_last_line_without_a_line_end_is_kept(file: Path) -> None:
    file.write_bytes(LINES + b'{"auv_id":"b"')
    assert b"".join(map(body, read(file))) == LINES + b'{"auv_id":"b"'


def test_blank_lines_and_foreign_line_ends_pass_untouched(file: Path) -> None:
    content = b'\n\r\n{"auv_id":"a"}\r\n\n{"auv_id":"b"}'
    file.write_bytes(content)
    assert [body(c) for c in read(file, rows=3)] == [
        b'\n\r\n{"auv_id":"a"}\r\n',
        b'\n{"auv_id":"b"}',
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_record(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + LINES)
    assert b"".join(map(body, read(file))) == LINES


@given(
    content=st.lists(st.sampled_from([b"\n", b"x", b"{}", b"yy\n"]), max_size=60).map(b"".join),
    rows=st.integers(1, 7),
    block=st.integers(1, 40),
    limit=st.integers(1, 30),
)
def test_chunks_are_the_file_and_depend_on_neither_blocks_nor_where_reading_resumed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, rows: int, block: int, limit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.ndjson"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "_CHUNK_LIMIT", limit)
        expected = read(path, rows)
        patch.setattr(ndjson, "_BLOCK", block)
        chunks = read(path, rows)
        assert [(c.message, c.resume) for c in chunks] == [(c.message, c.resume) for c in expected]
        for index, chunk in enumerate(chunks):
            resume = pickle.loads(pickle.dumps(chunk.resume))
            assert read(path, rows, resume) == chunks[index + 1 :]
    assert b"".join(map(body, chunks)) == content
    counts = [0, *(1 + content[: c.resume[0]].count(b"\n") for c in chunks)]  # type: ignore[index]
    assert first_lines(chunks) == [max(1, count) for count in counts[:-1]]


def test_long_lines_end_a_chunk_before_its_rows(file: Path) -> None:
    long = b'{"status":"%s"}\n' % (b"x" * 3_000_000)
    file.write_bytes(long * 5)
    assert [body(c).count(b"\n") for c in read(file, rows=1000)] == [2, 2, 1]


def test_gzip_is_read_as_the_plain_file_is(file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "telemetry.ndjson.gz"
    packed.write_bytes(gzip.compress(LINES))
    plain, unpacked = read(file), read(packed)
    assert [body(c) for c in unpacked] == [body(c) for c in plain]
    assert [c.resume for c in unpacked] == [c.resume for c in plain]
    assert unpacked[-1].bytes_done == packed.stat().st_size
    for index, chunk in enumerate(unpacked):
        assert read(packed, resume=chunk.resume) == unpacked[index + 1 :]


@pytest.mark.parametrize("indent", [1, None])
def test_one_json_array_over_lines_or_in_one_line_is_one_message(file: Path, indent: int) -> None:
    records = [{"auv_id": "a", "timestamp": second} for second in range(50)]
    file.write_text(json.dumps(records, indent=indent))
    [chunk] = read(file)
    assert json.loads(body(chunk)) == records
    assert read(file, resume=chunk.resume) == []


def test_one_pretty_printed_object_is_one_message(file: Path) -> None:
    file.write_text("\n" + json.dumps({"auv_id": "a", "timestamp": 1}, indent=2) + "\n")
    [chunk] = read(file)
    assert json.loads(body(chunk)) == {"auv_id": "a", "timestamp": 1}


@pytest.mark.parametrize("first", [b'{"auv_id":"a","timest', b"[1,2]", b"{}", b"[[]]", b"nonsense"])
def test_lines_stay_lines_whatever_the_first_one_holds(file: Path, first: bytes) -> None:
    file.write_bytes(first + b"\n" + LINES)
    assert [body(c).count(b"\n") for c in read(file)] == [10, 10, 6]


def test_a_document_beyond_the_limit_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.readers.stored.WHOLE_LIMIT", 1000)
    file.write_text(json.dumps([{"timestamp": n} for n in range(100)], indent=1))
    with pytest.raises(SourceFileError, match="convert it to NDJSON"):
        read(file)


def test_a_file_without_line_ends_is_told_before_it_fills_memory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "WHOLE_LIMIT", 1000)
    file.write_bytes(LINES + b"x" * 2000)
    with pytest.raises(SourceFileError, match="line 26 is longer"):
        read(file)
