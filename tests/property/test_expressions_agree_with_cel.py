"""Random well-typed conditions on random records: our columns against Google's runtime, row by row.

The oracle compiles the same text on its own, with zone and record as maps, and evaluates one record
at a time with absent fields unbound.
"""

import re
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from cel_expr_python import cel
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rules.expressions import (
    ERROR,
    TRUE,
    UNKNOWN,
    Columns,
    ExpressionError,
    Parameters,
    ZoneTable,
    compile_expression,
)
from rules.expressions.environment import dialect
from schemas.frame import ABSENT_SEQUENCE, BODIES, EPOCH, KINDS, Frame, Texts
from schemas.zone import Zone

NUMBERS = ("depth_m", "speed_mps", "battery_pct")
TEXTS = ("status", "mission_id")
SENSORS = ("salinity", "co2")


@cache
def oracle() -> Any:
    dyn = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(
        variables=dict.fromkeys(NUMBERS, cel.Type.DOUBLE)
        | dict.fromkeys((*TEXTS, "vehicle_id", "kind", "body"), cel.Type.STRING)
        | {"timestamp": cel.Type.TIMESTAMP, "sequence": cel.Type.INT, "zone": dyn, "record": dyn}
        | {"sensors": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE)},
        **dialect(),
    )


def any_of(*options: SearchStrategy[str] | str) -> SearchStrategy[str]:
    return st.one_of([st.just(o) if isinstance(o, str) else o for o in options])


def form(pattern: str, *parts: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(*parts).map(lambda texts: "(" + pattern.format(*texts) + ")")


DOUBLE_LITERALS = st.sampled_from(
    ["0.0", "1.5", "-200.0", "200.0", "1e300", "9.3e18", "0.1", "-0.0", "3.0"]
)
INT_LITERALS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2",
        "7",
        "200",
        "9223372036854775807",
        "-9223372036854775808",
        "4611686018427387904",
    ]
)
TEXT_LITERALS = st.sampled_from(['""', '"ok"', '"okay"', '"1.5"', '"7"', '"é"', '"apei"', '"x"'])
PATTERNS = st.sampled_from(['"o."', '"^ok$"', '"[a-z]+"', '"\\\\d"', '"^$"', '"é|x"'])
DURATION_LITERALS = st.sampled_from(
    ['duration("60s")', 'duration("-1.5s")', 'duration("3h")', 'duration("0s")']
)
TIME_LITERALS = st.sampled_from(
    ['timestamp("2026-03-08T07:00:00Z")', 'timestamp("1969-12-31T23:59:59.5Z")', "timestamp(0)"]
)
TIME_ZONES = st.sampled_from(['"UTC"', '"America/New_York"', '"Asia/Kathmandu"', '"-02:30"'])
ACCESSORS = st.sampled_from(
    [
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    ]
)
COMPARE = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
ORDER = st.sampled_from(["<", "<=", ">", ">="])
HAS = st.sampled_from(
    [
        *(
            "has(record.depth_m)",
            "has(record.status)",
            "has(sensors.salinity)",
            '("co2" in sensors)',
        ),
        *("has(zone.max_depth_m)", "has(zone.kind)", "has(zone.properties.level)"),
        *('("flag" in zone.properties)', "has(record.sequence)", "has(record.sensors.co2)"),
    ]
)


@cache
def texts(depth: int) -> SearchStrategy[str]:
    leaf = any_of(
        *TEXTS, "kind", "vehicle_id", "zone.kind", "zone.id", "record.status", TEXT_LITERALS
    )
    if depth == 0:
        return leaf
    t, n = texts(depth - 1), ints(0)
    return any_of(
        leaf,
        form("{} + {}", t, t),
        form("{}.lowerAscii()", t),
        form('{}.replace("o", {})', t, t),
        form("{}.substring({})", t, n),
        form("string({})", any_of(doubles(0), n, bools(0), times(0), durations(0))),
        form("{} ? {} : {}", bools(depth - 1), t, t),
        form('{{"auv": "a", "ok": "b"}}[{}]', t),
    )


@cache
def doubles(depth: int) -> SearchStrategy[str]:
    leaf = any_of(
        *NUMBERS, "zone.max_depth_m", "sensors.salinity", 'sensors["co2"]', "record.depth_m",
        DOUBLE_LITERALS,
    )  # fmt: skip
    if depth == 0:
        return leaf
    d = doubles(depth - 1)
    return any_of(
        leaf,
        form("{} {} {}", d, st.sampled_from("+-*/"), d),
        form("-({})", d),
        form("double({})", any_of(ints(depth - 1), texts(0), d)),
        form("double(zone.properties.level)"),
        form("math.{}({})", st.sampled_from(MATHS), d),
        form("math.{}({}, {})", st.sampled_from(["greatest", "least"]), d, d),
        form("math.{}([{}, {}, {}])", st.sampled_from(["greatest", "least"]), d, d, d),
        form("{} ? {} : {}", bools(depth - 1), d, d),
        form('{{"auv": 200.0, "ok": 1.5}}[{}]', texts(0)),
    )


@cache
def ints(depth: int) -> SearchStrategy[str]:
    leaf = any_of("sequence", "zone.version", "record.sequence", INT_LITERALS)
    if depth == 0:
        return leaf
    n = ints(depth - 1)
    return any_of(
        leaf,
        form("{} {} {}", n, st.sampled_from("+-*/%"), n),
        form("-({})", n),
        form("size({})", texts(depth - 1)),
        form("int({})", any_of(doubles(depth - 1), times(depth - 1), texts(0), n)),
        form("{} ? {} : {}", bools(depth - 1), n, n),
        form("{}.{}()", times(depth - 1), ACCESSORS),
        form("{}.{}({})", times(depth - 1), ACCESSORS, TIME_ZONES),
        form("{}.{}()", durations(depth - 1), ACCESSORS.filter(lambda name: name[-1] == "s")),
        form('{}.indexOf("k")', texts(0)),
        form("math.{}({})", st.sampled_from(["abs", "sign", "bitNot"]), n),
        form("math.{}({}, {})", st.sampled_from(BINARY), n, n),
        form("[{}, 1.0].filter(x, x > {}).size()", doubles(0), doubles(0)),
        form("[{}, 2, {}].map(x, x % 2 == 0, x + 1).size()", n, n),
    )


@cache
def times(depth: int) -> SearchStrategy[str]:
    if depth == 0:
        return any_of("timestamp", TIME_LITERALS)
    return any_of(
        times(0),
        form("{} {} {}", times(depth - 1), st.sampled_from("+-"), durations(depth - 1)),
        form("{} + {}", durations(depth - 1), times(depth - 1)),
        form("timestamp({})", any_of(ints(depth - 1), times(depth - 1))),
    )


@cache
def durations(depth: int) -> SearchStrategy[str]:
    if depth == 0:
        return DURATION_LITERALS
    return any_of(
        DURATION_LITERALS,
        form("{} {} {}", durations(depth - 1), st.sampled_from("+-"), durations(depth - 1)),
        form("{} - {}", times(depth - 1), times(depth - 1)),
        form("{} ? {} : {}", bools(depth - 1), durations(0), durations(0)),
    )


@cache
def bools(depth: int) -> SearchStrategy[str]:
    inner = max(depth - 1, 0)
    d, n, t = doubles(inner), ints(inner), texts(inner)
    leaf = any_of(
        form("{} {} {}", doubles(0), COMPARE, doubles(0)),
        form("{} {} {}", texts(0), COMPARE, texts(0)),
        form("{} {} {}", ints(0), COMPARE, ints(0)),
        HAS,
    )
    if depth == 0:
        return leaf
    b = bools(depth - 1)
    return any_of(
        leaf,
        form("{} && {}", b, b),
        form("{} || {}", b, b),
        form("!{}", b),
        form("{} ? {} : {}", b, b, b),
        form("{} {} {}", b, COMPARE, b),
        form("{} {} {}", d, COMPARE, d),
        form("{} {} {}", n, COMPARE, n),
        form("{} {} {}", d, ORDER, n),
        form("{} {} {}", n, ORDER, d),
        form("{} {} {}", t, COMPARE, t),
        form("{} {} {}", times(inner), COMPARE, times(inner)),
        form("{} {} {}", durations(inner), COMPARE, durations(inner)),
        form("{} in [{}, {}, 1.5]", d, d, n),
        form("{} in [{}, 2]", n, n),
        form('{} in [{}, "ok"]', t, t),
        form("{} in [{}]", b, b),
        form("{}.matches({})", t, any_of(PATTERNS, texts(0))),
        form("{}.{}({})", t, st.sampled_from(["contains", "startsWith", "endsWith"]), t),
        form("[1.5, 200.0].{}(x, {} {} x)", st.sampled_from(MACROS), d, COMPARE),
        form('["o", "apei"].{}(x, {}.contains(x) || {})', st.sampled_from(MACROS), t, b),
        form("[1, 2].exists(x, [2, 3].all(y, {} + x > y))", n),
        form("[{}, 1.0].{}(x, x > {})", d, st.sampled_from(MACROS), d),
        form('[{}, "ok"].{}(x, x.contains("o") && {})', t, st.sampled_from(MACROS), b),
        form("[{}, 1.0].map(x, x / {}).{}(y, y > 0.5)", d, d, st.sampled_from(MACROS)),
        form("[{}, 2].filter(x, {} / x > 1).{}(y, y > 0)", n, n, st.sampled_from(MACROS)),
        form("math.{}({})", st.sampled_from(["isNaN", "isInf", "isFinite"]), d),
        form("zone.properties.level {} {}", COMPARE, any_of(d, n)),
        form("{} {} zone.properties.level", any_of(d, n), COMPARE),
        form("zone.properties.flag {} {}", st.sampled_from(["&&", "||", "=="]), b),
    )


MACROS = ("exists", "all", "exists_one")
MATHS = ("abs", "ceil", "floor", "round", "trunc", "sign", "sqrt")
BINARY = ("greatest", "least", "bitAnd", "bitOr", "bitXor")

maybe_number = st.none() | st.sampled_from([0.0, -0.0, 1.5, 200.0, 199.9, -200.0, 1e300, 3.0])
maybe_text = st.none() | st.sampled_from(["", "ok", "okay", "1.5", "7", "é", "AUV", "x"])
records = st.fixed_dictionaries(
    {
        **dict.fromkeys(NUMBERS, maybe_number),
        **dict.fromkeys(TEXTS, maybe_text),
        "sensors": st.fixed_dictionaries(dict.fromkeys(SENSORS, maybe_number)),
        "vehicle_id": st.sampled_from(["a", "ok", "apei"]),
        "kind": st.sampled_from(KINDS),
        "body": st.sampled_from(BODIES),
        # Around the change of New York's clocks on 8 March 2026 at 07:00 UTC, and anywhere.
        "time_us": st.integers(1_772_952_000_000_000, 1_772_956_000_000_000)
        | st.integers(-(10**15), 10**16),
        "sequence": st.none() | st.sampled_from([0, 1, -7, 2**62, -(2**63) + 1, 2**63 - 1, 200]),
        "zone": st.integers(0, 2),
    }
)


def zone(zone_id: str, **fields: Any) -> Zone:
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    return Zone(id=zone_id, geometry={"type": "Polygon", "coordinates": [ring]}, **fields)


ZONES = (
    zone("ok", kind="apei", max_depth_m=200.0, properties={"level": 200, "flag": True}),
    zone("é", kind="x", version=7, properties={"level": 1.5, "flag": False}),
    zone("x", properties={"level": "1.5"}),
)
ZONE_FIELDS = ("id", "name", "kind", "body", "version", "max_depth_m")


def as_frame(rows: list[dict[str, Any]]) -> Frame:
    ids = ("a", "ok", "apei")

    def column(values: list[float | None]) -> Any:
        return np.array([np.nan if v is None else v for v in values])

    def text(values: list[str | None]) -> Texts:
        table = tuple(dict.fromkeys(v for v in values if v is not None))
        return Texts(
            np.array([-1 if v is None else table.index(v) for v in values], np.int32), table
        )

    sequence = [ABSENT_SEQUENCE if row["sequence"] is None else row["sequence"] for row in rows]
    return Frame(
        vehicle_ids=ids,
        vehicle=np.array([ids.index(row["vehicle_id"]) for row in rows], np.int32),
        time_us=np.array([row["time_us"] for row in rows], np.int64),
        kind=np.array([KINDS.index(row["kind"]) for row in rows], np.int8),
        body=np.array([BODIES.index(row["body"]) for row in rows], np.int8),
        numbers={name: column([row[name] for row in rows]) for name in NUMBERS},
        sensors={name: column([row["sensors"][name] for row in rows]) for name in SENSORS},
        texts={name: text([row[name] for row in rows]) for name in TEXTS},
        sequence=np.array(sequence, np.int64),
    )


def variables(row: dict[str, Any], *, in_zone: bool) -> dict[str, Any]:
    out = {k: v for k, v in row.items() if v is not None and k not in ("time_us", "zone")}
    out["sensors"] = {k: v for k, v in row["sensors"].items() if v is not None}
    out["record"] = dict(out)
    out["timestamp"] = EPOCH + timedelta(microseconds=row["time_us"])
    if in_zone:
        found = ZONES[row["zone"]]
        fields = {name: getattr(found, name) for name in ZONE_FIELDS}
        out["zone"] = {k: v for k, v in fields.items() if v is not None}
        out["zone"]["properties"] = found.properties
    return out


@pytest.mark.parametrize("in_zone", [True, False])
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(text=bools(3), rows=st.lists(records, min_size=1, max_size=6))
def test_every_row_is_judged_as_google_s_runtime_judges_the_record(
    text: str, rows: list[dict[str, Any]], *, in_zone: bool
) -> None:
    assume(len(text) < 2_000)
    try:
        condition = compile_expression(text)
    except ExpressionError as error:
        # A part without inputs that can have no value is refused at load.
        assume("has no value" not in str(error))
        assume("more than" not in str(error))
        raise
    frame = as_frame(rows)
    columns = Columns.of_records(frame)
    if in_zone:
        of_zone = np.array([row["zone"] for row in rows])
        columns = Columns.of_visits(frame, np.arange(len(rows)), ZoneTable(ZONES), of_zone)
    program = oracle().compile(text)
    codes = condition.judge(columns).tolist()
    for row, code in zip(rows, codes, strict=True):
        answer = program.eval(data=variables(row, in_zone=in_zone))
        if answer.type() == cel.Type.ERROR:
            assert code in (UNKNOWN, ERROR), f"{code} where CEL has {answer}"
        else:
            assert code == int(answer.plain_value()), f"{code} where CEL has {answer}"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=bools(3), rows=st.lists(records, min_size=1, max_size=4))
def test_an_error_is_told_only_where_a_record_with_all_fields_has_one(
    text: str, rows: list[dict[str, Any]]
) -> None:
    complete = [
        {
            k: (1.5 if k in NUMBERS else "ok" if k in TEXTS else 1) if v is None else v
            for k, v in row.items()
        }
        | {"sensors": {k: 1.5 if v is None else v for k, v in row["sensors"].items()}, "zone": 0}
        for row in rows
    ]
    try:
        condition = compile_expression(text)
    except ExpressionError:
        assume(False)
    frame = as_frame(complete)
    columns = Columns.of_visits(
        frame, np.arange(len(rows)), ZoneTable(ZONES), np.zeros(len(rows), np.intp)
    )
    codes = condition.judge(columns)
    program = oracle().compile(text)
    for row, code in zip(complete, codes.tolist(), strict=True):
        failed = program.eval(data=variables(row, in_zone=True)).type() == cel.Type.ERROR
        assert code == ERROR if failed else code <= TRUE


OTHER_NUMBERS = {"1.5": "2.5", "-200.0": "-3.0", "200.0": "199.9", "0.5": "1.0", "7": "5", "2": "3"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=bools(3), rows=st.lists(records, min_size=1, max_size=5))
def test_conditions_that_differ_in_numbers_are_judged_together_as_each_alone(
    text: str, rows: list[dict[str, Any]]
) -> None:
    number = r"(?<![\w.\"])-?\d+(?:\.\d+)?(?![\w.\"])"
    other = re.sub(number, lambda found: OTHER_NUMBERS.get(found[0], found[0]), text)
    try:
        conditions = [compile_expression(each) for each in (text, other, text)]
    except ExpressionError:
        assume(False)
    first = conditions[0]
    assume(first.parameters and all(c.shape == first.shape for c in conditions))
    numbers = Parameters.of([condition.parameters for condition in conditions])
    columns = Columns.of_visits(
        as_frame(rows),
        np.arange(len(rows)),
        ZoneTable(ZONES),
        np.array([row["zone"] for row in rows]),
    )
    with np.errstate(all="ignore"):
        together = first.judge_many(columns, numbers)
    assert together.tolist() == [condition.judge(columns).tolist() for condition in conditions]
    # Judged again on the same columns, what was kept of the others is not taken for one's own.
    with np.errstate(all="ignore"):
        again = first.judge_many(columns, numbers.take(slice(1, 2)))
    assert again.tolist() == together[1:2].tolist()
