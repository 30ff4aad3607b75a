"""Line protocol: the corpus of influxdata, and our columns read back by a reader it vouches for."""

import base64
import gzip
import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.line_protocol import frame_lines, line
from schemas.frame import NUMBER_FIELDS
from tests.frames import frame_of
from tests.line_protocol import LineError, Point, Unsigned, parse
from tests.outside import DATA, MISSING


@cache
def corpus(part):
    if DATA is None:
        pytest.skip(MISSING)
    path = DATA / "suite-influx-line-protocol" / "corpus.json.gz"
    cases = json.loads(gzip.decompress(path.read_bytes()))[part]
    return [(case["input"], case["output"]) for case in cases.values()]


def value_of(field):
    [(kind, value)] = field["value"].items()
    if isinstance(value, dict):
        value = base64.b64decode(value["binary"]).decode()
    return {"float": float, "uint": Unsigned}.get(kind, lambda same: same)(value)


def point_of(given):
    return Point(
        given["name"],
        {tag["key"]: tag["value"] for tag in given["tags"]},
        {field["key"]: value_of(field) for field in given["fields"]},
        given["time"],
    )


def test_the_reader_takes_and_refuses_what_the_corpus_does():
    for given_, expected in corpus("decode"):
        text = given_["text"]
        raw = text.encode() if isinstance(text, str) else base64.b64decode(text["binary"])
        if "error" in expected:
            with pytest.raises(LineError):
                parse(raw)
            continue
        found = parse(raw)
        wanted = [point_of(point) for point in expected["result"]]
        assert [(p.measurement, p.tags, p.fields) for p in found] == [
            (p.measurement, p.tags, p.fields) for p in wanted
        ], raw
        if given_["precision"] == "1ns":
            assert [given_["defaultTime"] if p.time is None else p.time for p in found] == [
                p.time for p in wanted
            ]


def test_a_line_says_what_the_line_of_the_corpus_says():
    for given_, expected in corpus("encode"):
        point = point_of(given_["point"])
        words = (point.measurement, point.tags, point.fields, point.time)
        if "error" in expected:
            with pytest.raises(ValueError, match="empty"):
                line(*words)
        else:
            assert parse(line(*words)) == parse(expected["result"].encode()) == [point]


# Names without what becomes `_`: two of those could become the same one.
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(
    lambda name: not name.endswith("\\")
)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=8),
)


@given(names, st.dictionaries(names, names), st.dictionaries(names, values, min_size=1))
def test_any_point_is_one_valid_line_with_its_values(measurement, tags, fields):
    [point] = parse(line("m" + measurement, tags, fields, 7))
    assert list(point.fields.values()) == list(fields.values()) or len(point.fields) < len(fields)
    assert point.time == 7
    if all(name.isprintable() and name[-1] != "\\" for name in (*tags, *tags.values(), *fields)):
        assert (point.tags, point.fields) == (tags, fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "at least one field"),
        ({"x": float("nan")}, "no number"),
        ({"x": float("inf")}, "no number"),
        ({"x": 2**63}, "64 bits"),
        ({"": 1}, "empty name"),
    ],
)
def test_what_influxdb_cannot_keep_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        line("m", {}, fields, 0)


numbers = st.floats(-1e300, 1e300)
records = st.lists(
    st.fixed_dictionaries(
        {
            "vehicle_id": st.sampled_from(["auv-1", "auv-2", "r:3"]),
            "time_s": st.integers(0, 2_000_000_000),
            "kind": st.sampled_from(["auv", "rover"]),
            "body": st.sampled_from(["earth", "mars"]),
        },
        optional={
            **dict.fromkeys(NUMBER_FIELDS[:4], numbers),
            "status": st.text(max_size=5),
            "sensors": st.dictionaries(st.sampled_from(["salinity", "a=b, c", "null"]), numbers),
        },
    ),
    max_size=12,
)


@given(records)
def test_the_lines_of_a_frame_hold_the_fields_that_each_record_has(rows):
    lines = frame_lines("telemetry", frame_of(rows), ["status"])
    expected = []
    for row in rows:
        fields = {name: row[name] for name in (*NUMBER_FIELDS, "status") if name in row}
        fields |= {f"sensors.{name}": number for name, number in row.get("sensors", {}).items()}
        tags = {name: row[name] for name in ("vehicle_id", "kind", "body")}
        if fields:
            expected.append(Point("telemetry", tags, fields, row["time_s"] * 1_000_000))
    assert [parse(one) for one in lines] == [[point] for point in expected]


def test_a_value_of_text_cannot_break_out_of_its_field():
    evil = 'ok",depth_m=null 1\nm x=1'
    rows = [{"vehicle_id": "v", "time_s": 1, "depth_m": n, "status": evil} for n in (None, 2.0)]
    points = parse(b"\n".join(frame_lines("t", frame_of(rows), ["status"])))
    assert [point.fields for point in points] == [
        {"status": evil},
        {"depth_m": 2.0, "status": evil},
    ]


def test_numbers_read_back_exactly():
    column = np.random.default_rng(5).normal(0, 1e8, 500)
    rows = [{"vehicle_id": "v", "time_s": 1, "depth_m": number} for number in column.tolist()]
    points = parse(b"\n".join(frame_lines("t", frame_of(rows), [])))
    assert [point.fields["depth_m"] for point in points] == column.tolist()
