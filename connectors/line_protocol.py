"""InfluxDB line protocol, written from columns.

Source: the line protocol reference of InfluxDB v2 and the corpus of influxdata/line-protocol, which
the tests run. What a name cannot hold there (control characters, a backslash at its end) becomes
``_``.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.frame import BODIES, KINDS, Floats, Frame, Texts

Value = float | int | str | bool

INTEGER_RANGE: Final = range(-(2**63), 2**63)

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]|\\$")
_encode: Final = msgspec.json.Encoder().encode


def line(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time: int
) -> bytes:
    """One point as a line without its end; ``time`` in the precision the line is sent with.

    Raises:
        ValueError: no field, an empty name or tag, a number that is not finite or beyond 64 bits.
    """
    if not fields:
        raise ValueError(f"`{measurement}`: a point needs at least one field")
    parts = [_measurement(measurement)]
    parts += [_name(key) + b"=" + _name(value) for key, value in tags.items()]
    written = [_name(key) + b"=" + _value(value) for key, value in fields.items()]
    return b",".join(parts) + b" " + b",".join(written) + b" %d" % time


def frame_lines(measurement: str, frame: Frame, texts: Iterable[str]) -> list[bytes]:
    """The records of a frame as points, in order: numbers, sensors and the text columns ``texts``.

    Tags are ``vehicle_id``, ``kind``, ``body``; time in microseconds. A field that is absent in a
    record is absent in its line, and a record without any field has no line. A sensor's field is
    ``sensors.<name>``.
    """
    if not len(frame):
        return []
    columns = [_number_column(_name(key), column) for key, column in frame.numbers.items()]
    columns += [
        _number_column(b"sensors." + _name(key), column) for key, column in frame.sensors.items()
    ]
    columns += [_text_column(_name(key), frame.texts[key]) for key in texts if key in frame.texts]
    # Each column is one piece a row: ``,key=value`` or nothing, so a row is the pieces joined.
    rows = map(b"".join, zip(*columns, strict=True)) if columns else iter(())
    times = _encode(frame.time_us.tolist())[1:-1].split(b",")
    return [
        head + fields[1:] + b" " + time
        for head, fields, time in zip(_heads(measurement, frame), rows, times, strict=False)
        if fields
    ]


def _heads(measurement: str, frame: Frame) -> list[bytes]:
    """Measurement and tags of each row, with the blank behind them."""
    # One number for each (vehicle, kind, body), so that each is written only once.
    number = (frame.vehicle.astype(np.int64) * len(KINDS) + frame.kind) * len(BODIES) + frame.body
    present, place = np.unique(number, return_inverse=True)
    written = []
    for one in present.tolist():
        vehicle_kind, body = divmod(one, len(BODIES))
        vehicle, kind = divmod(vehicle_kind, len(KINDS))
        tags = {"vehicle_id": frame.vehicle_ids[vehicle], "kind": KINDS[kind], "body": BODIES[body]}
        pairs = [_name(key) + b"=" + _name(value) for key, value in tags.items()]
        written.append(b",".join([_measurement(measurement), *pairs]) + b" ")
    return _looked_up(written, place)


def _number_column(key: bytes, column: Floats) -> list[bytes]:
    # The JSON encoder writes a whole column at once, shortest form that reads back equal, NaN as
    # null; all that follows is bytes in C. A number holds no comma, a key no end of line.
    text = _encode(column.tolist())[1:-1]
    begin = b"," + key + b"="
    pieces = begin + text.replace(b",", b"\n" + begin)
    return pieces.replace(begin + b"null", b"").split(b"\n")


def _text_column(key: bytes, text: Texts) -> list[bytes]:
    # The last entry serves code -1: absent.
    written = [b"," + key + b"=" + _quoted(value) for value in text.values]
    return _looked_up([*written, b""], text.codes)


def _looked_up(table: list[bytes], index: NDArray[np.integer]) -> list[bytes]:
    return [table[i] for i in index.tolist()]


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        if value not in INTEGER_RANGE:
            raise ValueError(f"{value}: does not fit in 64 bits")
        return b"%di" % value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value}: is no number InfluxDB can keep")
        return repr(value).encode()
    return _quoted(value)


def _quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _measurement(text: str) -> bytes:
    return _fit(text).replace(",", r"\,").replace(" ", r"\ ").encode()


def _name(text: str) -> bytes:
    """A tag key, tag value or field key."""
    return _fit(text).replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ").encode()


def _fit(text: str) -> str:
    if not text:
        raise ValueError("an empty name or tag cannot be written")
    return _UNFIT.sub("_", text)
