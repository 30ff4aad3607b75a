"""AIS rows: what "not available" looks like, signed fields, both spellings of the header."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.marinecadastre import MarineCadastreReader

HEADER = "MMSI,BaseDateTime,LAT,LON,SOG,COG,Heading,VesselName,Status,Length,Draft"
ROW = "367752440,2023-01-11T00:00:00,43.07,-70.75,10.0,90.5,95.0,SAN JOSE,0.0,20.0,3.5"


def read(tmp_path: Path, *rows: str, header: str = HEADER) -> list[Chunk]:
    path = tmp_path / "ais.csv"
    path.write_text("\n".join([header, *rows]))
    return list(MarineCadastreReader().read(path, None, 100))


def record(tmp_path: Path, row: str, header: str = HEADER) -> dict[str, Any]:
    [chunk] = read(tmp_path, row, header=header)
    assert chunk.message is not None
    assert not chunk.rejects
    decoded: dict[str, Any] = json.loads(chunk.message.body)
    return decoded


def test_a_row_becomes_a_vessel_record(tmp_path: Path) -> None:
    assert record(tmp_path, ROW) == {
        "vessel_id": "mmsi:367752440",
        "timestamp": "2023-01-11T00:00:00Z",
        "kind": "vessel",
        "latitude": 43.07,
        "longitude": -70.75,
        "speed_kn": 10.0,
        "heading_deg": 95.0,
        "sensors": {"length_m": 20.0, "draft_m": 3.5, "nav_status": 0.0, "course_deg": 90.5},
    }


def test_the_header_of_2025_gives_the_same_record(tmp_path: Path) -> None:
    header = (
        "mmsi,base_date_time,latitude,longitude,sog,cog,heading,vessel_name,status,length,draft"
    )
    row = ROW.replace("2023-01-11T", "2023-01-11 ")
    assert record(tmp_path, row, header) == record(tmp_path, ROW)


@pytest.mark.parametrize(
    ("written", "absent"),
    [
        (("43.07,-70.75", "91.0,181.0"), {"latitude", "longitude"}),
        (("43.07,-70.75", "0.0,0.0"), {"latitude", "longitude"}),
        (("43.07,-70.75", "43.07,"), {"latitude", "longitude"}),
        (("10.0,90.5", "102.3,90.5"), {"speed_kn"}),
        ((",95.0,", ",511.0,"), {"heading_deg"}),
    ],
)
def test_what_ais_writes_for_not_available_is_absent(
    tmp_path: Path, written: tuple[str, str], absent: set[str]
) -> None:
    full, row = record(tmp_path, ROW), record(tmp_path, ROW.replace(*written))
    assert full.keys() - row.keys() == absent


def test_static_data_that_is_not_available_is_no_sensor(tmp_path: Path) -> None:
    row = ROW.replace("90.5", "360.0").replace("0.0,20.0,3.5", "15.0,0.0,")
    assert "sensors" not in record(tmp_path, row)


@pytest.mark.parametrize(
    ("written", "course_deg"), [("-60.6", 349.0), ("-204.8", 204.8), ("-49.6", None)]
)
def test_a_negative_course_is_an_unsigned_number_read_as_signed(
    tmp_path: Path, written: str, course_deg: float | None
) -> None:
    sensors = record(tmp_path, ROW.replace("90.5", written))["sensors"]
    assert sensors.get("course_deg") == course_deg


def test_malformed_rows_are_rejected_alone(tmp_path: Path) -> None:
    [chunk] = read(
        tmp_path,
        ROW,
        ROW.replace("367752440", "MMSI"),
        ROW.replace("2023-01-11T00:00:00", "11 January"),
        ROW.replace("43.07", "north"),
        ROW.replace("SAN JOSE", '"SAN, JOSE"'),
        ROW[:40],
    )
    assert chunk.message is not None
    assert len(chunk.message.body.split()) == 2
    assert [(r.field, r.origin) for r in chunk.rejects] == [
        ("mmsi", "file:ais.csv:3"),
        ("basedatetime", "file:ais.csv:4"),
        ("latitude", "file:ais.csv:5"),
        ("", "file:ais.csv:7"),
    ]
    assert chunk.rejects[-1].raw == ROW[:40].encode()


def test_a_header_without_positions_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match=r"no column for .*latitude"):
        read(tmp_path, header="MMSI,BaseDateTime")
