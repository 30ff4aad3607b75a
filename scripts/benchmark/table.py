"""What the benchmark shows: a table for people, the same as JSON for machines."""

import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from scripts.benchmark.measure import PUBLISHED_Q4_PER_S, Figures

_PACKAGES: Final = ("farwatch", "bytewax", "msgspec", "numpy", "pydantic", "rtree", "shapely")
_HEADINGS: Final = (
    "vehicles",
    "zones",
    "rules",
    "records",
    "start s",
    "records/s",
    "CPU s",
    "CPU µs",
    "peak MB",
    "times (a)",
    "by CPU",
    "same",
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a row's answers differ from the per-message way's on the same input; "" = not at all."""

    zone_events: str
    alarms: str

    @property
    def same(self) -> bool:
        """Whether all answers are the same."""
        return not self.zone_events and not self.alarms


@dataclass(slots=True)
class Outcome:
    """All that a run of the benchmark found.

    ``agreements``: by row, where there was something to compare with. ``left_out``: rows not run,
    with the reason. ``failed``: rows whose program failed, with its message.
    """

    parameters: dict[str, Any]
    rows: list[Figures] = field(default_factory=list)
    agreements: dict[str, Agreement] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def void(self) -> bool:
        """Whether two programs gave different answers on the same input."""
        return not all(agreement.same for agreement in self.agreements.values())

    def ratio(self, figures: Figures) -> float | None:
        """Steady throughput over that of the per-message way on the same input."""
        here, there = figures.steady_records_per_s, self._reference(figures)
        if there is None or here is None or there.steady_records_per_s is None:
            return None
        return here / there.steady_records_per_s

    def cpu_ratio(self, figures: Figures) -> float | None:
        """How many times the CPU a record the per-message way takes on the same input."""
        here, there = figures.steady_cpu_us_per_record, self._reference(figures)
        return there.steady_cpu_us_per_record / here if there and here else None

    def _reference(self, figures: Figures) -> Figures | None:
        for other in self.rows:
            if other.row.program == "per-message" and other.row.size == figures.row.size:
                return other
        return None


def as_table(outcome: Outcome) -> Table:
    """One line a row of the matrix, notes below."""
    title = "VOID: the two ways gave different answers" if outcome.void else "Benchmark"
    table = Table(
        title=title,
        caption=Text(_notes(outcome)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("row", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for figures in outcome.rows:
        table.add_row(figures.row.name, *_cells(figures, outcome))
    return table


def _cells(figures: Figures, outcome: Outcome) -> tuple[str, ...]:
    size, steady = figures.row.size, figures.steady_records_per_s
    ratio, cpu_ratio = outcome.ratio(figures), outcome.cpu_ratio(figures)
    agreement = outcome.agreements.get(figures.row.name)
    return (
        f"{size.vehicles:,}",
        f"{size.zones:,}",
        f"{size.rules:,}",
        f"{size.records:,}",
        f"{figures.start.wall_s:.2f}",
        f"{steady:,.0f}" if steady else "too short",
        f"{figures.whole.cpu_s:.2f}",
        f"{figures.steady_cpu_us_per_record:.2f}",
        f"{figures.whole.peak_mb:.0f}",
        f"{ratio:.1f}" if ratio else "",
        f"{cpu_ratio:.1f}" if cpu_ratio else "",
        "" if agreement is None else "yes" if agreement.same else "NO",
    )


def _notes(outcome: Outcome) -> str:
    lines = [
        "start s: the same run on one record; records/s and CPU µs a record: without that",
        "times (a): throughput over that of per-message on the same input; by CPU: the same of CPU"
        " time a record, steadier on a busy machine",
        "same: each zone event and each alarm compared with those of (a)",
        "frames of 20,000 rows where the row's name says nothing else",
    ]
    for figures in outcome.rows:
        if figures.row.program == "decode":
            continue
        if figures.row.program == "proximity":
            lines.append(f"{figures.row.name}: {figures.encounters:,} proximity events")
            continue
        inside, crossing = figures.shares.inside, figures.shares.crossing
        lines.append(
            f"{figures.row.name}: {inside:.1%} of rows inside a zone, {crossing:.2%} entering or"
            f" leaving; {figures.zone_events:,} zone events, {figures.alarms:,} alarm events"
        )
    lines += [_beside_published(figures) for figures in outcome.rows if figures.published_ratio]
    if outcome.parameters["quick"]:
        names = ", ".join(figures.row.name for figures in outcome.rows)
        lines.append(f"--quick: only the rows {names}, on smaller inputs")
    for name, agreement in outcome.agreements.items():
        lines += [f"{name}: zone events: {agreement.zone_events}"] * bool(agreement.zone_events)
        lines += [f"{name}: alarms: {agreement.alarms}"] * bool(agreement.alarms)
    lines += [f"{name}: not run: {why}" for name, why in outcome.left_out.items()]
    lines += [f"{name}: failed: {why}" for name, why in outcome.failed.items()]
    return "\n".join(lines)


def _beside_published(figures: Figures) -> str:
    return (
        f"{figures.row.name}: {figures.published_ratio:.1f} times the {PUBLISHED_Q4_PER_S:,}"
        " events/s published for BerlinMOD Q4 in MobilityFlink (MEOS on Flink, parallelism 1, 16"
        " cores): one box as region, 5 vehicles, entries alone, events in memory, start of the job"
        " included (with it here"
        f" {figures.whole_records_per_s:,.0f}/s); here JSON is decoded, and all regions and exits"
        " are told"
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The table as plain values; figures with their unit in the name, null = cannot be told."""
    return {
        "environment": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cpu_count": os.cpu_count(),
            "versions": {name: _version(name) for name in _PACKAGES},
        },
        "parameters": outcome.parameters,
        "void": outcome.void,
        "rows": [_row(figures, outcome) for figures in outcome.rows],
        "left_out": outcome.left_out,
        "failed": outcome.failed,
    }


def _row(figures: Figures, outcome: Outcome) -> dict[str, Any]:
    agreement = outcome.agreements.get(figures.row.name)
    return {
        "row": figures.row.name,
        "program": figures.row.program,
        **asdict(figures.row.size),
        "frame_rows": figures.row.frame_rows,
        "share_of_rows_inside_a_zone": figures.shares.inside,
        "share_of_rows_crossing": figures.shares.crossing,
        "startup_s": figures.start.wall_s,
        "wall_s": figures.whole.wall_s,
        "steady_records_per_s": figures.steady_records_per_s,
        "whole_records_per_s": figures.whole_records_per_s,
        "cpu_s": figures.whole.cpu_s,
        "steady_cpu_us_per_record": figures.steady_cpu_us_per_record,
        "peak_mb": figures.whole.peak_mb,
        "zone_events": figures.zone_events,
        "alarms": figures.alarms,
        "encounters": figures.encounters,
        "times_published": figures.published_ratio,
        "times_per_message": outcome.ratio(figures),
        "times_per_message_by_cpu": outcome.cpu_ratio(figures),
        "same_zone_events": None if agreement is None else not agreement.zone_events,
        "same_alarms": None if agreement is None else not agreement.alarms,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
