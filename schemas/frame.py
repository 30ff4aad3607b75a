"""The frame: a columnar micro-batch of telemetry, the item that moves through every dataflow.

A frame holds n records (1 to about 20,000) of any number of vehicles as numpy columns. Row i of
every column belongs to record i; rows are in arrival order.

Missing values are explicit and never a number somebody could mean: NaN in a float column, -1 in a
code column, ``ABSENT_SEQUENCE`` in ``sequence``. NaN cannot come from telemetry (a record with a
NaN or an infinity is rejected), so NaN always reads "not known", never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Codes = NDArray[np.int8]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

KINDS: Final = ("auv", "glider", "rover", "vessel", "vehicle")
BODIES: Final = ("earth", "mars", "moon")

NUMBER_FIELDS: Final = (
    "longitude",
    "latitude",
    "depth_m",
    "altitude_m",
    "height_above_bottom_m",
    "speed_mps",
    "heading_deg",
    "pitch_deg",
    "roll_deg",
    "position_accuracy_m",
    "battery_pct",
    "power_generation_w",
    "power_consumption_w",
    "temperature_c",
)
TEXT_FIELDS: Final = ("status", "mission_id", "source", "message_id")

ABSENT_SEQUENCE: Final = int(np.iinfo(np.int64).min)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = EPOCH.replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Texts:
    """A dictionary-encoded text column.

    ``codes``: (n,) int32, index into ``values``, -1 = absent. ``values``: distinct strings; a
    frame cut from another keeps the whole table, so not every value need occur.
    """

    codes: Ints
    values: tuple[str, ...]

    def take(self, rows: Rows | slice) -> "Texts":
        """The same column cut to ``rows`` (positions in any order, or a slice)."""
        return Texts(self.codes[rows], self.values)

    def compact(self) -> "Texts":
        """The same column; a table longer than the column is cut to the values that occur."""
        if len(self.values) <= len(self.codes):
            return self
        used = np.unique(self.codes)
        values = tuple(self.values[code] for code in used.tolist() if code >= 0)
        absent = np.int32(len(used) != len(values))
        return Texts(np.searchsorted(used, self.codes).astype(np.int32) - absent, values)

    def __getitem__(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A columnar micro-batch of n telemetry records.

    ``vehicle``: (n,) int32, index into ``vehicle_ids`` (distinct ids; not every one need occur).
    ``time_us``: (n,) int64, event time, microseconds since 1970-01-01 UTC.
    ``kind``, ``body``: (n,) int8, index into ``KINDS`` / ``BODIES``.
    ``numbers``: column name -> (n,) float64, unit as the name says (``longitude`` in
    [-180, 180), ``latitude``: deg), NaN = absent. A name that is missing is absent in every row.
    ``sensors``: the same for names of the vehicle's own.
    ``texts``: column name -> ``Texts``; a name that is missing is absent in every row.
    ``sequence``: (n,) int64, ``ABSENT_SEQUENCE`` = absent, or None when absent in every row.
    ``part``: the part of the source that the records came from, "" = several or not known.
    """

    vehicle_ids: tuple[str, ...]
    vehicle: Ints
    time_us: Longs
    kind: Codes
    body: Codes
    numbers: dict[str, Floats] = field(default_factory=dict)
    sensors: dict[str, Floats] = field(default_factory=dict)
    texts: dict[str, Texts] = field(default_factory=dict)
    sequence: Longs | None = None
    part: str = ""

    def __len__(self) -> int:
        return len(self.vehicle)

    def __setstate__(self, state: list[Any]) -> None:
        # A frame pickled before there were parts lacks its last field.
        for name, value in zip(self.__slots__, [*state, ""], strict=False):
            object.__setattr__(self, name, value)

    def number(self, name: str) -> Floats:
        """The column ``name`` of ``NUMBER_FIELDS``: (n,) float64, NaN where absent."""
        column = self.numbers.get(name)
        return column if column is not None else np.full(len(self), np.nan)

    def sensor(self, name: str) -> Floats:
        """The sensor column ``name``: (n,) float64, NaN where absent."""
        column = self.sensors.get(name)
        return column if column is not None else np.full(len(self), np.nan)

    def text(self, name: str) -> Texts:
        """The column ``name`` of ``TEXT_FIELDS``."""
        column = self.texts.get(name)
        return column if column is not None else Texts(np.full(len(self), -1, np.int32), ())

    def text_at(self, name: str, row: int) -> str | None:
        """What record ``row`` has in the column ``name`` of ``TEXT_FIELDS``; None = nothing."""
        column = self.texts.get(name)
        return None if column is None else column[row]

    def take(self, rows: Rows | slice) -> "Frame":
        """The frame of the given row positions, in their order; the id tables stay whole.

        A slice gives views, no copies.
        """
        return replace(
            self,
            vehicle=self.vehicle[rows],
            time_us=self.time_us[rows],
            kind=self.kind[rows],
            body=self.body[rows],
            numbers={name: column[rows] for name, column in self.numbers.items()},
            sensors={name: column[rows] for name, column in self.sensors.items()},
            texts={name: column.take(rows) for name, column in self.texts.items()},
            sequence=None if self.sequence is None else self.sequence[rows],
        )

    def compact(self) -> "Frame":
        """The same records with id and text tables that hold no more than occurs."""
        used = np.bincount(self.vehicle, minlength=len(self.vehicle_ids)) > 0
        codes = np.flatnonzero(used)
        place = np.cumsum(used, dtype=np.int32) - np.int32(1)
        return replace(
            self,
            vehicle_ids=tuple(map(self.vehicle_ids.__getitem__, codes.tolist())),
            vehicle=place[self.vehicle],
            texts={name: text.compact() for name, text in self.texts.items()},
        )

    def fix_name(self, row: int) -> str:
        """What names record ``row`` in a decision record: its message id, else its time."""
        return self.text_at("message_id", row) or rfc3339(int(self.time_us[row]))

    def record(self, row: int) -> dict[str, Any]:
        """Record ``row`` as a dict of canonical telemetry fields, absent fields left out."""
        [found] = self.records(np.array([row]))
        return found

    def records(self, rows: Rows) -> list[dict[str, Any]]:
        """As ``record``, of some rows."""
        texts = {name: text.take(rows) for name, text in self.texts.items()}
        names = map(self.vehicle_ids.__getitem__, self.vehicle[rows].tolist())
        times = map(rfc3339, self.time_us[rows].tolist())
        kinds = map(KINDS.__getitem__, self.kind[rows].tolist())
        bodies = map(BODIES.__getitem__, self.body[rows].tolist())
        out: list[dict[str, Any]] = [
            {"vehicle_id": name, "timestamp": time, "kind": kind, "body": body}
            for name, time, kind, body in zip(names, times, kinds, bodies, strict=True)
        ]
        _put_present(out, self.numbers, rows)
        for name, text in texts.items():
            for place in np.flatnonzero(text.codes >= 0).tolist():
                out[place][name] = text[place]
        if self.sequence is not None:
            for one, sequence in zip(out, self.sequence[rows].tolist(), strict=True):
                if sequence != ABSENT_SEQUENCE:
                    one["sequence"] = sequence
        sensors: list[dict[str, Any]] = [{} for _ in out]
        _put_present(sensors, self.sensors, rows)
        for one, known in zip(out, sensors, strict=True):
            if known:
                one["sensors"] = known
        return out


def concat(frames: Sequence[Frame]) -> Frame:
    """One frame of all rows of ``frames`` (at least one), in order; id tables are merged."""
    if len(frames) == 1:
        return frames[0]
    vehicle = _concat_texts([Texts(f.vehicle, f.vehicle_ids) for f in frames])
    sequence = None
    if any(f.sequence is not None for f in frames):
        absent = [np.full(len(f), ABSENT_SEQUENCE) for f in frames]
        sequence = np.concatenate(
            [a if f.sequence is None else f.sequence for f, a in zip(frames, absent, strict=True)]
        )
    return Frame(
        vehicle_ids=vehicle.values,
        vehicle=vehicle.codes,
        time_us=np.concatenate([f.time_us for f in frames]),
        kind=np.concatenate([f.kind for f in frames]),
        body=np.concatenate([f.body for f in frames]),
        numbers={
            name: np.concatenate([f.number(name) for f in frames])
            for name in dict.fromkeys(name for f in frames for name in f.numbers)
        },
        sensors={
            name: np.concatenate([f.sensor(name) for f in frames])
            for name in dict.fromkeys(name for f in frames for name in f.sensors)
        },
        texts={
            name: _concat_texts([f.text(name) for f in frames])
            for name in dict.fromkeys(name for f in frames for name in f.texts)
        },
        sequence=sequence,
        part=frames[0].part if len({f.part for f in frames}) == 1 else "",
    )


def where(mask: Bools) -> Rows:
    """The positions at which a one-dimensional mask is True: np.flatnonzero without its cost."""
    return mask.nonzero()[0]


@lru_cache(4096)
def rfc3339(time_us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC with microseconds and ``Z``."""
    return (_NAIVE_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds") + "Z"


def _put_present(out: list[dict[str, Any]], columns: dict[str, Floats], rows: Rows) -> None:
    """Put the values of ``rows`` into a dict each, those that are there."""
    for name, column in columns.items():
        for one, value in zip(out, column[rows].tolist(), strict=True):
            if not isnan(value):
                one[name] = value


def _concat_texts(columns: Sequence[Texts]) -> Texts:
    # Tables equal by identity (frames cut from one frame) need no recoding.
    first = columns[0].values
    if all(column.values is first for column in columns):
        return Texts(np.concatenate([c.codes for c in columns]), first)
    table: dict[str, int] = {}
    recoded = []
    for column in columns:
        # lookup[code] is the merged code; its last entry serves code -1 (absent).
        merged = [table.setdefault(value, len(table)) for value in column.values]
        lookup = np.array([*merged, -1], np.int32)
        recoded.append(lookup[column.codes])
    return Texts(np.concatenate(recoded), tuple(table))
