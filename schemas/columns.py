"""Frames on the wire: the columns of a frame as JSON lists, for topics between flows."""

from typing import Any

import numpy as np

from schemas.frame import BODIES, KINDS, Floats, Frame, Texts

Columns = dict[str, Any]


def to_columns(frame: Frame) -> Columns:
    """The frame as JSON types; null = absent. ``from_columns`` gives an equal frame back."""
    return {
        "vehicle_ids": list(frame.vehicle_ids),
        "vehicle": frame.vehicle.tolist(),
        "time_us": frame.time_us.tolist(),
        "kind": [KINDS[code] for code in frame.kind.tolist()],
        "body": [BODIES[code] for code in frame.body.tolist()],
        "numbers": {name: _listed(column) for name, column in frame.numbers.items()},
        "sensors": {name: _listed(column) for name, column in frame.sensors.items()},
        "texts": {
            name: {"values": list(text.values), "codes": text.codes.tolist()}
            for name, text in frame.texts.items()
        },
        "sequence": None if frame.sequence is None else frame.sequence.tolist(),
        **({"part": frame.part} if frame.part else {}),
    }


def from_columns(columns: Columns) -> Frame:
    """The frame of ``to_columns``; raises KeyError, TypeError or ValueError on anything else."""
    frame = Frame(
        vehicle_ids=tuple(columns["vehicle_ids"]),
        vehicle=np.array(columns["vehicle"], np.int32),
        time_us=np.array(columns["time_us"], np.int64),
        kind=np.array([KINDS.index(name) for name in columns["kind"]], np.int8),
        body=np.array([BODIES.index(name) for name in columns["body"]], np.int8),
        numbers={n: np.array(c, np.float64) for n, c in columns["numbers"].items()},
        sensors={n: np.array(c, np.float64) for n, c in columns["sensors"].items()},
        texts={
            name: Texts(np.array(text["codes"], np.int32), tuple(text["values"]))
            for name, text in columns["texts"].items()
        },
        sequence=None if columns["sequence"] is None else np.array(columns["sequence"], np.int64),
        part=str(columns.get("part", "")),
    )
    lengths = {len(frame.time_us), len(frame.kind), len(frame.body), len(frame)}
    lengths |= {len(column) for column in (*frame.numbers.values(), *frame.sensors.values())}
    lengths |= {len(text.codes) for text in frame.texts.values()}
    if len(lengths) != 1 or frame.vehicle.max(initial=0) >= max(len(frame.vehicle_ids), 1):
        raise ValueError("columns of a frame do not fit together")
    return frame


def _listed(column: Floats) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 (NaN)
