"""What is remembered of rules on time between two records: timers, and what was last seen."""

from dataclasses import dataclass, field, fields
from typing import NamedTuple, Self

import numpy as np

from schemas.frame import Bools, Frame, Longs, Rows


class Counted(NamedTuple):
    """A record that counts towards ``count``; not ``certain``: it may count."""

    time_us: int
    fix: str
    certain: bool


def _rows() -> Rows:
    return np.empty(0, np.intp)


def _longs() -> Longs:
    return np.empty(0, np.int64)


def _objects() -> np.ndarray:
    return np.empty(0, object)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Equally long columns in the order of the fields."""

    rule: Rows = field(default_factory=_rows)
    slot: Rows = field(default_factory=_rows)

    def __len__(self) -> int:
        return len(self.rule)

    def columns(self) -> list[np.ndarray]:
        """All columns in the order of the fields."""
        return [getattr(self, column.name) for column in fields(self)]

    def take(self, rows: Rows | slice) -> Self:
        """Those at the given positions."""
        return type(self)(*(column[rows] for column in self.columns()))

    def plus(self, other: Self) -> Self:
        """These and the other ones after them."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return type(self)(*(np.concatenate(pair) for pair in pairs))


def message_ids(frame: Frame, rows: Rows) -> np.ndarray:
    """(len(rows),) the message ids of records, "" where there is none."""
    text = frame.text("message_id")
    values = np.array([*text.values, ""], object)
    found: np.ndarray = values[text.codes[rows]]
    return found


@dataclass(frozen=True, slots=True)
class Timers(_Columns):
    """What a rule on time has come to, of a vehicle or of one visit of it; t of them.

    ``rule``: (t,) index into ``RuleBook.rules``. ``slot``: (t,) roster slot. ``zone``: (t,) index
    into ``Fences.zones`` or ``NO_ZONE``; ``visit_id`` of the stay, "" without a zone. ``since_us``:
    (t,) int64 since when its condition holds, ``NEVER`` = it does not; ``moment`` and ``fix`` name
    that record. ``clearing_us``: (t,) int64 since when what ends its alarm has been so, ``NEVER`` =
    it is not. ``counted``: (t,) tuples of ``Counted``, oldest first. ``alarm_id``: (t,) "" while
    none is raised; ``alarm_us``, ``alarm_moment``, ``alarm_fix``: the record that the alarm counts
    from. ``told``: (t,) an alarm has been raised in this visit.
    """

    zone: Rows = field(default_factory=_rows)
    visit_id: np.ndarray = field(default_factory=_objects)
    since_us: Longs = field(default_factory=_longs)
    moment: np.ndarray = field(default_factory=_objects)
    fix: np.ndarray = field(default_factory=_objects)
    clearing_us: Longs = field(default_factory=_longs)
    counted: np.ndarray = field(default_factory=_objects)
    alarm_id: np.ndarray = field(default_factory=_objects)
    alarm_us: Longs = field(default_factory=_longs)
    alarm_moment: np.ndarray = field(default_factory=_objects)
    alarm_fix: np.ndarray = field(default_factory=_objects)
    told: Bools = field(default_factory=lambda: np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Sightings(_Columns):
    """When something that a rule waits for, or goes on from, was last seen; s of them.

    Of sequences their first condition, of absence the condition. ``rule``, ``slot``: (s,).
    ``time_us``: (s,) int64 event time of the latest record in which it held, ``NEVER`` = none yet;
    ``tie``: (s,) int64 of ``Tracks``, ``message_id``: (s,) "" = none, of that record. ``maybe_us``:
    (s,) int64 of the latest record in which it may have held, as an input was missing.
    ``first_us``, ``first_tie``, ``first_message_id``: the first record of the vehicle that the rule
    is about, of absence alone.
    """

    time_us: Longs = field(default_factory=_longs)
    tie: Longs = field(default_factory=_longs)
    message_id: np.ndarray = field(default_factory=_objects)
    maybe_us: Longs = field(default_factory=_longs)
    first_us: Longs = field(default_factory=_longs)
    first_tie: Longs = field(default_factory=_longs)
    first_message_id: np.ndarray = field(default_factory=_objects)
