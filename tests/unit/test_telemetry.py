"""The telemetry model: names, types, limits, and reasons that people can act on."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.decoding.reasons import rejection
from schemas.frame import BODIES, KINDS, NUMBER_FIELDS, TEXT_FIELDS
from schemas.telemetry import Telemetry, field_names
from schemas.timestamps import LIMIT_US, time_us

RECORD = {"vehicle_id": "auv-1", "timestamp": "2026-01-01T00:00:00Z"}


def valid(**fields: Any) -> Telemetry:
    return Telemetry.model_validate(RECORD | fields)


def reason(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Telemetry.model_validate(RECORD | fields)
    field, text = rejection(caught.value)
    assert text.startswith(field)
    return text


def test_the_fields_are_those_of_the_frame() -> None:
    beside = {"vehicle_id", "timestamp", "kind", "body", "sequence", "sensors", "speed_kn"}
    assert set(Telemetry.model_fields) == {*NUMBER_FIELDS, *TEXT_FIELDS, *beside}
    for kind in KINDS:
        assert valid(kind=kind).kind == kind
    for body in BODIES:
        assert valid(body=body).body == body


def test_names_are_those_of_the_contract(outside_data: Path) -> None:
    page = outside_data.parent / "contract.md"
    if not page.exists():
        pytest.skip(f"no contract.md beside {outside_data}")
    table = page.read_text().split("## 1. ")[1].split("## 2. ")[0]
    names: dict[str, tuple[str, ...]] = {}
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        # Names before a bracket are fields; those inside it are other names of the last one.
        for name, others in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", row):
            names[name] = (name, *re.findall(r"`(\w+)`", others))
    assert {field: field_names(field) for field in Telemetry.model_fields} == names


def test_json_schema_describes_every_accepted_name() -> None:
    schema = Telemetry.model_json_schema()
    names = {name for field in Telemetry.model_fields for name in field_names(field)}
    assert set(schema["properties"]) == names
    assert schema["required"] == ["timestamp"]
    assert {"required": ["auv_id"]} in schema["anyOf"]
    assert schema["properties"]["depth"]["anyOf"][0]["maximum"] == 12_000
    assert all("description" in schema["properties"][name] for name in names)
    json.dumps(schema)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31t12:00:00.1234569z", "2026-01-31T12:00:00.123456+00:00"),
        ("2026-01-31T12:00:00.5+05:30", "2026-01-31T06:30:00.500000+00:00"),
        ("2026-01-31T23:30:00-00:45", "2026-02-01T00:15:00+00:00"),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00+00:00"),
        (1769860800, "2026-01-31T12:00:00+00:00"),
        (1769860800.0000004, "2026-01-31T12:00:00+00:00"),
        (1769860800.0000006, "2026-01-31T12:00:00.000001+00:00"),
        (-1e-7, "1970-01-01T00:00:00+00:00"),
    ],
)
def test_timestamps_become_utc_to_the_microsecond(text: str | float, iso: str) -> None:
    assert valid(timestamp=text).timestamp == datetime.fromisoformat(iso)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("2026-01-31T12:00:00", "has no zone"),
        ("2026-01-31 12:00:00Z", "is not RFC 3339"),
        ("2026-01-31T12:00:00.1234567890Z", "is not RFC 3339"),
        ("2026-01-31T12:00:00+0100", "is not RFC 3339"),
        ("1769860800", "is not RFC 3339"),
        ("2016-12-31T23:59:60Z", "is a leap second"),
        ("2026-02-29T12:00:00Z", "names no date and time of the calendar"),
        ("2026-01-31T24:00:00Z", "names no date and time of the calendar"),
        ("2026-01-31T12:00:00+24:00", "has a zone beyond 23:59"),
        ("1969-12-31T23:59:59Z", "is outside 1970 to 2200"),
        ("2200-01-01T00:00:00Z", "is outside 1970 to 2200"),
        (7258118400, "after 2200"),
        (1769860800000, "in milliseconds, give seconds"),
        (1769860800000000, "in microseconds, give seconds"),
        (-1, "is outside 1970 to 2200"),
        (10**400, "is outside 1970 to 2200"),
        (float("nan"), "is outside 1970 to 2200"),
        (True, "is not RFC 3339"),
        ([], "is not RFC 3339"),
    ],
)
def test_a_timestamp_that_is_none_is_rejected_with_the_reason(value: object, why: str) -> None:
    assert why in reason(timestamp=value)


def test_the_last_microsecond_before_2200_is_accepted() -> None:
    assert time_us("2199-12-31T23:59:59.999999Z") == LIMIT_US - 1
    assert valid(timestamp="2199-12-31T23:59:59.999999Z").time_us == LIMIT_US - 1
    last = datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert valid(timestamp="2199-12-31T23:59:59.999999Z").timestamp == last


@pytest.mark.parametrize(
    ("given", "kept"), [(180, -180), (360, 0), (-180, -180), (190.5, -169.5), (179.5, 179.5)]
)
def test_longitude_is_brought_into_minus_180_to_180(given: float, kept: float) -> None:
    assert valid(latitude=0, longitude=given).longitude == kept


@pytest.mark.parametrize(("given", "kept"), [(360, 0), (-90, 270), (-360, 0), (-1e-20, 0), (5, 5)])
def test_heading_is_brought_into_0_to_360(given: float, kept: float) -> None:
    assert valid(heading_deg=given).heading_deg == kept


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"latitude": 95.2, "longitude": 0}, "latitude: 95.2 is above 90"),
        ({"longitude": 361, "latitude": 0}, "longitude: 361 is above 360"),
        ({"depth": -50.5}, "depth_m: -50.5 is below -50"),
        ({"altitude_m": 1e7}, "altitude_m: 10000000.0 is above 1000000"),
        ({"latitude": 1}, "latitude: given without longitude"),
        ({"longitude": 1, "latitude": None}, "longitude: given without latitude"),
        ({"depth_m": True}, "depth_m: True is not a number"),
        ({"depth_m": "12"}, "depth_m: '12' is not a number"),
        ({"depth_m": float("inf")}, "depth_m: inf is not finite"),
        ({"sequence": 1.5}, "sequence: 1.5 is not an integer"),
        ({"sequence": -(2**63)}, "sequence: -9223372036854775808 is below"),
        ({"kind": "tank"}, "kind: 'tank' is not one of 'auv', 'glider'"),
        ({"vehicle_id": None}, "vehicle_id: missing"),
        ({"vehicle_id": 7}, "vehicle_id: 7 is not a string"),
        ({"vehicle_id": "a b"}, "vehicle_id: 'a b' does not match"),
        ({"vehicle_id": "x" * 65}, "has more than 64 characters"),
        ({"status": "x" * 257}, "has more than 256 characters"),
        ({"status": "a\0"}, "status: 'a\\x00' does not match"),
        ({"sensors": [1]}, "sensors: [1] is not an object of numbers"),
        ({"sensors": {"a": "b"}}, "sensors.a: 'b' is not a number"),
        ({"sensors": {"s" * 65: 1}}, "has more than 64 characters"),
        ({"sensors": {str(n): n for n in range(257)}}, "sensors: more than 256 entries"),
        ({str(n): n for n in range(257)}, "sensors: more than 256 entries"),
        ({"depth": 5, "depth_m": 6}, "depth_m: 6 but depth: 5"),
        ({"depth": True, "depth_m": 1}, "depth_m: 1 but depth: True"),
        ({"auv_id": "b"}, "vehicle_id: 'auv-1' but auv_id: 'b'"),
        ({"speed": 1, "speed_kn": 2}, "speed_mps: 1.0 but speed_kn: 2.0"),
    ],
)
def test_a_broken_rule_names_field_value_and_limit(fields: dict[str, Any], text: str) -> None:
    assert text in reason(**fields)


def test_a_reason_is_one_short_line_whatever_the_value() -> None:
    text = reason(status="\n\u2028" * 5000, pitch_deg="\n", roll_deg=[], kind={}, body="x" * 999)
    assert text.isprintable()
    assert len(text) < 400
    assert text.endswith("and 2 more")


def test_kind_comes_from_the_name_of_the_id_and_body_from_the_kind() -> None:
    def kind_and_body(**fields: str) -> tuple[str, str]:
        record = Telemetry.model_validate({"timestamp": 0} | fields)
        return record.kind, record.body

    assert kind_and_body(vehicle_id="a") == ("vehicle", "earth")
    assert kind_and_body(auv_id="a") == ("auv", "earth")
    assert kind_and_body(vessel_id="a") == ("vessel", "earth")
    assert kind_and_body(rover_id="a") == ("rover", "mars")
    assert kind_and_body(vehicle_id="a", rover_id="a") == ("rover", "mars")
    assert kind_and_body(rover_id="a", body="moon") == ("rover", "moon")
    assert kind_and_body(auv_id="a", kind="glider") == ("glider", "earth")


def test_names_that_say_the_same_are_one_field() -> None:
    assert valid(depth=5, depth_m=5.0).depth_m == 5
    assert valid(depth=5, depth_m=None).depth_m == 5
    assert valid(speed_kn=10).speed_mps == pytest.approx(5.144, abs=0.001)
    assert valid(speed_kn=10, speed_mps=5.15).speed_mps == 5.15
    assert valid(speed_kn=10).speed_kn is None


def test_unknown_numbers_become_sensors_and_the_rest_is_dropped() -> None:
    record = valid(
        salinity=35, o2=1.5, note="x", on=True, nothing=None, huge=10**400, deep=[1], **{"": 1.0}
    )
    assert record.sensors == {"salinity": 35.0, "o2": 1.5}
    assert valid(o2=1, sensors={"o2": 2}).sensors == {"o2": 2.0}
    assert valid(o2=1, sensors={"o2": None}).sensors == {"o2": 1.0}
