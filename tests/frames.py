"""Frames from plain rows, for tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from schemas.frame import BODIES, KINDS, NUMBER_FIELDS, TEXT_FIELDS, Frame, Texts


def frame_of(records: Sequence[Mapping[str, Any]], part: str = "") -> Frame:
    """A frame of a part of records with ``vehicle_id``, ``time_s`` and any canonical fields."""
    vehicles = tuple(dict.fromkeys(r["vehicle_id"] for r in records))
    return Frame(
        vehicle_ids=vehicles,
        vehicle=np.array([vehicles.index(r["vehicle_id"]) for r in records], np.int32),
        time_us=np.array([round(r["time_s"] * 1e6) for r in records], np.int64),
        kind=np.array([KINDS.index(r.get("kind", "auv")) for r in records], np.int8),
        body=np.array([BODIES.index(r.get("body", "earth")) for r in records], np.int8),
        numbers={
            name: np.array([r.get(name) for r in records], np.float64)
            for name in NUMBER_FIELDS
            if any(name in r for r in records)
        },
        sensors={
            name: np.array([r.get("sensors", {}).get(name) for r in records], np.float64)
            for name in dict.fromkeys(n for r in records for n in r.get("sensors", {}))
        },
        texts={
            name: _texts([r.get(name) for r in records])
            for name in TEXT_FIELDS
            if any(name in r for r in records)
        },
        part=part,
    )


def _texts(values: list[str | None]) -> Texts:
    table = tuple(dict.fromkeys(v for v in values if v is not None))
    codes = [-1 if v is None else table.index(v) for v in values]
    return Texts(np.array(codes, np.int32), table)
