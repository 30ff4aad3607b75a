"""CSV by a mapping: units, times, absent values, quoted line ends, mistakes in the mapping."""

import gzip
import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.delimited import DelimitedReader
from connectors.readers.mapping import MappingError
from connectors.readers.units import UNITS
from schemas.frame import NUMBER_FIELDS

BASE = """
[constant]
vehicle_id = "unit_1"
[time]
column = "t"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def chunks(
    folder: Path, mapping: str, content: str | bytes, rows: int = 100, resume: object = None
) -> list[Chunk]:
    (folder / "mapping.toml").write_text(mapping)
    data = content.encode() if isinstance(content, str) else content
    (folder / "data.csv").write_bytes(data)
    reader = DelimitedReader(folder / "mapping.toml")
    return list(reader.read(folder / "data.csv", resume, rows))


def records(of: list[Chunk]) -> list[dict[str, Any]]:
    lines = [line for c in of if c.message for line in c.message.body.split(b"\n") if line]
    return [json.loads(line) for line in lines]


def one(folder: Path, mapping: str, content: str) -> dict[str, Any]:
    [record] = records(chunks(folder, mapping, content))
    return record


def reasons(of: list[Chunk]) -> list[str]:
    return [reject.reason for chunk in of for reject in chunk.rejects]


def test_a_row_becomes_a_record_in_the_units_of_the_contract(folder: Path) -> None:
    mapping = """
    delimiter = ";"
    absent = ["", -999]
    sensors = "rest"
    [constant]
    kind = "glider"
    [time]
    column = ["date", "clock"]
    format = "%d/%m/%Y %H:%M:%S"
    zone = "+02:00"
    [fields]
    vehicle_id = {column = "id", prefix = "wmo:"}
    latitude = {column = "lat", unit = "ddmm"}
    longitude = {column = "lon", unit = "ddmm"}
    depth_m = {column = "z", unit = "fathom", negate = true}
    speed_mps = {column = "v", unit = "kn"}
    pitch_deg = {column = "pitch", unit = "rad"}
    temperature_c = {column = "T", unit = "K"}
    battery_pct = {column = "charge", unit = "fraction"}
    heading_deg = {column = "hdg", absent = [511]}
    roll_deg = {column = "roll"}
    """
    content = (
        "id;date;clock;lat;lon;z;v;pitch;T;charge;hdg;roll;Salinity (PSU);Note;Oxygen\n"
        "48;07/03/2024;01:00:00;4530.0;-12415.5;-10;10;0.5;277.15;0.25;511.0;-999;35.1;ok;\n"
    )
    assert one(folder, mapping, content) == {
        "vehicle_id": "wmo:48",
        "kind": "glider",
        "timestamp": "2024-03-06T23:00:00.000000Z",
        "latitude": 45.5,
        "longitude": pytest.approx(-124.25833333),
        "depth_m": pytest.approx(18.288),
        "speed_mps": pytest.approx(5.14444, abs=1e-5),
        "pitch_deg": pytest.approx(math.degrees(0.5)),
        "temperature_c": pytest.approx(4.0),
        "battery_pct": 25.0,
        "sensors": {"salinity_psu": 35.1},
    }


@pytest.mark.parametrize(
    ("time", "cell", "timestamp"),
    [
        ("", "2024-03-07T01:00:00+02:00", "2024-03-06T23:00:00.000000Z"),
        ('zone = "UTC"', "2024-03-07 01:00:00.5", "2024-03-07T01:00:00.500000Z"),
        ('format = "epoch_s"', "1419009476.162", "2014-12-19T17:17:56.162000Z"),
        ('format = "epoch_ms"', "1419009476162", "2014-12-19T17:17:56.162000Z"),
        ('format = "%Y%j"\nzone = "Europe/Oslo"', "2024067", "2024-03-06T23:00:00.000000Z"),
        ('format = "%Y-%m-%d %z"', "2024-03-07 +0100", "2024-03-06T23:00:00.000000Z"),
    ],
)
def test_times_of_every_format_become_utc(
    folder: Path, time: str, cell: str, timestamp: str
) -> None:
    assert one(folder, BASE + time, f"t\n{cell}\n")["timestamp"] == timestamp


@pytest.mark.parametrize(
    ("time", "cell", "reason"),
    [
        ("", "2024-03-07T01:00:00", "has no zone; give one in the mapping"),
        ("", "yesterday", "is not rfc3339"),
        ('format = "epoch_s"', "1e300", "beyond the calendar"),
        ("", "0001-01-01T00:00:00+14:00", "beyond the calendar"),
        ('format = "epoch_s"', "soon", "is not a number"),
        ('format = "epoch_s"', "nan", "is not a number"),
        ('format = "%H"\nzone = "UTC"', "25", "is not %H"),
    ],
)
def test_a_time_that_cannot_be_read_is_a_reject(
    folder: Path, time: str, cell: str, reason: str
) -> None:
    found = chunks(folder, BASE + time, f"t\n{cell}\n")
    assert records(found) == []
    assert reason in reasons(found)[0]


def test_malformed_rows_are_rejected_alone_with_raw_bytes_and_line(folder: Path) -> None:
    mapping = BASE + '[fields.depth_m]\ncolumn = "d"\n[fields.status]\ncolumn = "s"'
    content = b"t,d,s\n" + b"".join(
        b"2024-01-01T00:00:00Z," + rest
        for rest in (b"1,a\n", b"deep,a\n", b"1\n", b"\n", b"1_0,b\n", b"2,\xff\n", b"3,c")
    )
    found = chunks(folder, mapping, content)
    assert [r["depth_m"] for r in records(found)] == [1.0, 3.0]
    rejects = found[0].rejects
    assert [r.origin for r in rejects] == [f"file:data.csv:{line}" for line in (3, 4, 5, 6, 7)]
    assert rejects[0].raw == b"2024-01-01T00:00:00Z,deep,a"
    assert rejects[0].field == "d"
    assert "has 2 values under a header of 3" in rejects[1].reason
    assert "encoding" in rejects[4].reason


@pytest.mark.parametrize(
    ("field", "cell"), [("sequence", "9" * 5000), ("sequence", str(2**63)), ("altitude_m", "1e308")]
)
def test_a_number_too_large_to_be_written_is_a_reject(folder: Path, field: str, cell: str) -> None:
    unit = ', unit = "km"' if field == "altitude_m" else ""
    mapping = BASE + f'[fields]\n{field} = {{column = "n"{unit}}}'
    found = chunks(folder, mapping, f"t,n\n2024-01-01T00:00:00Z,{cell}\n")
    assert records(found) == []
    assert len(reasons(found)) == 1


def test_lines_of_the_body_are_lines_of_the_file(folder: Path) -> None:
    mapping = BASE + '[fields.status]\ncolumn = "s"'
    content = 't,s\n2024-01-01T00:00:00Z,"two\nlines"\n\nbad,x\n2024-01-01T00:00:01Z,last'
    [chunk] = chunks(folder, mapping, content)
    assert chunk.message is not None
    assert chunk.message.first_line == 2
    lines = chunk.message.body.split(b"\n")
    assert [bool(line) for line in lines] == [True, False, False, False, True]
    assert json.loads(lines[0])["status"] == "two\nlines"
    assert [r.origin for r in chunk.rejects] == ["file:data.csv:5"]


def test_a_quote_that_never_ends_takes_no_more_than_what_the_csv_module_holds(
    folder: Path,
) -> None:
    mapping = BASE + '[fields.status]\ncolumn = "s"'
    lines = "".join(f"2024-01-01T00:00:00Z,{n}\n" for n in range(20_000))
    found = chunks(folder, mapping, f't,s\n2024-01-01T00:00:00Z,"open\n{lines}')
    [reject] = [r for c in found for r in c.rejects]
    assert "field larger than field limit" in reject.reason
    assert len(records(found)) + reject.raw.count(b"\n") == 20_000
    assert len(reject.raw) < 200_000


@pytest.mark.parametrize("last", ['2024-01-01T00:00:01Z,"cut o', '2024-01-01T00:00:01Z,"a"b'])
def test_a_value_whose_quotes_are_broken_is_a_reject(folder: Path, last: str) -> None:
    mapping = BASE + '[fields.status]\ncolumn = "s"'
    found = chunks(folder, mapping, f"t,s\n2024-01-01T00:00:00Z,a\n{last}")
    assert len(records(found)) == 1
    assert found[0].rejects[0].raw == last.encode()


@pytest.mark.parametrize("packed", [False, True])
def test_reading_resumes_at_every_chunk_with_the_same_rest(folder: Path, packed: bool) -> None:
    mapping = BASE + 'format = "epoch_s"\n[fields.status]\ncolumn = "s"'
    content = "".join(f'{n},"{n}\n"\n' if n % 3 else f"{n}\n" for n in range(40))
    data = f"t,s\n{content}".encode()
    found = chunks(folder, mapping, gzip.compress(data) if packed else data, rows=7)
    assert len(records(found)) == 26
    assert len(reasons(found)) == 14
    reader = DelimitedReader(folder / "mapping.toml")
    for index, chunk in enumerate(found):
        resume = pickle.loads(pickle.dumps(chunk.resume))
        assert list(reader.read(folder / "data.csv", resume, 7)) == found[index + 1 :]


def test_tabs_and_a_byte_order_mark_are_no_part_of_values(folder: Path) -> None:
    mapping = 'delimiter = "\\t"\n' + BASE + '[fields.depth_m]\ncolumn = "d"'
    record = one(folder, mapping, "\ufefft\td\n2024-01-01T00:00:00Z\t5\n")
    assert record["depth_m"] == 5.0


def test_a_position_with_one_coordinate_absent_is_no_position(folder: Path) -> None:
    mapping = BASE + '[fields]\nlatitude = {column = "y"}\nlongitude = {column = "x"}'
    record = one(folder, mapping, "t,y,x\n2024-01-01T00:00:00Z,5,\n")
    assert "latitude" not in record
    assert "longitude" not in record


def test_other_columns_become_sensors_only_where_they_are_numbers(folder: Path) -> None:
    content = "t,T (C),T [C],Note\n2024-01-01T00:00:00Z,1,2,fine\n2024-01-01T00:00:01Z,,3,4\n"
    found = records(chunks(folder, 'sensors = "rest"' + BASE, content))
    assert [r["sensors"] for r in found] == [{"t_c": 1, "t_c_3": 2}, {"t_c_3": 3, "note": 4}]


def test_a_column_named_as_a_sensor_must_be_a_number(folder: Path) -> None:
    found = chunks(folder, BASE + '[sensors]\no2 = "O"', "t,O\n2024-01-01T00:00:00Z,much\n")
    assert "'much' is not a number" in reasons(found)[0]


def test_a_column_the_file_does_not_have_is_told_with_those_it_has(folder: Path) -> None:
    with pytest.raises(SourceFileError, match=r"no column speed \(it has t, v\)"):
        chunks(folder, BASE + '[fields.speed_mps]\ncolumn = "speed"', "t,v\n")


def test_every_mistake_of_a_mapping_is_told_at_once_with_its_key(folder: Path) -> None:
    mapping = """
    delimiter = ";;"
    encoding = "utf-9"
    absent = [{}]
    sensor = "rest"
    sensors = "all"
    [constant]
    kind = "submarine"
    [time]
    column = "t"
    format = "%d/%m/%Y"
    [fields]
    depth_m = {column = "d", unit = "feet"}
    depth = {column = "d"}
    latitude = {colum = "y"}
    """
    with pytest.raises(MappingError) as caught:
        chunks(folder, mapping, "t\n")
    mistakes = str(caught.value).splitlines()
    keys = [line.split(": ")[1] for line in mistakes]
    assert sorted(keys) == sorted(
        [
            "delimiter",
            "encoding",
            "absent",
            "sensor",
            "sensors",
            "constant.kind",
            "time.zone",
            "fields.depth_m.unit",
            "fields.depth",
            "fields.latitude.colum",
            "fields.latitude.column",
            "fields",
            "fields.vehicle_id",
        ]
    )
    assert any("'feet'; use m, cm, km, ft" in line for line in mistakes)
    assert any(line.endswith("sensor: is no known key; use sensors") for line in mistakes)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("delimiter = ", "is not TOML"),
        ('encoding = "utf-16"' + BASE, "another that holds ASCII"),
        ('[constant]\nvehicle_id = "a"', "time: is missing"),
        (BASE.replace('"t"', "3"), "time.column: got 3"),
        (BASE + 'zone = "Mars/Jezero"', "time.zone: got 'Mars/Jezero'"),
        (BASE + 'format = "ISO"', "time.format: got 'ISO'"),
        ('time = "t"\n[constant]\nvehicle_id = "a"', r"write a table \[time\]"),
    ],
)
def test_a_mistake_of_a_mapping_is_told_with_its_remedy(
    folder: Path, mapping: str, says: str
) -> None:
    with pytest.raises(MappingError, match=says):
        chunks(folder, mapping, "t\n")


def test_every_number_field_of_the_contract_has_a_unit_of_its_own() -> None:
    assert set(UNITS) == set(NUMBER_FIELDS)
    for units in UNITS.values():
        assert next(iter(units.values()))(12.5) == 12.5
