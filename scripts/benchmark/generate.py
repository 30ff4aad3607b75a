"""The benchmark's input files: telemetry, zones and rules of a given size, the same for a seed.

Vehicles move at 1 to 3 m/s and report every 1 to 10 s. With some hundred records a vehicle, 20 to
30 % of the rows lie inside some zone and 0.2 to 1 % enter or leave one, whatever the number of
zones: the region grows with it. With few records a vehicle the entries of vehicles first seen
inside a zone weigh more; ``Inputs.shares`` says what is true of the files made.
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from scripts.benchmark.areas import (
    Shares,
    draw_rules,
    draw_zones,
    region_side_m,
    shares,
    write_geojson,
    write_rules,
)
from scripts.benchmark.fleet import simulate, write_ndjson


@dataclass(frozen=True, slots=True)
class Size:
    """How large an input is, and the seed that it is drawn from."""

    vehicles: int = 1_000
    zones: int = 500
    rules: int = 20
    records: int = 500_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one input; ``first_record`` holds the first line of ``telemetry`` alone."""

    telemetry: Path
    first_record: Path
    zones: Path
    rules: Path
    shares: Shares


def make_inputs(size: Size, folder: Path) -> Inputs:
    """The input files of ``size`` in ``folder``, made only where they are not there yet.

    Raises:
        OSError: when the folder cannot be written.
    """
    folder = folder / _source_hash()
    folder.mkdir(parents=True, exist_ok=True)
    track = f"{size.seed}-{size.vehicles}v-{size.zones}z-{size.records}n"
    telemetry = folder / f"telemetry-{track}.ndjson"
    first_record = folder / f"first-record-{track}.ndjson"
    zones_file = folder / f"zones-{size.seed}-{size.zones}z.geojson"
    rules_file = folder / f"rules-{size.seed}-{size.rules}r.yaml"
    shares_file = folder / f"shares-{track}.json"
    if not rules_file.exists():
        _write_whole(rules_file, lambda f: write_rules(draw_rules(size.rules, size.seed), f))
    if not (shares_file.exists() and zones_file.exists()):
        zones = draw_zones(size.zones, size.seed)
        fleet = simulate(size.vehicles, size.records, region_side_m(size.zones), size.seed)
        _write_whole(zones_file, lambda f: write_geojson(zones, f))
        _write_whole(telemetry, lambda f: write_ndjson(fleet, f))
        with telemetry.open("rb") as lines:
            first = lines.readline()
        _write_whole(first_record, lambda f: f.write(first))
        # Written last: where it lies, the files before it are whole.
        touched = msgspec.json.encode(asdict(shares(fleet, zones)))
        _write_whole(shares_file, lambda f: f.write(touched))
    read_shares = msgspec.json.decode(shares_file.read_bytes(), type=Shares)
    return Inputs(telemetry, first_record, zones_file, rules_file, read_shares)


def _source_hash() -> str:
    """Names the generator's code, so that files made by another version are never taken."""
    here = Path(__file__).parent
    sources = b"".join((here / name).read_bytes() for name in ("fleet.py", "areas.py"))
    return blake2b(sources, digest_size=6).hexdigest()


def _write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under its name only once it is whole, so that a cache never holds a stump."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
