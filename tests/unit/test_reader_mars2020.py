"""Waypoints and drives: both spellings of properties, times from clock or sol, broken features."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.mars2020 import TraverseReader, WaypointReader
from connectors.readers.mars_clock import sclk_at_time_us, time_us_at_sol
from schemas.frame import rfc3339
from schemas.mars_time import SOL_S


def sclk(sol: float) -> float:
    return sclk_at_time_us(time_us_at_sol(sol))


def utc(sol: float) -> str:
    return rfc3339(time_us_at_sol(sol))[:19]


def point(**properties: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [77.45, 18.44, -2569.9]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def drive(vertices: int, **properties: Any) -> dict[str, Any]:
    line = [[77.25 + n / 8, 18.44, -2569.9] for n in range(vertices)]
    geometry = {"type": "LineString", "coordinates": line}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def read(reader: Any, tmp_path: Path, features: list[Any], rows: int = 100) -> list[Chunk]:
    path = tmp_path / "layer.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return list(reader.read(path, None, rows))


def records(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [json.loads(line) for c in chunks if c.message for line in c.message.body.splitlines()]


def seconds(chunks: list[Chunk]) -> list[str]:
    return [record["timestamp"][:19] for record in records(chunks)]


def test_a_waypoint_becomes_a_record_of_the_rover(tmp_path: Path) -> None:
    feature = point(
        RMC="3_110", site=3, drive=110, sol=14, SCLK_START=sclk(14.5), SCLK_END=sclk(14.6),
        elev_geoid=-2569.86, lon=77.46, lat=18.45, roll=0.97, pitch=-0.27, yaw=-15.1, tilt=1.01,
        dist_m=6.25, dist_total=6.25, Note="First localization!", final="y",
    )  # fmt: skip
    [record] = records(read(WaypointReader(), tmp_path, [feature]))
    assert record["timestamp"][:19] == utc(14.6)
    del record["timestamp"]
    assert record == {
        "rover_id": "perseverance",
        "kind": "rover",
        "body": "mars",
        "source": "mars2020",
        "message_id": "3_110",
        "status": "First localization!",
        "longitude": 77.46,
        "latitude": 18.45,
        "altitude_m": -2569.86,
        "roll_deg": 0.97,
        "pitch_deg": -0.27,
        "heading_deg": pytest.approx(344.9),
        "sensors": {
            "sol": 14, "site": 3, "drive": 110, "tilt_deg": 1.01, "dist_m": 6.25,
            "dist_total_m": 6.25,
        },
    }  # fmt: skip


def test_new_and_old_spellings_give_the_same_record(tmp_path: Path) -> None:
    old = point(RMC="3_110", site=3, drive=110, sol=14, dist_total=6.25, elev_geoid=-1.0)
    new = point(site=3, drive=110, sol=14, distTotalM=6.25, elevGeoid=-1.0)
    one, other = (records(read(WaypointReader(), tmp_path, [f])) for f in (old, new))
    assert one == other


def test_the_time_of_a_waypoint_is_the_clock_that_lies_in_its_sol(tmp_path: Path) -> None:
    features = [
        point(sol=20, SCLK_START=sclk(20.6), SCLK_END=sclk(23.5)),
        point(sol=102, SCLK_START=sclk(102.5), SCLK_END=sclk(102.6)),
        point(sol=394, SCLK_START=sclk(390.4), SCLK_END=sclk(393.7)),
        point(sol=395, SCLK_START=0.0, SCLK_END=0.0),
        point(sol=396),
    ]
    chunks = read(WaypointReader(), tmp_path, features)
    assert seconds(chunks) == [utc(s) for s in (20.6, 102.6, 394.5, 395.5, 396.5)]
    unsure = [r["sensors"].get("time_uncertainty_s") for r in records(chunks)]
    assert unsure == [None, None, *[round(SOL_S / 2)] * 3]


def test_waypoints_of_one_sol_keep_their_order_in_time(tmp_path: Path) -> None:
    chunks = read(WaypointReader(), tmp_path, [point(sol=9, RMC=f"1_{n}") for n in range(5)])
    times = [r["timestamp"] for r in records(chunks)]
    assert times == sorted(set(times))


def test_a_drive_is_spread_evenly_over_its_clock(tmp_path: Path) -> None:
    feature = drive(
        5, sol=102, toRMC="4_372", length=47.5, SCLK_START=sclk(102.5), SCLK_END=sclk(102.54)
    )
    chunks = read(TraverseReader(), tmp_path, [feature])
    assert seconds(chunks) == [utc(102.5 + n / 100) for n in range(5)]
    assert [r["message_id"] for r in records(chunks)] == [f"4_372:{n}" for n in range(5)]
    assert records(chunks)[1]["longitude"] == 77.375
    assert records(chunks)[0]["sensors"] == {"sol": 102, "leg_length_m": 47.5}


def test_drives_never_overlap_and_never_begin_before_their_sol(tmp_path: Path) -> None:
    features = [
        drive(30, sol=350, SCLK_START=sclk(350.4), SCLK_END=sclk(350.5)),
        drive(30, sol=351, SCLK_START=sclk(350.4), SCLK_END=sclk(351.5)),
        drive(30, sol=351, SCLK_START=sclk(351.3), SCLK_END=sclk(351.4)),
        drive(30, sol=352),
        drive(30, sol=352),
        drive(30, sol=353, SCLK_START=sclk(350.4), SCLK_END=sclk(352.4)),
    ]
    found = records(read(TraverseReader(), tmp_path, features))
    times = [r["timestamp"] for r in found]
    assert len(found) == 180
    assert times == sorted(set(times))
    assert times[30][:19] == utc(351.0)
    assert {r["sensors"]["sol"] for r in found if "time_uncertainty_s" in r["sensors"]} == {
        352,
        353,
    }


def test_a_line_of_several_parts_is_read_in_order(tmp_path: Path) -> None:
    feature = drive(4, sol=10)
    parts = feature["geometry"]["coordinates"]
    feature["geometry"] = {"type": "MultiLineString", "coordinates": [parts[:2], parts[2:]]}
    found = records(read(TraverseReader(), tmp_path, [feature]))
    assert [r["longitude"] for r in found] == [77.25, 77.375, 77.5, 77.625]


@pytest.mark.parametrize("reader", [WaypointReader(), TraverseReader()])
def test_broken_features_are_rejected_alone_with_their_raw_bytes(
    tmp_path: Path, reader: Any
) -> None:
    broken = [
        7,
        {"type": "Feature", "properties": {"sol": 3}},
        {"type": "Feature", "properties": {"sol": 3}, "geometry": {"type": "Polygon"}},
        {"properties": {"sol": 3}, "geometry": {"type": "Point", "coordinates": ["x", 1]}},
        {"properties": {"sol": 3}, "geometry": {"type": "LineString", "coordinates": []}},
        {"properties": {"sol": 3}, "geometry": {"type": "LineString", "coordinates": [[1]]}},
        {"properties": {"sol": "3"}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
        {"properties": {"sol": 1e300}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
    ]
    good = point(sol=4) if isinstance(reader, WaypointReader) else drive(1, sol=4)
    [chunk] = read(reader, tmp_path, [*broken, good])
    assert len(records([chunk])) == 1
    assert [json.loads(r.raw) for r in chunk.rejects] == broken
    assert [r.origin for r in chunk.rejects] == [f"file:layer.json[{n}]" for n in range(8)]
    assert all(r.reason.startswith(r.field) for r in chunk.rejects)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"type":"Feature"}', b"\xff"])
def test_a_file_that_is_no_feature_collection_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "layer.json"
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match="is no GeoJSON FeatureCollection"):
        list(WaypointReader().read(path, None, 10))


def test_counts_no_clock_can_have_do_not_count(tmp_path: Path) -> None:
    feature = point(sol=4, SCLK_START=-1e300, SCLK_END=10**40, site=2**70, tilt=1e17)
    [record] = records(read(WaypointReader(), tmp_path, [feature]))
    assert record["timestamp"][:19] == utc(4.5)
    assert record["sensors"].keys() == {"sol", "time_uncertainty_s"}


def test_a_collection_without_features_gives_nothing(tmp_path: Path) -> None:
    assert read(WaypointReader(), tmp_path, []) == []
