"""Conditions in CEL judged on columns: each family of operators, missing values and errors."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rules.expressions import (
    ERROR,
    FALSE,
    TRUE,
    UNKNOWN,
    Columns,
    ZoneTable,
    compile_expression,
    explain_each,
)
from schemas.frame import ABSENT_SEQUENCE, Frame
from schemas.zone import Zone
from tests.frames import frame_of

SQUARE = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}
START_S = 1_772_953_200  # 2026-03-08T07:00:00Z: New York's clocks go from 02:00 to 03:00

F, T, U, E = FALSE, TRUE, UNKNOWN, ERROR


def fleet() -> Frame:
    """Four records: a deep AUV, a shallow glider, one that knows nothing, a rover."""
    frame = frame_of(
        [
            {
                "vehicle_id": "auv-1",
                "time_s": START_S - 1,
                "depth_m": 300.0,
                "speed_mps": 0.2,
                "status": "ok",
                "mission_id": "m-7",
                "sensors": {"salinity": 35.0},
            },
            {
                "vehicle_id": "glider-2",
                "time_s": START_S,
                "depth_m": 100.0,
                "speed_mps": 0.9,
                "status": "degraded",
                "kind": "glider",
            },
            {"vehicle_id": "auv-3", "time_s": START_S + 3600},
            {
                "vehicle_id": "rover-4",
                "time_s": 0.5,
                "kind": "rover",
                "body": "mars",
                "depth_m": 0.0,
                "status": "OK",
                "mission_id": "ok",
            },
        ]
    )
    return replace(frame, sequence=np.array([1, 2**63 - 1, ABSENT_SEQUENCE, 0]))


def judged(text: str, columns: Columns | None = None) -> list[int]:
    return (
        compile_expression(text)
        .judge(Columns.of_records(fleet()) if columns is None else columns)
        .tolist()
    )


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("depth_m > 200.0", [T, F, U, F]),
        ("depth_m > 200", [T, F, U, F]),
        ("depth_m >= 300.0", [T, F, U, F]),
        ("depth_m < 100.0", [F, F, U, T]),
        ("depth_m <= 100.0", [F, T, U, T]),
        ("depth_m == 100.0", [F, T, U, F]),
        ("depth_m != 100.0", [T, F, U, T]),
        ("200.0 < depth_m", [T, F, U, F]),
        ("sequence > 0.5", [T, T, U, F]),
        ("sequence == 1", [T, F, U, F]),
        ("(depth_m > 1.0) == (speed_mps < 0.5)", [T, F, U, U]),
        ("altitude_m > 1.0", [U, U, U, U]),
    ],
)
def test_comparisons(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("depth_m > 200.0 && speed_mps < 0.5", [T, F, U, F]),
        ("speed_mps < 0.5 && depth_m > 200.0", [T, F, U, F]),
        ("depth_m > 200.0 || speed_mps > 0.5", [T, T, U, U]),
        ("!(depth_m > 200.0)", [F, T, U, T]),
        ("depth_m > 1.0 ? speed_mps < 0.5 : true", [T, F, U, T]),
        ("true", [T, T, T, T]),
        ("1 / sequence > 0 && depth_m > 1.0", [T, F, U, F]),
        ("1 / sequence > 0 || depth_m == 0.0", [T, F, U, T]),
        ("1 / sequence > 0 || depth_m == 1.0", [T, F, U, E]),
        # An input that is missing beside an error: unknown, for it might have absorbed the error.
        ("1 / sequence > 0 || speed_mps > 1.0", [T, F, U, U]),
        ("sequence == 0 ? true : 1 / sequence > 0", [T, F, U, T]),
    ],
)
def test_logic_absorbs_what_has_no_value_in_either_order(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("depth_m * 2.0 + 1.0 - speed_mps / 2.0 > 600.0", [T, F, U, U]),
        ("-depth_m < 0.0", [T, T, U, F]),
        ("1.0 / depth_m > 1e308", [F, F, U, T]),
        ("depth_m / depth_m == depth_m / depth_m", [T, T, U, F]),
        ("sequence + 1 > 1", [T, E, U, F]),
        ("sequence * 2 == 2", [T, E, U, F]),
        ("-2 - sequence < 0", [T, E, U, T]),
        ("sequence - 2 < 0", [T, F, U, T]),
        ("-sequence < 0", [T, T, U, F]),
        ("-7 / (sequence + 0) == -7", [T, F, U, E]),
        ("-7 % (sequence * 1) == 0", [T, F, U, E]),
        ("(sequence - 8) % 4 == -3", [T, F, U, F]),
        ("(sequence - 8) / 4 == -1", [T, F, U, F]),
        ("int(depth_m / 7.0) == 42", [T, F, U, F]),
        ("int(depth_m * 1e17) > 0", [E, E, U, F]),
        ("double(sequence) > 0.5", [T, T, U, F]),
    ],
)
def test_arithmetic_keeps_doubles_and_integers_apart(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize("test", ["isNaN", "isInf", "isFinite"])
def test_what_is_tested_of_a_number_that_is_not_there_is_unknown(test: str) -> None:
    finite = test == "isFinite"
    assert judged(f"math.{test}(depth_m)") == [finite, finite, U, finite]
    assert judged(f"!math.{test}(depth_m)") == [not finite, not finite, U, not finite]
    for text in (f"math.{test}(depth_m) || kind == 'x'", f"kind == 'x' || math.{test}(depth_m)"):
        assert judged(text) == [finite, finite, U, finite]
    assert judged(f"math.{test}(depth_m) && kind != 'x'") == [finite, finite, U, finite]
    # A number that cannot be computed is an error, as everywhere.
    assert judged(f"math.{test}(double(1 / sequence)) || kind == 'x'") == [finite, finite, U, E]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("has(record.depth_m)", [T, T, F, T]),
        ("has(record.status)", [T, T, F, T]),
        ("has(record.altitude_m)", [F, F, F, F]),
        ("has(record.vehicle_id)", [T, T, T, T]),
        ("has(sensors.salinity) && sensors.salinity > 30.0", [T, F, F, F]),
        ('"salinity" in sensors', [T, F, F, F]),
        ('sensors["salinity"] > 30.0', [T, U, U, U]),
        ("sensors.no_such > 30.0", [U, U, U, U]),
        ("record.sensors.salinity > 30.0", [T, U, U, U]),
        ("record.depth_m > 200.0", [T, F, U, F]),
    ],
)
def test_presence_of_fields_and_sensors(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('status == "ok"', [T, F, U, F]),
        ('status != "ok"', [F, T, U, T]),
        ('status < "a"', [F, F, U, T]),
        ('kind == "auv" || body == "mars"', [T, F, T, T]),
        ('vehicle_id.startsWith("auv-")', [T, F, T, F]),
        ('vehicle.id.startsWith("auv-") && has(vehicle.id)', [T, F, T, F]),
        ('vehicle.kind == "auv" || vehicle.body == "mars"', [T, F, T, T]),
        ("vehicle.id == vehicle_id", [T, T, T, T]),
        ('vehicle.id.format([]).split("-")[0] == "auv"', [T, F, T, F]),
        ('status.endsWith("ed")', [F, T, U, F]),
        ('status.contains("k")', [T, F, U, F]),
        ('status.matches("^[a-z]+$")', [T, T, U, F]),
        ('status.lowerAscii() == "ok"', [T, F, U, T]),
        ("size(status) == 2", [T, F, U, T]),
        ("status.size() > sequence", [T, F, U, T]),
        ('status + "/" + mission_id == "ok/m-7"', [T, U, U, F]),
        ("status.lowerAscii() == mission_id", [F, U, U, T]),
        ('string(depth_m) == "300"', [T, F, U, F]),
        ("double(mission_id.substring(2)) == 7.0", [T, U, U, E]),
        ('(depth_m > 200.0 ? status : "shallow") == "ok"', [T, F, U, F]),
        ("string(timestamp).startsWith('1970')", [F, F, F, T]),
    ],
)
def test_texts(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('kind in ["auv", "rover"]', [T, F, T, T]),
        ("depth_m in [100.0, 300]", [T, T, U, F]),
        ("sequence in [1, 2]", [T, F, U, F]),
        ("depth_m in [300.0, speed_mps]", [T, F, U, U]),
        ('{"auv": 200.0, "rover": -1.0}[kind] < depth_m', [T, E, U, T]),
        ("[50.0, 200.0].exists(limit, depth_m > limit)", [T, T, U, F]),
        ("[50.0, 200.0].all(limit, depth_m > limit)", [T, F, U, F]),
        ("[50.0, 200.0].exists_one(limit, depth_m > limit)", [F, T, U, F]),
        ('["o", "k"].all(part, status.contains(part))', [T, F, U, F]),
        ('["a", "ok"].exists(s, status == s && depth_m > 1.0)', [T, F, U, F]),
        ("[1.0, 2.0].map(x, x * depth_m).exists(y, y > 500.0)", [T, F, U, F]),
    ],
)
def test_lists_maps_and_macros(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('timestamp >= timestamp("2026-03-08T07:00:00Z")', [F, T, T, F]),
        ('timestamp - timestamp("2026-03-08T06:59:59Z") > duration("1s")', [F, F, T, F]),
        ('timestamp + duration("1s") == timestamp("2026-03-08T07:00:00Z")', [T, F, F, F]),
        ("timestamp + duration('290000h') > timestamp(0)", [T, T, T, T]),
        ("timestamp - timestamp('0001-01-01T00:00:00Z') > duration('0s')", [E, E, E, E]),
        ("timestamp(sequence) == timestamp('1970-01-01T00:00:01Z')", [T, E, U, F]),
        ("int(timestamp) == 0", [F, F, F, T]),
        ("timestamp.getFullYear() == 2026", [T, T, T, F]),
        ("timestamp.getMonth() == 2 && timestamp.getDate() == 8", [T, T, T, F]),
        ("timestamp.getDayOfMonth() == 7", [T, T, T, F]),
        ("timestamp.getDayOfYear() == 66", [T, T, T, F]),
        ("timestamp.getDayOfWeek() == 0", [T, T, T, F]),
        ("timestamp.getMilliseconds() == 500", [F, F, F, T]),
        ("timestamp.getHours() == 6", [T, F, F, F]),
        ("timestamp.getMinutes() == 59 && timestamp.getSeconds() == 59", [T, F, F, F]),
        ('timestamp.getHours("America/New_York") == 1', [T, F, F, F]),
        ('timestamp.getHours("America/New_York") == 3', [F, T, F, F]),
        ('timestamp.getMinutes("+05:45") == 45', [F, T, T, T]),
        ("(timestamp - timestamp(0)).getHours() == 0", [F, F, F, T]),
        ("(timestamp(0) - timestamp).getMilliseconds() == -500", [F, F, F, T]),
    ],
)
def test_timestamps_and_durations(text: str, codes: list[int]) -> None:
    assert judged(text) == codes


ZONES = (
    Zone(
        id="apei-1",
        kind="apei",
        max_depth_m=250.0,
        version=3,
        geometry=SQUARE,
        properties={"limit_m": 150, "closed": True},
    ),
    Zone(id="c-2", kind="contract", geometry=SQUARE, properties={"limit_m": "far"}),
)


def visits() -> Columns:
    """The deep AUV in both zones, the glider in the first, the unknown one in the second."""
    rows, zone = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1])
    return Columns.of_visits(fleet(), rows, ZoneTable(ZONES), zone)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('zone.kind == "apei" && depth_m > 200.0', [T, F, F, F]),
        ("depth_m > zone.max_depth_m", [T, U, F, U]),
        ("has(zone.max_depth_m)", [T, F, T, F]),
        ("zone.version == 3", [T, F, T, F]),
        ('zone.id.startsWith("apei")', [T, F, T, F]),
        ('zone.properties["closed"] == true', [T, U, T, U]),
        ("has(zone.properties.closed) && zone.properties.closed", [T, F, T, F]),
        ('"closed" in zone.properties', [T, F, T, F]),
        ("depth_m > zone.properties.limit_m", [T, E, F, U]),
        ("depth_m > double(zone.properties.limit_m)", [T, E, F, U]),
        ("zone.properties.no_such == 1", [U, U, U, U]),
    ],
)
def test_the_zone_a_record_is_in(text: str, codes: list[int]) -> None:
    assert judged(text, visits()) == codes


def test_without_a_zone_everything_about_it_is_unknown() -> None:
    assert judged('zone.kind == "apei"') == [U] * 4
    assert judged("has(zone.max_depth_m)") == [U] * 4
    assert judged("zone.version == 1 || depth_m == 300.0") == [T, U, U, U]


def test_what_is_read_and_whether_of_the_zone_is_told() -> None:
    condition = compile_expression(
        'record.depth_m > 200.0 && zone.kind == "apei" && has(sensors.co2) && depth_m < 9.0'
    )
    assert condition.inputs == ("depth_m", "zone.kind", "sensors.co2")
    assert condition.uses_zone
    assert not compile_expression("depth_m > 1.0").uses_zone


def test_no_records_give_no_answers() -> None:
    nobody = Columns.of_records(fleet().take(np.empty(0, np.intp)))
    for text in ("depth_m > 1.0", 'status == "ok"', "status == mission_id", "true"):
        assert judged(text, nobody) == []


def test_answers_are_the_same_whatever_was_asked_before() -> None:
    columns = Columns.of_records(fleet())
    texts = ("depth_m > 200.0 && speed_mps < 0.5", "!(depth_m > 200.0)", 'status == "ok"')
    again = [judged(text, columns) for text in (*texts, *texts)]
    assert again == [judged(text) for text in (*texts, *texts)]


def test_a_table_of_far_more_texts_than_rows_is_looked_up_by_the_rows_alone() -> None:
    frame = fleet()
    many = tuple(f"auv-{i}" for i in range(100_000))
    huge = replace(frame, vehicle_ids=many, vehicle=np.array([7, 99_999, 7, 3], np.int32))
    assert judged('vehicle_id == "auv-7"', Columns.of_records(huge)) == [T, F, T, F]


def test_a_condition_survives_pickling() -> None:
    condition = pickle.loads(pickle.dumps(compile_expression("depth_m > 200.0")))
    assert condition.judge(Columns.of_records(fleet())).tolist() == [T, F, U, F]


def test_inputs_limit_and_margin_of_the_tightest_comparison_explain_an_answer() -> None:
    condition = compile_expression(
        'zone.kind == "apei" && depth_m > zone.max_depth_m && speed_mps < 0.5'
        " && has(record.roll_deg)"
    )
    found = condition.explain(visits(), 0)
    assert found.inputs == {
        "zone.kind": "apei",
        "depth_m": 300.0,
        "zone.max_depth_m": 250.0,
        "speed_mps": 0.2,
        "roll_deg": None,
    }
    # 50 m beyond 250 m is a fifth of the limit, 0.3 m/s below 0.5 m/s (held to 1) is more.
    assert (found.limit, found.margin) == (250.0, 50.0)
    assert [(c.text, c.value, c.limit, c.holds) for c in found.comparisons] == [
        ("depth_m > zone.max_depth_m", 300.0, 250.0, True),
        ("speed_mps < 0.5", 0.2, 0.5, True),
    ]


@pytest.mark.parametrize(
    ("text", "limit", "margin"),
    [
        ("200.0 < depth_m", 200.0, 100.0),
        ("!(depth_m < 200.0)", 200.0, 100.0),
        ("!(depth_m <= 300.0) || depth_m >= 300.0", 300.0, 0.0),
        ('depth_m > {"auv": 250.0}[kind]', 250.0, 50.0),
        ("[100.0, 280.0].exists(limit, depth_m > limit)", 280.0, 20.0),
        ("depth_m * 2.0 > 500.0", 500.0, 100.0),
        ("sequence < 3", 3, 2),
        ("depth_m < 200.0 || true", None, None),
        ('status == "ok"', None, None),
    ],
)
def test_the_margin_is_measured_in_the_direction_the_rule_asks(
    text: str, limit: Any, margin: Any
) -> None:
    found = compile_expression(text).explain(Columns.of_records(fleet()), 0)
    assert (found.limit, found.margin) == (limit, margin)


def test_rows_explained_at_once_are_explained_as_one_by_one() -> None:
    columns = Columns.of_records(fleet())
    for text in (
        "depth_m > 100.0 && speed_mps < 0.5",
        "sensors.salinity > 30.0 || battery_pct < 2.0 * 10.0",
        'kind == "auv" && timestamp > timestamp(0)',
        "speed_mps > 1.0 ? depth_m > 5.0 : depth_m > 9.0",
    ):
        one = compile_expression(text)
        rows = [*range(len(columns)), 0]
        assert one.explain_many(columns, rows) == [one.explain(columns, row) for row in rows]
        other = compile_expression("depth_m > 7.0")
        asked = [(e, columns, row) for row in range(len(columns)) for e in (one, other)]
        assert explain_each(asked) == [e.explain(columns, row) for e, _, row in asked]


def test_times_are_explained_in_rfc_3339() -> None:
    found = compile_expression("timestamp > timestamp(0)").explain(Columns.of_records(fleet()), 1)
    assert found.inputs == {"timestamp": "2026-03-08T07:00:00.000000Z"}
