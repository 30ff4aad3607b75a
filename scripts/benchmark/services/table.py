"""What the benchmark through brokers shows: tables for people, the same as JSON for machines."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from scripts.benchmark.services.latency import Heard
from scripts.benchmark.services.matrix import Latency
from scripts.benchmark.services.soak import Soaked
from scripts.benchmark.services.speed import Measured, Speed

_SPEED_HEADINGS: Final = ("records a message", "messages/s", "records/s", "CPU µs", "peak MB")
_LATENCY_HEADINGS: Final = (
    "records/s",
    "a message",
    "p50 ms",
    "p99 ms",
    "max ms",
    "echo p50",
    "echo p99",
    "alerts",
    "lost",
    "behind s",
    "CPU µs",
    "peak MB",
    "load",
)


@dataclass(slots=True)
class Outcome:
    """All that a run found.

    ``load``: by row, how many processes wanted a processor in its last minute. ``failed``: rows
    whose program failed, with its message.
    """

    speeds: list[tuple[Speed, Measured]] = field(default_factory=list)
    latencies: list[tuple[Latency, Heard]] = field(default_factory=list)
    load: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def as_tables(outcome: Outcome) -> list[Table]:
    """A table of speeds, one of latencies, where there are any."""
    tables = []
    if outcome.speeds:
        tables.append(_table("Read from brokers", (*_SPEED_HEADINGS, "load"), ""))
        for speed, took in outcome.speeds:
            tables[-1].add_row(
                speed.name,
                f"{speed.records}",
                f"{took.messages_per_s:,.0f}",
                f"{took.records_per_s:,.0f}",
                f"{took.cpu_us_per_record:.2f}",
                f"{took.peak_mb:.0f}",
                f"{outcome.load[speed.name]:.1f}",
            )
    if outcome.latencies:
        notes = (
            "from handing a record to the publisher to hearing its alert; echo: a message through"
            " the same broker at that time, without a watch\nbehind s: how late the publisher was"
            " at worst; load: processes that wanted a processor, of"
            f" {os.cpu_count()} there are"
        )
        tables.append(_table("From publishing to the alert", _LATENCY_HEADINGS, notes))
        for latency, heard in outcome.latencies:
            tables[-1].add_row(
                latency.name,
                f"{latency.rate:,}",
                f"{latency.records}",
                *(f"{figure:.0f}" for figure in _percentiles(heard.latency_ms)),
                *(f"{figure:.0f}" for figure in _percentiles(heard.echo_ms)[:2]),
                f"{len(heard.latency_ms)}",
                f"{heard.lost}",
                f"{heard.fed.late_s:.2f}",
                f"{heard.cpu_us:.1f}",
                f"{heard.peak_mb:.0f}",
                f"{outcome.load[latency.name]:.1f}",
            )
    if outcome.failed:
        tables.append(Table("row", "failed", box=box.SIMPLE_HEAD))
        for name, why in outcome.failed.items():
            tables[-1].add_row(name, Text(why))
    return tables


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The tables as plain values; figures with their unit in the name."""
    return {
        "cpu_count": os.cpu_count(),
        "speeds": [
            {**asdict(speed), **msgspec.to_builtins(took)} for speed, took in outcome.speeds
        ],
        "latencies": [
            {**asdict(row), **latency_figures(heard)} for row, heard in outcome.latencies
        ],
        "load": outcome.load,
        "failed": outcome.failed,
    }


def latency_figures(heard: Heard) -> dict[str, Any]:
    """What was heard, in a few figures."""
    p50, p99, most = _percentiles(heard.latency_ms)
    echo_p50, echo_p99, _ = _percentiles(heard.echo_ms)
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "max_ms": most,
        "echo_p50_ms": echo_p50,
        "echo_p99_ms": echo_p99,
        "alerts": len(heard.latency_ms),
        "lost": heard.lost,
        "behind_s": heard.fed.late_s,
        "cpu_us_per_record": heard.cpu_us,
        "peak_mb": heard.peak_mb,
    }


def soak_line(soaked: Soaked) -> tuple[str, dict[str, Any]]:
    """The soak in one line and as plain values."""
    p50, p99, _ = _percentiles(soaked.latency_ms)
    half = len(soaked.resident_mb) // 2
    lost = soaked.fed.alarms - soaked.heard
    line = (
        f"{soaked.fed.records:,} records in {soaked.fed.took_s / 60:.1f} min; memory"
        f" {soaked.resident_mb[half]:.0f} MB at half time, {soaked.resident_mb[-1]:.0f} MB at the"
        f" end, peak {soaked.peak_mb:.0f} MB, {soaked.growth_mb_per_minute:+.1f} MB/min in the"
        f" second half; alerts {soaked.heard:,}, lost {lost}, p50 {p50:.0f} ms, p99 {p99:.0f} ms;"
        f" CPU {soaked.cpu_us:.1f} µs a record"
    )
    figures = msgspec.to_builtins(soaked)
    del figures["latency_ms"]
    figures |= {"growth_mb_per_minute": soaked.growth_mb_per_minute, "p50_ms": p50, "p99_ms": p99}
    return line, figures


def _percentiles(values_ms: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile, greatest; NaN of nothing."""
    if not values_ms:
        return (np.nan, np.nan, np.nan)
    p50, p99, most = np.percentile(values_ms, [50, 99, 100]).tolist()
    return p50, p99, most


def _table(title: str, headings: tuple[str, ...], notes: str) -> Table:
    table = Table(
        title=title,
        caption=Text(notes),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("row", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
