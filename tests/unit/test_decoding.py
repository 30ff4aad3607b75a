"""The decoder: shapes of messages, places of rejects, protection, learning."""

import json
from typing import Any

import numpy as np
import pytest

from schemas.decoding import Decoded, TelemetryDecoder
from schemas.decoding.layout import RULES, Layout
from schemas.frame import ABSENT_SEQUENCE, KINDS
from schemas.message import Message, Reject


def line(number: int, **fields: Any) -> bytes:
    return json.dumps({"vehicle_id": f"v{number}", "timestamp": number} | fields).encode()


def decode(*bodies: bytes, **limits: int) -> Decoded:
    return TelemetryDecoder(**limits).decode([Message(body, "source") for body in bodies])


def vehicles(result: Decoded) -> list[str]:
    if result.frame is None:
        return []
    return [result.frame.vehicle_ids[code] for code in result.frame.vehicle]


def places(result: Decoded) -> list[str]:
    return [reject.origin for reject in result.rejects]


def test_all_shapes_of_messages_come_into_one_frame_in_order() -> None:
    result = decode(
        line(1),
        b"[" + line(2) + b", " + line(3) + b"]",
        line(4) + b"\r\n\r\n" + line(5) + b"\n",
        b"\xef\xbb\xbf \n" + line(6),
        b"[]",
        b'{\n "vehicle_id": "v7",\n "timestamp": 7\n}',
        b"[\n" + line(8) + b",\n" + line(9) + b"\n]\n",
        line(10) + b"\n[" + line(11) + b"," + line(12) + b"]",
    )
    assert vehicles(result) == [f"v{n}" for n in range(1, 13)]
    assert result.frame is not None
    assert result.frame.time_us.tolist() == [n * 1_000_000 for n in range(1, 13)]
    assert result.rejects == []


def test_columns_say_what_is_absent() -> None:
    frame = decode(line(1, depth=5, mission_id="m"), line(2, sequence=7, o2=1.5)).frame
    assert frame is not None
    assert list(frame.numbers) == ["depth_m"]
    assert np.isnan(frame.numbers["depth_m"]).tolist() == [False, True]
    assert frame.texts["mission_id"][1] is None
    assert frame.sequence is not None
    assert frame.sequence.tolist() == [ABSENT_SEQUENCE, 7]
    assert np.isnan(frame.sensors["o2"]).tolist() == [True, False]
    assert KINDS[frame.kind[0]] == "vehicle"


def test_a_bad_record_is_rejected_alone_with_its_bytes_and_place() -> None:
    bad = line(2, latitude=95.2, longitude=0)
    body = b"\n".join([line(1), bad, b"", b'{"vehicle_id": "v3", ', line(4)])
    result = TelemetryDecoder().decode([Message(body + b"\n", "file:a.ndjson", first_line=100)])
    assert vehicles(result) == ["v1", "v4"]
    limit, malformed = result.rejects
    assert limit == Reject("latitude: 95.2 is above 90", "latitude", bad, "file:a.ndjson:101")
    assert malformed.reason.startswith("malformed JSON: ")
    assert malformed.raw == b'{"vehicle_id": "v3",'
    assert malformed.origin == "file:a.ndjson:103"


@pytest.mark.parametrize(
    "bad",
    [
        b'{"vehicle_id": "v2", "timestamp": NaN}',
        b'{"vehicle_id": "v\xff", "timestamp": 2}',
        b'{"vehicle_id": "v2", "timestamp": 02}',
        b'{"vehicle_id": "v2", "timestamp": 2, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'"a , [ string"',
        b"7",
        b"[[1]]",
        b"",
    ],
)
def test_a_bad_element_of_an_array_is_rejected_alone(bad: bytes) -> None:
    result = decode(b"[ " + line(1) + b", " + bad + b" , " + line(3) + b"]")
    assert vehicles(result) == ["v1", "v3"]
    assert [reject.raw for reject in result.rejects] == [bad]
    assert places(result) == ["source[1]"]


def test_a_record_over_several_lines_is_one_record_even_if_it_is_wrong() -> None:
    wrong = b'{\n "vehicle_id": "v1",\n "timestamp": 1,\n "depth_m": NaN\n}'
    result = decode(wrong, wrong.replace(b"NaN", b'2, "x":\n{}'))
    assert vehicles(result) == ["v1"]
    assert [reject.raw for reject in result.rejects] == [wrong]
    assert result.rejects[0].reason == "depth_m: nan is not finite"


def test_places_name_line_and_element_where_there_are_several() -> None:
    assert places(decode(b"x")) == ["source"]
    assert places(decode(line(1) + b"\nx\n\n[1," + line(2) + b", 2]")) == [
        "source:2",
        "source:4[0]",
        "source:4[2]",
    ]


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
def test_an_empty_message_is_rejected(body: bytes) -> None:
    result = decode(line(1), body, line(2))
    assert vehicles(result) == ["v1", "v2"]
    assert [reject.reason for reject in result.rejects] == ["empty message or array element"]


def test_two_records_on_one_line_are_malformed_wherever_lines_are_cut() -> None:
    halves = (b'{"vehicle_id": "v1",', b'"timestamp": 1} ' + line(2))
    assert vehicles(decode(*halves)) == []
    assert len(decode(*halves).rejects) == 2
    assert vehicles(decode(line(1) + line(2) + b"\n\n" + line(3))) == ["v3"]
    assert vehicles(decode(line(1), line(2) + line(3), b"")) == ["v1"]
    assert vehicles(decode(b"", line(1), line(2) + line(3))) == ["v1"]
    nested = b'{"vehicle_id": "v1", "timestamp": 1, "x": [{},\n{}]}'
    assert vehicles(decode(nested + b"\n" + line(2) + line(3))) == []


def test_a_broken_array_loses_no_line_that_is_a_record() -> None:
    result = decode(b"[\n" + line(1) + b"\n" + line(2))
    assert vehicles(result) == ["v1", "v2"]
    assert [reject.raw for reject in result.rejects] == [b"["]
    assert len(decode(b"[" + line(1) + b", " + line(2)).rejects) == 1


def test_a_message_beyond_its_bounds_is_one_reject_with_the_beginning_of_its_bytes() -> None:
    three = [line(1), line(2), line(3)]
    for body in (b"\n".join(three), b"[" + b",".join(three) + b"]", b"\n".join([*three, b"x"])):
        result = decode(line(7), body, line(8), max_records=2)
        assert vehicles(result) == ["v7", "v8"]
        assert [r.reason for r in result.rejects] == ["message of more than 2 records"]
    long = line(1, note="x" * 10_000)
    result = decode(line(7), long, line(8), max_message_bytes=9_999)
    assert vehicles(result) == ["v7", "v8"]
    assert result.rejects == [
        Reject("message of more than 9999 bytes", "", long[:4096], "source"),
    ]


def test_nesting_is_bounded_the_same_whatever_was_learnt() -> None:
    def nested(levels: int) -> bytes:
        return line(1, x=json.loads("[" * levels + "]" * levels))

    decoder = TelemetryDecoder(max_nesting=5)
    for _ in range(2):
        result = decoder.decode([Message(nested(4), ""), Message(nested(5), "")])
        assert vehicles(result) == ["v1"]
        assert [r.reason for r in result.rejects] == ["nested deeper than 5 levels"]


def test_keys_beyond_what_is_learnt_are_decoded_all_the_same() -> None:
    decoder = TelemetryDecoder(max_keys=4)
    records = [line(n, **{f"s{n}": n}) for n in range(20)]
    frame = decoder.decode([Message(b"\n".join(records), "")]).frame
    assert frame is not None
    assert frame.sensors.keys() == {f"s{n}" for n in range(20)}
    assert [frame.record(n)["sensors"] for n in range(20)] == [{f"s{n}": n} for n in range(20)]


def test_a_layout_learns_only_what_can_be_a_struct_and_has_room() -> None:
    layout = Layout(["a"])
    assert layout.knowing(["a"], 9) is layout
    assert layout.knowing(['a"b', "\ud800", "a\nb"], 9) is layout
    assert layout.knowing(["b", "c"], 2) is layout
    assert layout.knowing(["b", 'a"b'], 9).keys == ("a", "b")


def test_the_rules_of_columns_are_read_from_the_model() -> None:
    assert (RULES["latitude"].low, RULES["latitude"].high) == (-90, 90)
    assert RULES["longitude"].turn is not None
    assert RULES["battery_pct"].names == ("battery_pct", "battery", "battery_level")
    assert RULES["vehicle_id"].max_length == 64
    assert RULES["vehicle_id"].pattern.fullmatch("a b") is None
    assert [name for name, rule in RULES.items() if rule.base is int] == ["sequence"]


def test_invented_sensor_names_are_bounded() -> None:
    bodies = [line(n, sensors={f"s{n}-{k}": k for k in range(2)}) for n in range(200)]
    result = decode(*bodies, max_sensor_cells=300 * 200)
    assert vehicles(result) == [f"v{n}" for n in range(150)]
    assert result.frame is not None
    assert len(result.frame.sensors) == 300
    limit = "sensors: more than 300 different names in one batch"
    assert {(r.reason, r.field) for r in result.rejects} == {(limit, "sensors")}
    assert places(decode(*bodies)) == []
