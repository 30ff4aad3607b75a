"""The command: which rows, how often, and where the answer goes."""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.benchmark.answers import Answers, difference, zone_difference
from scripts.benchmark.generate import Size
from scripts.benchmark.matrix import (
    ALL,
    QUICK,
    QUICK_LAST_START_S,
    QUICK_RECORDS,
    Row,
    rows_named,
    with_records,
)
from scripts.benchmark.measure import RunFailedError, measure
from scripts.benchmark.table import Agreement, Outcome, as_json, as_table

_NAMES = ", ".join(ALL)
_WIDTH = 124  # of the table: a narrower terminal breaks its lines, figures are never cut

Names = Annotated[
    str | None, typer.Option("--rows", help=f"Only these, with commas between. Rows: {_NAMES}.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Fewer rows on smaller inputs: ends within 60 s.")
]
Repeat = Annotated[int, typer.Option(min=1, help="Run each row this often, give the median.")]
Records = Annotated[int | None, typer.Option(min=1, help="No row on more records than this.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", dir_okay=False, help="Write the table here for machines.")
]
Folder = Annotated[
    Path | None, typer.Option(file_okay=False, help="Keep the inputs here for the next time.")
]


def main(
    *,
    rows: Names = None,
    quick: Quick = False,
    repeat: Repeat = 1,
    records: Records = None,
    json_file: JsonFile = None,
    folder: Folder = None,
) -> None:
    """Measure the watch against the per-message way, and by vehicles, zones, rules and frames.

    Each program runs as a process of its own on the same generated input. With `--services` it
    measures through real brokers instead: `bench --services --help`; with `--peers` other
    geofences beside it: `bench --peers --help`; with `--rules` other engines of rules:
    `bench --rules --help`.

    Exit status: 0 done, 1 failed or different answers, 2 wrong input.
    """
    try:
        chosen = plan(rows, records=records, quick=quick)
        _check_targets(json_file, folder)
    except ValueError as error:
        _tell(error)
        raise typer.Exit(2) from None
    console = Console()
    console.width = max(console.width, _WIDTH)
    outcome = Outcome({"quick": quick, "repeat": repeat, "records_at_most": records})
    stop_at = time.monotonic() + QUICK_LAST_START_S if quick else math.inf
    try:
        with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as inputs:
            run(chosen, Path(inputs), outcome, console, stop_at)
        console.print(as_table(outcome))
        if json_file is not None:
            json_file.write_text(json.dumps(as_json(outcome), indent=2) + "\n")
    except OSError as error:
        _tell(error)
        raise typer.Exit(1) from None
    if outcome.failed or outcome.void:
        raise typer.Exit(1)


def plan(names: str | None, *, records: int | None, quick: bool) -> list[Row]:
    """The rows to run, in their order.

    Raises:
        ValueError: for a name that is no row.
    """
    wanted = names.split(",") if names is not None else QUICK if quick else ALL
    limits = [QUICK_RECORDS] * quick + ([] if records is None else [records])
    return [with_records(row, limits) for row in rows_named(wanted)]


def _tell(error: Exception) -> None:
    Console(stderr=True, soft_wrap=True).print(f"bench: {error}", markup=False, highlight=False)


def _check_targets(json_file: Path | None, folder: Path | None) -> None:
    """Finds out before the first run whether its end could be written."""
    if json_file is not None and not os.access(json_file.absolute().parent, os.W_OK):
        raise ValueError(f"`--json {json_file}`: its folder cannot be written; name another")
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"`--folder {folder}`: {error.strerror}; name another") from None


def run(
    rows: Iterable[Row], folder: Path, outcome: Outcome, console: Console, stop_at: float
) -> None:
    """Runs the rows one after the other and adds what they took to ``outcome``.

    Starts none after ``stop_at`` (``time.monotonic``). Answers are compared with those of the
    per-message way wherever it has run on an input of the same size before.
    """
    references: dict[Size, Answers] = {}
    for row in rows:
        if time.monotonic() > stop_at:
            outcome.left_out[row.name] = "no time left"
            continue
        console.print(f"{row.name} ...", end=" ")
        try:
            figures, answers = measure(row, folder, outcome.parameters["repeat"])
        except RunFailedError as error:
            outcome.failed[row.name] = str(error)
            console.print("failed")
            continue
        outcome.rows.append(figures)
        console.print(f"{figures.whole.wall_s:.1f} s")
        if row.program == "per-message":
            references[row.size] = answers
        elif row.program == "watch" and row.size in references:
            outcome.agreements[row.name] = _compare(references[row.size], answers)


def _compare(reference: Answers, answers: Answers) -> Agreement:
    return Agreement(
        zone_difference(reference.zone_events, answers.zone_events),
        difference(reference.alarms, answers.alarms),
    )
