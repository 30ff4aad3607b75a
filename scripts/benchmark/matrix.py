"""The rows of the benchmark: which program on which input."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from scripts.benchmark.generate import Size

Program = Literal["per-message", "watch", "decode", "proximity"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured run.

    ``frame_rows``: size of a frame; ``analytics``: whether windows are told too; ``hazard``:
    whether hazards are scored by the shipped profile of AUVs; ``planning``: whether plans are asked
    for. None matters to per-message.
    """

    name: str
    program: Program
    size: Size = field(default_factory=Size)
    frame_rows: int = 20_000
    analytics: bool = False
    hazard: bool = False
    planning: bool = False


MATRIX: Final = (
    Row("per-message", "per-message"),
    Row("watch", "watch"),
    Row("decode", "decode"),
    Row("analytics", "watch", analytics=True),
    Row("hazard", "watch", hazard=True),
    Row("planning", "watch", planning=True),
    Row("hazard-planning", "watch", hazard=True, planning=True),
    Row("vehicles-10", "watch", Size(vehicles=10)),
    Row("vehicles-100000", "watch", Size(vehicles=100_000, records=1_000_000)),
    Row("zones-50", "watch", Size(zones=50)),
    Row("zones-50000", "watch", Size(zones=50_000)),
    Row("rules-1", "watch", Size(rules=1)),
    Row("rules-1000", "watch", Size(rules=1_000)),
    Row("frame-10", "watch", Size(records=20_000), frame_rows=10),
    Row("frame-100", "watch", Size(records=100_000), frame_rows=100),
    Row("frame-1000", "watch", frame_rows=1_000),
    Row("geofence", "watch", Size(rules=0, scene="fences")),
    Row("geofence-late", "watch", Size(rules=0, scene="fences", late=0.001)),
    Row("geofence-50k", "watch", Size(zones=50_000, rules=0, scene="fences")),
    Row("berlinmod", "watch", Size(2_000, 100, 0, 1_500_000, scene="streets")),
    Row("berlinmod-region", "watch", Size(2_000, 1, 0, 1_500_000, scene="streets")),
    Row("proximity", "proximity", Size(zones=50, rules=0)),
)
"""Rows without rules: the geofence alone, of a watch with one rule that is never true.
``proximity`` knows neither zones nor rules; 50 zones make a region of 15 km by 15 km.

The row ``watch`` is also vehicles 1,000, zones 500, rules 20 and frames of 20,000."""

ALL: Final = tuple(row.name for row in MATRIX)
QUICK: Final = (
    "per-message",
    "watch",
    "decode",
    "frame-1000",
    "rules-1000",
    "zones-50",
    "vehicles-10",
)
QUICK_RECORDS: Final = 150_000
QUICK_LAST_START_S: Final = 30.0
"""A quick run starts no further row after this time: it has to end within 60 s."""


def rows_named(names: Sequence[str]) -> tuple[Row, ...]:
    """The rows of these names, in the order of the matrix.

    Raises:
        ValueError: for a name that is no row.
    """
    for name in names:
        if name not in ALL:
            raise ValueError(f"`--rows`: no row `{name}`; give one of {', '.join(ALL)}")
    return tuple(row for row in MATRIX if row.name in names)


def with_records(row: Row, limits: Sequence[int]) -> Row:
    """The same row on an input of no more records than any of ``limits``."""
    return replace(row, size=replace(row.size, records=min([row.size.records, *limits])))
