"""Decoded rows to the columns of a frame, with every limit of the model checked on columns.

Each function marks the rows it cannot vouch for in ``refused``, (n,) bool: pydantic judges those.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, cast

import numpy as np

from schemas.decoding.layout import KNOWN_KEYS, RULES, FieldRule, Layout
from schemas.frame import (
    ABSENT_SEQUENCE,
    BODIES,
    KINDS,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    Bools,
    Codes,
    Floats,
    Frame,
    Ints,
    Longs,
    Texts,
)
from schemas.telemetry import (
    DEFAULT_KIND,
    KIND_OF_ID,
    KNOT_MPS,
    MAX_SENSORS,
    SPEED_TOLERANCE_MPS,
    default_body,
    is_sensor_name,
)
from schemas.timestamps import times_us

_DEFAULT_BODY: Final[Codes] = np.array([BODIES.index(default_body(k)) for k in KINDS], np.int8)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a record and a frame may hold: levels of nesting, different sensor names."""

    nesting: int
    sensor_names: int


def frame_of_rows(layout: Layout, rows: Sequence[Any], bounds: Bounds) -> tuple[Frame, Bools]:
    """The frame of the decoded rows, and which of them ((n,) bool) pydantic must judge.

    What the frame says in those rows means nothing.
    """
    refused = np.zeros(len(rows), np.bool_)
    vehicle, kind = _vehicles(layout, rows, refused)
    kind = _choices(layout.values(rows, "kind"), KINDS, kind, refused)
    body = _choices(layout.values(rows, "body"), BODIES, _DEFAULT_BODY[kind], refused)
    times, valid = times_us(layout.values(rows, "timestamp") or [None] * len(rows))
    refused |= ~valid
    frame = Frame(
        vehicle_ids=vehicle.values,
        vehicle=vehicle.codes,
        time_us=times,
        kind=kind,
        body=body,
        numbers=_numbers(layout, rows, refused),
        sensors=_sensors(layout, rows, bounds, refused),
        texts=_texts(layout, rows, refused),
        sequence=_sequence(layout.values(rows, "sequence")),
    )
    return frame, refused


def floats(values: Sequence[float | None]) -> Floats:
    """Numbers as a column, NaN for None; it may be read-only."""
    try:
        # Half the time of np.array; it refuses None.
        return np.frombuffer(struct.pack(f"{len(values)}d", *values), np.float64)
    except struct.error:
        return np.array(values, np.float64)


def encoded(values: Sequence[str | None]) -> Texts:
    """Strings as a dictionary-encoded column, -1 for None; values in order of appearance."""
    distinct = dict.fromkeys(values)
    distinct.pop(None, None)
    table = tuple(cast("dict[str, None]", distinct))
    code: dict[str | None, int] = {value: index for index, value in enumerate(table)}
    code[None] = -1
    return Texts(np.fromiter(map(code.__getitem__, values), np.int32, len(values)), table)


def tidy(frame: Frame) -> Frame:
    """The same frame without columns that are absent in every row, names in a fixed order."""
    sequence = frame.sequence
    if sequence is not None and (sequence == ABSENT_SEQUENCE).all():
        sequence = None
    return replace(
        frame,
        numbers=_present(frame.numbers, [n for n in NUMBER_FIELDS if n in frame.numbers]),
        sensors=_present(frame.sensors, sorted(frame.sensors)),
        texts={
            name: frame.texts[name]
            for name in TEXT_FIELDS
            if name in frame.texts and (frame.texts[name].codes >= 0).any()
        },
        sequence=sequence,
    )


def _present(columns: dict[str, Floats], names: Sequence[str]) -> dict[str, Floats]:
    return {name: columns[name] for name in names if not np.isnan(columns[name]).all()}


def _vehicles(layout: Layout, rows: Sequence[Any], refused: Bools) -> tuple[Texts, Codes]:
    """Vehicle of each row, and the kind that the name of its id says."""
    rule = RULES["vehicle_id"]
    columns = {key: v for key in rule.names if (v := layout.values(rows, key)) is not None}
    # All names share one table: the columns are encoded end to end and cut apart again.
    ids = encoded(list(chain.from_iterable(columns.values())))
    parts = ids.codes.reshape(len(columns), len(rows))
    vehicle: Ints = np.full(len(rows), -1, np.int32)
    kind: Codes = np.full(len(rows), KINDS.index(DEFAULT_KIND), np.int8)
    for key, codes in reversed(list(zip(columns, parts, strict=True))):
        refused |= (codes >= 0) & (vehicle >= 0) & (codes != vehicle)
        vehicle = np.where(codes >= 0, codes, vehicle)
        if key in KIND_OF_ID:
            kind[codes >= 0] = KINDS.index(KIND_OF_ID[key])
    vehicles = Texts(vehicle, ids.values)
    refused |= vehicle < 0
    _check_texts(vehicles, rule, refused)
    return vehicles, kind


def _choices(
    values: list[str | None] | None, options: Sequence[str], default: Codes, refused: Bools
) -> Codes:
    if values is None:
        return default
    texts = encoded(values)
    # Code in ``options`` of each distinct value, -1 for what is none; the last entry serves the
    # absent ones, whose code is -1.
    option = {name: code for code, name in enumerate(options)}
    lookup = np.array([*(option.get(value, -1) for value in texts.values), -1], np.int8)
    codes = lookup[texts.codes]
    refused |= (codes < 0) & (texts.codes >= 0)
    return np.where(codes < 0, default, codes)


def _texts(layout: Layout, rows: Sequence[Any], refused: Bools) -> dict[str, Texts]:
    columns = {}
    for name in TEXT_FIELDS:
        values = layout.values(rows, name)
        if values is not None:
            columns[name] = encoded(values)
            _check_texts(columns[name], RULES[name], refused)
    return columns


def _check_texts(texts: Texts, rule: FieldRule, refused: Bools) -> None:
    values = texts.values
    lengths = set(map(len, values)) or {rule.min_length}
    fits = min(lengths) >= rule.min_length and max(lengths) <= rule.max_length
    # The patterns allow a set of characters, so what is joined matches where each one does.
    if fits and (not values or rule.pattern.fullmatch("".join(values))):
        return
    broken = [
        not (rule.min_length <= len(v) <= rule.max_length and rule.pattern.fullmatch(v))
        for v in values
    ]
    refused |= np.array([*broken, False])[texts.codes]  # the last entry serves code -1


def _sequence(values: list[int | None] | None) -> Longs | None:
    if values is None:
        return None
    return np.array([ABSENT_SEQUENCE if v is None else v for v in values], np.int64)


def _numbers(layout: Layout, rows: Sequence[Any], refused: Bools) -> dict[str, Floats]:
    columns: dict[str, Floats] = {}
    for field, rule in RULES.items():
        if rule.base is not float:
            continue
        for name in rule.names:
            values = layout.values(rows, name)
            if values is not None:
                columns[field] = _agreed(columns.get(field), floats(values), refused)
        if field in columns:
            column = columns[field]
            refused |= (column < rule.low) | (column > rule.high)
            columns[field] = rule.turn(column) if rule.turn else column
    _positions(columns, refused)
    _knots(columns, refused)
    return columns


def _agreed(first: Floats | None, second: Floats, refused: Bools) -> Floats:
    if first is None:
        return second
    refused |= ~np.isnan(first) & ~np.isnan(second) & (first != second)
    return np.where(np.isnan(first), second, first)


def _positions(columns: dict[str, Floats], refused: Bools) -> None:
    absent = np.full(len(refused), np.nan)
    latitude, longitude = columns.get("latitude", absent), columns.get("longitude", absent)
    refused |= np.isnan(latitude) != np.isnan(longitude)


def _knots(columns: dict[str, Floats], refused: Bools) -> None:
    speed_kn = columns.pop("speed_kn", None)
    if speed_kn is None:
        return
    speed_mps = speed_kn * KNOT_MPS
    told = columns.get("speed_mps", speed_mps)
    refused |= np.abs(told - speed_mps) > SPEED_TOLERANCE_MPS
    columns["speed_mps"] = np.where(np.isnan(told), speed_mps, told)


def _sensors(
    layout: Layout, rows: Sequence[Any], bounds: Bounds, refused: Bools
) -> dict[str, Floats]:
    columns = _unknown(layout, rows, bounds, refused)
    records = [record or {} for record in layout.values(rows, "sensors") or ()]
    names = dict.fromkeys(chain.from_iterable(records))
    if len(columns.keys() | names) > bounds.sensor_names:
        refused[:] = True
        return {}
    for name in names:
        named = _named(records, name)
        if not is_sensor_name(name):
            refused |= ~np.isnan(named)
        elif name in columns:
            columns[name] = np.where(np.isnan(named), columns[name], named)
        else:
            columns[name] = named
    if len(columns) > MAX_SENSORS:
        refused |= sum(~np.isnan(column) for column in columns.values()) > MAX_SENSORS
    return columns


def _named(records: Sequence[dict[str, float | None]], name: str) -> Floats:
    try:
        return floats([record[name] for record in records])
    except KeyError:
        return floats([record.get(name) for record in records])


def _unknown(
    layout: Layout, rows: Sequence[Any], bounds: Bounds, refused: Bools
) -> dict[str, Floats]:
    columns = {}
    for key in layout.keys:
        values = None if key in KNOWN_KEYS else layout.values(rows, key)
        if values is not None:
            readings = _readings(values, bounds.nesting, refused)
            if is_sensor_name(key):
                columns[key] = readings
    return columns


def _readings(values: list[Any], max_nesting: int, refused: Bools) -> Floats:
    """The numbers among the values of an unknown field; whatever else it holds is dropped."""
    kinds = set(map(type, values))
    if kinds <= {float, type(None)}:
        return floats(values)
    if dict in kinds or list in kinds:
        deep = [row for row, value in enumerate(values) if nesting(value) >= max_nesting]
        refused[deep] = True
    return floats([value if type(value) is float else None for value in values])


def nesting(value: object) -> int:
    """How many objects and arrays are open at the deepest place of a JSON value."""
    depth = 0
    level: list[Any] = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
