"""The command ``scripts/bench --peers``: other geofences beside farwatch's, on the same input."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.benchmark.generate import Inputs, Size, make_inputs
from scripts.benchmark.measure import RunFailedError
from scripts.benchmark.peers.answers import (
    TOLERANCE_US,
    at_fixes,
    difference,
    read_fixes,
    total,
)
from scripts.benchmark.peers.run import FARWATCH, PEERS, Peer, Ran, run_peer, version_of
from scripts.servers import SERVERS

_NAMES: Final = tuple(peer.name for peer in PEERS)
_WIDTH = 124

Only = Annotated[
    str | None, typer.Option(help=f"Only these, with commas between. Peers: {', '.join(_NAMES)}.")
]
Python = Annotated[
    str, typer.Option(help="Interpreter of the environment that the peers are installed in.")
]
Records = Annotated[int, typer.Option(min=2, help="Records of the input.")]


def main(*, only: Only = None, python: Python = sys.executable, records: Records = 100_000) -> None:
    """Measure other geofences on the same input, and compare what they answer.

    1,000 vehicles and 500 zones, a third of them with a band of depths. A peer is installed in an
    environment of its own, see `--python`; Quix Streams needs `scripts/services up kafka` too.

    Exit status: 0 done, 1 failed or different answers, 2 wrong input.
    """
    try:
        versions = _check(_chosen(only), python)
    except ValueError as error:
        Console(stderr=True, soft_wrap=True).print(f"bench: {error}", markup=False, highlight=False)
        raise typer.Exit(2) from None
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    with TemporaryDirectory() as folder:
        inputs = make_inputs(Size(rules=0, records=records), Path(folder))
        ran, failed = run(versions, python, inputs, records, console)
        said = agreements(ran, inputs) if FARWATCH.name in ran else {}
    console.print(_table(ran, said))
    if failed or any(said.values()):
        raise typer.Exit(1)


def run(
    versions: Mapping[Peer, str], python: str, inputs: Inputs, records: int, console: Console
) -> tuple[dict[str, Ran], bool]:
    """Run farwatch and the peers one after the other; also whether one has failed."""
    ran: dict[str, Ran] = {}
    failed = False
    for peer, version in versions.items():
        console.print(f"{peer.name} ...", end=" ")
        interpreter = sys.executable if peer is FARWATCH else python
        try:
            ran[peer.name] = run_peer(peer, interpreter, version, inputs, records)
            console.print(f"{ran[peer.name].whole.wall_s:.1f} s")
        except RunFailedError as error:
            console.print(f"failed: {error}", markup=False)
            failed = True
    return ran, failed


def agreements(ran: Mapping[str, Ran], inputs: Inputs) -> dict[str, str]:
    """How each peer's answers differ from farwatch's, the empty string where they do not."""
    own = ran[FARWATCH.name].answers
    own_at_fixes = at_fixes(own, read_fixes(inputs.telemetry))
    return {
        name: difference(own, one.answers, TOLERANCE_US)
        if one.peer.crossings
        else difference(own_at_fixes, one.answers)
        for name, one in ran.items()
        if one.peer is not FARWATCH
    }


def _chosen(only: str | None) -> list[Peer]:
    names = only.split(",") if only else list(_NAMES)
    for name in names:
        if name not in _NAMES:
            raise ValueError(f"`--only`: no peer `{name}`; give one of {', '.join(_NAMES)}")
    return [peer for peer in PEERS if peer.name in names]


def _check(peers: Iterable[Peer], python: str) -> dict[Peer, str]:
    """The versions of farwatch and the peers; finds out before the first run what is missing.

    Raises:
        ValueError: with what is wrong and what to do.
    """
    try:
        found = {peer: version_of(peer, python) for peer in peers}
    except OSError as error:
        raise ValueError(f"`--python {python}`: {error.strerror}; name an interpreter") from None
    if missing := [peer for peer, version in found.items() if version is None]:
        packages = " ".join(peer.package for peer in missing)
        names = ", ".join(peer.name for peer in missing)
        raise ValueError(
            f"not installed: {names}; make an environment for them: `python3 -m venv peers && "
            f"peers/bin/pip install shapely {packages}`, and add `--python peers/bin/python`"
        )
    if any(peer.from_kafka for peer in found) and not SERVERS["kafka"].ready():
        raise ValueError("kafka does not answer; start it: scripts/services up kafka")
    own = {FARWATCH: version_of(FARWATCH, sys.executable)}
    return {peer: version or "" for peer, version in (own | found).items()}


def _table(ran: Mapping[str, Ran], said: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE)
    for heading in ("", "version", "records", "CPU s", "of start", "records/CPU s", "answers"):
        table.add_column(heading, justify="left" if heading in ("", "version") else "right")
    table.add_column("compared with farwatch's")
    for name, one in ran.items():
        table.add_row(
            name,
            one.version,
            f"{one.records:,}",
            f"{one.whole.cpu_s:.1f}",
            f"{one.start.cpu_s:.1f}",
            f"{one.records_per_cpu_s:,.0f}",
            f"{total(one.answers):,}",
            _compared(one.peer, said.get(name)),
        )
    return table


def _compared(peer: Peer, differing: str | None) -> str:
    if differing is None:
        return ""
    what = "time by time, 1 ms" if peer.crossings else "at fixes"
    return f"{what}: {differing or 'the same'}"
