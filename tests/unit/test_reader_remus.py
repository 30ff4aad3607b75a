"""REMUS messages: headers between kinds, damaged headers, clocks not set, promoted fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.remus import RemusReader

ID = b"Message Id[unsigned short|#]"
TIME = b"Timestamp[unsigned long|epoch]"
CTD = b",".join([
    ID, TIME, b"Latitude[double|\xb0]", b"Longitude[double|\xb0]",
    b"Mission Time[unsigned long|tod]", b"Depth[float|Meters]", b"Temperature[float|\xb0C]",
    b"Powered[bool|^]\n",
])  # fmt: skip
STATE = b",".join([
    ID, TIME, b"Pitch[float|\xb0]", b"Estimated Velocity[float|m/s]", b"Temperature[float|\xb0C]\n",
])  # fmt: skip
FAULT = b",".join([ID, b"Line[short|#]", TIME, b"Message[signed char(200)|ascii]\n"])
CTD_ROW = b"1181,1419009477,41.5543,-70.7050,62277125,0.08,5.81,true\n"


def chunks(tmp_path: Path, content: bytes, rows: int = 100) -> list[Chunk]:
    path = tmp_path / "dive 7 (b).csv"
    path.write_bytes(content)
    return list(RemusReader().read(path, None, rows))


def records(of: list[Chunk]) -> list[dict[str, Any]]:
    lines = [line for c in of if c.message for line in c.message.body.split(b"\n") if line]
    return [json.loads(line) for line in lines]


def one(tmp_path: Path, content: bytes) -> dict[str, Any]:
    [record] = records(chunks(tmp_path, content))
    return record


def test_a_message_becomes_a_record_with_its_numbers_as_sensors(tmp_path: Path) -> None:
    assert one(tmp_path, CTD + CTD_ROW) == {
        "auv_id": "dive_7_b_",
        "timestamp": "2014-12-19T17:17:57.125000Z",
        "kind": "auv",
        "source": "remus-ctd",
        "latitude": 41.5543,
        "longitude": -70.705,
        "depth_m": 0.08,
        "sensors": {"ctd_temperature_c": 5.81, "ctd_powered": 1.0},
    }


def test_kinds_follow_one_another_each_under_its_header(tmp_path: Path) -> None:
    content = CTD + CTD_ROW + STATE + b"1000,1419009480,2.5,0.5,19.8\n"
    ctd, state = records(chunks(tmp_path, content))
    assert ctd["source"] == "remus-ctd"
    assert (state["pitch_deg"], state["speed_mps"], state["temperature_c"]) == (2.5, 0.5, 19.8)
    assert state["sensors"] == {}


def test_a_kind_nobody_knows_is_kept_under_its_number(tmp_path: Path) -> None:
    record = one(tmp_path, STATE + b"4711,1419009480,2.5,0.5,19.8\n")
    assert record["source"] == "remus-4711"
    assert record["sensors"]["kind_4711_pitch_deg"] == 2.5


def test_a_speed_astern_is_a_sensor(tmp_path: Path) -> None:
    record = one(tmp_path, STATE + b"1000,1419009480,2.5,-0.5,19.8\n")
    assert "speed_mps" not in record
    assert record["sensors"] == {"state_estimated_velocity_mps": -0.5}


@pytest.mark.parametrize("degree", [b"\xb0", b"\xc2\xb0", b"\xef\xbf\xbd"])
def test_the_degree_sign_is_read_however_it_was_damaged(tmp_path: Path, degree: bytes) -> None:
    record = one(tmp_path, CTD.replace(b"\xb0", degree) + CTD_ROW)
    assert record["latitude"] == 41.5543
    assert record["sensors"]["ctd_temperature_c"] == 5.81


def test_a_record_on_the_header_s_own_line_is_kept(tmp_path: Path) -> None:
    content = FAULT.strip() + b'1001,127,1419008926,"first"\n1001,128,1419008927,"second"\n'
    [chunk] = chunks(tmp_path, content)
    assert [r["status"] for r in records([chunk])] == ["first", "second"]
    assert [r["sensors"]["fault_line"] for r in records([chunk])] == [127, 128]


def test_commas_in_an_unquoted_text_at_the_end_belong_to_it(tmp_path: Path) -> None:
    content = FAULT + b"1001,860,1419009483,Self test failure (tilt),  [1] pausing, now\n"
    assert one(tmp_path, content)["status"] == "Self test failure (tilt),  [1] pausing, now"


def test_milliseconds_count_only_where_both_clocks_agree(tmp_path: Path) -> None:
    record = one(tmp_path, CTD + CTD_ROW.replace(b"62277125", b"62278125"))
    assert record["timestamp"] == "2014-12-19T17:17:57.000000Z"


def test_the_position_0_0_and_degrees_of_single_precision_are_no_position(tmp_path: Path) -> None:
    unset = one(tmp_path, CTD + CTD_ROW.replace(b"41.5543,-70.7050", b"0.0000,0.0000"))
    coarse = one(tmp_path, CTD.replace(b"double", b"float") + CTD_ROW)
    assert "latitude" not in unset
    assert "latitude" not in coarse
    assert coarse["sensors"]["ctd_latitude_deg"] == 41.5543


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        (
            CTD_ROW.replace(b"1419009477", b"62277"),
            "clock not yet set: Timestamp 62277",
            "timestamp",
        ),
        (CTD_ROW.replace(b"1419009477", b"1419XXX77"), "is not a number of seconds", "timestamp"),
        (CTD_ROW.replace(b"1419009477", b"9" * 5000), "is not a number of sec", "timestamp"),
        (CTD_ROW.replace(b"5.81", b"warm"), "'warm' is not a number", "Temperature"),
        (CTD_ROW.replace(b"5.81", b"nan"), "'nan' is not a number", "Temperature"),
        (CTD_ROW.replace(b"true", b'"tru'), "cannot be split", ""),
        (CTD_ROW[:30], "has 4 values under a header of 8", ""),
    ],
)
def test_a_bad_message_is_rejected_alone(
    tmp_path: Path, row: bytes, reason: str, field: str
) -> None:
    [chunk] = chunks(tmp_path, CTD + row.strip() + b"\n" + CTD_ROW)
    [reject] = chunk.rejects
    assert reason in reject.reason
    assert (reject.field, reject.raw, reject.origin) == (
        field, row.strip(), "file:dive 7 (b).csv:2",
    )  # fmt: skip
    assert len(records([chunk])) == 1


def test_records_under_a_broken_header_are_rejected_with_it(tmp_path: Path) -> None:
    [chunk] = chunks(tmp_path, CTD + CTD_ROW + b"Message Id[unsigned sh\n" + CTD_ROW * 2)
    assert len(records([chunk])) == 1
    assert [r.reason.split()[0:2] for r in chunk.rejects] == [["is", "a"], *[["no", "header"]] * 2]


def test_reading_resumes_in_the_middle_of_a_kind(tmp_path: Path) -> None:
    content = CTD + CTD_ROW * 5 + STATE + b"1000,1419009480,2.5,0.5,19.8\n" * 4
    found = chunks(tmp_path, content, rows=2)
    assert len(records(found)) == 9
    path = tmp_path / "dive 7 (b).csv"
    for index, chunk in enumerate(found):
        assert list(RemusReader().read(path, chunk.resume, 2)) == found[index + 1 :]


def test_the_vehicle_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(CTD + CTD_ROW)
    [chunk] = RemusReader("remus-07").read(tmp_path / "x.csv", None, 10)
    assert records([chunk])[0]["auv_id"] == "remus-07"


def test_a_file_that_begins_with_no_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="is no REMUS message file"):
        chunks(tmp_path, CTD_ROW)
