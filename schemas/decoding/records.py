"""Single records, judged by the pydantic model: what the fast path cannot vouch for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from schemas.decoding.columns import encoded, floats, nesting
from schemas.decoding.reasons import rejection
from schemas.frame import ABSENT_SEQUENCE, BODIES, KINDS, NUMBER_FIELDS, TEXT_FIELDS, Frame
from schemas.telemetry import Telemetry, shown


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judged record: either ``telemetry``, or the ``reason`` why not and the ``field`` at fault.

    ``keys`` are the JSON keys of an accepted record.
    """

    telemetry: Telemetry | None = None
    keys: tuple[str, ...] = ()
    reason: str = ""
    field: str = ""


def judge(raw: bytes, max_nesting: int) -> Verdict:
    """Decode and validate the bytes of one record; whatever is wrong becomes the reason."""
    if not raw:
        return Verdict(reason="empty message or array element")
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    try:
        record = json.loads(raw.decode(), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        return Verdict(reason=_malformed(error, max_nesting))
    if not isinstance(record, dict):
        return Verdict(reason=f"{shown(record)} is not an object")
    if nesting(record) > max_nesting:
        return Verdict(reason=_too_deep(max_nesting))
    return _validated(record, constants)


def _malformed(error: ValueError | RecursionError, max_nesting: int) -> str:
    match error:
        case RecursionError():
            return _too_deep(max_nesting)
        case UnicodeDecodeError():
            return f"not UTF-8: {error.object[error.start]:#04x} at byte {error.start}"
        case json.JSONDecodeError():
            return f"malformed JSON: {error.msg} at character {error.pos}"
        case _:  # the interpreter's limit on the digits of an integer
            return "malformed JSON: a number of thousands of digits"


def _validated(record: dict[str, Any], constants: Sequence[str]) -> Verdict:
    try:
        telemetry = Telemetry.model_validate(record)
    except ValidationError as error:
        field, reason = rejection(error)
        return Verdict(reason=reason, field=field)
    if constants:
        return Verdict(reason=f"malformed JSON: {constants[0]} is no number")
    return Verdict(telemetry=telemetry, keys=tuple(record))


def _too_deep(max_nesting: int) -> str:
    return f"nested deeper than {max_nesting} levels"


def frame_of(records: Sequence[Telemetry]) -> Frame:
    """The frame of validated records, in their order."""
    vehicles = encoded([record.vehicle_id for record in records])
    names = dict.fromkeys(name for record in records for name in record.sensors)
    sequence = [ABSENT_SEQUENCE if r.sequence is None else r.sequence for r in records]
    return Frame(
        vehicle_ids=vehicles.values,
        vehicle=vehicles.codes,
        time_us=np.array([record.time_us for record in records], np.int64),
        kind=np.array([KINDS.index(record.kind) for record in records], np.int8),
        body=np.array([BODIES.index(record.body) for record in records], np.int8),
        numbers={n: floats([getattr(r, n) for r in records]) for n in NUMBER_FIELDS},
        sensors={name: floats([r.sensors.get(name) for r in records]) for name in names},
        texts={name: encoded([getattr(r, name) for r in records]) for name in TEXT_FIELDS},
        sequence=np.array(sequence, np.int64),
    )
