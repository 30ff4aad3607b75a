"""The command ``scripts/bench --services``: rows through brokers, or a soak."""

import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from scripts.benchmark.measure import RunFailedError
from scripts.benchmark.services.latency import hear
from scripts.benchmark.services.matrix import ALL, Row, rows_named
from scripts.benchmark.services.programs import Charts
from scripts.benchmark.services.rooms import ROOMS, room_of
from scripts.benchmark.services.soak import soak
from scripts.benchmark.services.speed import Measured, Speed, read_once
from scripts.benchmark.services.table import Outcome, as_json, as_tables, soak_line
from scripts.servers import SERVERS

SOAK_RATE: Final = 10_000
WIDTH: Final = 124
"""Of the tables: a narrower terminal breaks their lines, figures are never cut."""

Names = Annotated[
    str | None,
    typer.Option("--rows", help=f"Only rows that begin so, commas between: {', '.join(ALL)}."),
]
Repeat = Annotated[int, typer.Option(min=1, help="Run each row this often, give the median.")]
Seconds = Annotated[float, typer.Option(min=5, help="How long alerts are timed, a row.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", dir_okay=False, help="Write all figures here.")
]
Soak = Annotated[
    float | None,
    typer.Option("--soak", min=1, help=f"Instead: {SOAK_RATE:,} records/s for so many minutes."),
]
Broker = Annotated[str, typer.Option(help=f"Of the soak: {' or '.join(ROOMS)}.")]


def main(
    *,
    rows: Names = None,
    repeat: Repeat = 1,
    seconds: Seconds = 20,
    json_file: JsonFile = None,
    soak_min: Soak = None,
    broker: Broker = "rabbitmq",
) -> None:
    """Measure through real brokers: records/s, seconds from publishing to the alert, memory.

    The brokers are those of `scripts/services up rabbitmq kafka`. Each row has a virtual host or
    topics of its own; the watch commits every 0.5 s.

    Exit status: 0 done, 1 failed, 2 wrong input.
    """
    try:
        chosen = rows_named(rows.split(",") if rows else ALL)
        needed = {broker} if soak_min else {row.broker for row in chosen}
        _check(needed, json_file)
    except ValueError as error:
        Console(stderr=True, soft_wrap=True).print(f"bench: {error}", markup=False)
        raise typer.Exit(2) from None
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    with TemporaryDirectory() as folder:
        charts = Charts.made_in(Path(folder))
        if soak_min:
            said = _soak(charts, broker, soak_min, console)
            failed = said is None
        else:
            outcome = run(chosen, charts, repeat, seconds, console)
            for table in as_tables(outcome):
                console.print(table)
            said, failed = as_json(outcome), bool(outcome.failed)
    if json_file is not None:
        json_file.write_text(json.dumps(said, indent=2) + "\n")
    if failed:
        raise typer.Exit(1)


def run(
    rows: Iterable[Row], charts: Charts, repeat: int, seconds: float, console: Console
) -> Outcome:
    """Run the rows one after the other; those that fail are in the outcome, with the reason."""
    outcome = Outcome()
    for row in rows:
        console.print(f"{row.name} ...", end=" ")
        try:
            if isinstance(row, Speed):
                readings = [read_once(row, charts) for _ in range(repeat)]
                outcome.speeds.append((row, Measured.of(readings, row.records)))
            else:
                with room_of(row.broker) as room:
                    heard = hear(room, charts, row, seconds)
                outcome.latencies.append((row, heard))
        except RunFailedError as error:
            outcome.failed[row.name] = str(error)
            console.print("failed")
            continue
        load = os.getloadavg()[0]
        outcome.load[row.name] = load
        console.print(f"done; load {load:.1f}")
    return outcome


def _soak(charts: Charts, broker: str, minutes: float, console: Console) -> dict[str, Any] | None:
    show = partial(_show_memory, console)
    try:
        with room_of(broker) as room:
            soaked = soak(room, charts, SOAK_RATE, minutes, show)
    except RunFailedError as error:
        console.print(f"soak: failed: {error}")
        return None
    line, figures = soak_line(soaked)
    console.print(line)
    return figures


def _show_memory(console: Console, minutes: float, resident_mb: float) -> None:
    console.print(f"{minutes:6.1f} min  {resident_mb:6.0f} MB")


def _check(brokers: Iterable[str], json_file: Path | None) -> None:
    """Finds out before the first run whether all of them can be made.

    Raises:
        ValueError: with what is wrong and what to do.
    """
    for broker in sorted(brokers):
        if broker not in ROOMS:
            raise ValueError(f"`--broker {broker}`: give {' or '.join(ROOMS)}")
        if not SERVERS[broker].ready():
            raise ValueError(f"{broker} does not answer; start it: scripts/services up {broker}")
    if json_file is not None and not os.access(json_file.absolute().parent, os.W_OK):
        raise ValueError(f"`--json {json_file}`: its folder cannot be written; name another")
