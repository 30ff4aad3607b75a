"""The command ``scripts/bench --rules``: rules beside other engines, on the same records."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.benchmark.measure import RunFailedError
from scripts.benchmark.peers.run import version_of
from scripts.benchmark.rules.cases import records, rules
from scripts.benchmark.rules.run import ENGINES, Engine, Judged, run_engine

COUNTS: Final = (1, 20, 100, 1_000)

_NAMES: Final = tuple(engine.name for engine in ENGINES if engine.name != "farwatch")
_WIDTH = 124

Only = Annotated[
    str | None, typer.Option(help=f"Only these, with commas between. Engines: {', '.join(_NAMES)}.")
]
Python = Annotated[
    str, typer.Option(help="Interpreter of the environment that the engines are installed in.")
]
Budget = Annotated[float, typer.Option(min=0.01, help="CPU seconds each engine may judge.")]


def main(*, only: Only = None, python: Python = sys.executable, budget_s: Budget = 1.0) -> None:
    """Measure what a rule costs a record, at 1, 20, 100 and 1,000 rules, and compare answers.

    Other engines judge one record at a time, farwatch frames of 1,000. cel-expr-python comes with
    farwatch; the others are installed in an environment of their own, see `--python`, as one of
    them claims the same top-level name.

    Exit status: 0 done, 1 failed or different answers, 2 wrong input.
    """
    try:
        versions = _check(only, python)
    except ValueError as error:
        Console(stderr=True, soft_wrap=True).print(f"bench: {error}", markup=False, highlight=False)
        raise typer.Exit(2) from None
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    judged: dict[Engine, dict[int, Judged]] = {engine: {} for engine in versions}
    failed = False
    with TemporaryDirectory() as name:
        for count in COUNTS:
            given = Path(name) / "given.json"
            given.write_text(json.dumps({"rules": rules(count), "records": records()}))
            for engine, of in judged.items():
                try:
                    of[count] = run_engine(engine, python, given, Path(name), budget_s)
                except RunFailedError as error:
                    console.print(f"{engine.name}, {count} rules: {error}", markup=False)
                    failed = True
    console.print(_table(judged, versions))
    if failed or any(_differing(judged, engine) for engine in judged):
        raise typer.Exit(1)


def _check(only: str | None, python: str) -> dict[Engine, str]:
    """The versions of farwatch and the engines asked for.

    Raises:
        ValueError: with what is wrong and what to do.
    """
    names = only.split(",") if only else list(_NAMES)
    for name in names:
        if name not in _NAMES:
            raise ValueError(f"`--only`: no engine `{name}`; give one of {', '.join(_NAMES)}")
    chosen = [engine for engine in ENGINES if engine.name in (*names, "farwatch")]
    try:
        found = {e: version_of(e, sys.executable if e.own else python) for e in chosen}
    except OSError as error:
        raise ValueError(f"`--python {python}`: {error.strerror}; name an interpreter") from None
    if missing := [engine for engine, version in found.items() if version is None]:
        packages = " ".join(engine.package for engine in missing)
        raise ValueError(
            f"not installed: {', '.join(e.name for e in missing)}; make an environment for them:"
            f" `python3 -m venv engines && engines/bin/pip install {packages}`, and add"
            " `--python engines/bin/python`"
        )
    return {engine: version or "" for engine, version in found.items()}


def _differing(judged: Mapping[Engine, Mapping[int, Judged]], engine: Engine) -> int:
    """How many records an engine answered otherwise than farwatch."""
    own = judged[ENGINES[0]]
    return sum(
        one.differs_from(own[count]) for count, one in judged[engine].items() if count in own
    )


def _table(judged: Mapping[Engine, Mapping[int, Judged]], versions: Mapping[Engine, str]) -> Table:
    table = Table(box=box.SIMPLE, title="CPU \u00b5s a record and rule")
    headings: Sequence[str] = ("", "version", *(f"{count:,} rules" for count in COUNTS))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("", "version") else "right")
    table.add_column("answers compared")
    for engine, of in judged.items():
        differing = _differing(judged, engine)
        compared = sum(len(one.answers) for one in of.values())
        said = f"{differing} records differ" if differing else f"{compared:,} records, the same"
        table.add_row(
            engine.package,
            versions[engine],
            *(f"{of[count].each_us:.4f}" if count in of else "failed" for count in COUNTS),
            "" if engine is ENGINES[0] else said,
        )
    return table
