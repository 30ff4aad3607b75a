"""The benchmark's input files: telemetry, zones and rules of a given size, the same for a seed.

Vehicles move at 1 to 3 m/s and report every 1 to 10 s. With some hundred records a vehicle, 20 to
30 % of the rows lie inside some zone and 0.2 to 1 % enter or leave one, whatever the number of
zones: the region grows with it. With few records a vehicle the entries of vehicles first seen
inside a zone weigh more; ``Inputs.shares`` says what is true of the files made.

Scenes: ``sea`` is that; in ``fences`` the same vehicles move among zones that all have a depth
band, an exit buffer, hold times and a limit of stay; in ``streets`` cars drive through the regions
of a town (``traffic.py``).
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from scripts.benchmark.areas import (
    Shares,
    Zones,
    draw_rules,
    draw_zones,
    region_side_m,
    shares,
    write_geojson,
    write_rules,
)
from scripts.benchmark.fleet import arrival_order, simulate, write_ndjson
from scripts.benchmark.plans import write_plans, write_triggers
from scripts.benchmark.traffic import draw_regions, simulate_traffic, write_traffic

_SOURCES = ("areas", "fleet", "generate", "plans", "streets", "traffic")

Scene = Literal["sea", "fences", "streets"]


@dataclass(frozen=True, slots=True)
class Size:
    """How large an input is, what it shows, and the seed that it is drawn from.

    ``late``: the share of records that arrive up to a minute after their time.
    """

    vehicles: int = 1_000
    zones: int = 500
    rules: int = 20
    records: int = 500_000
    seed: int = 1
    scene: Scene = "sea"
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one input; ``first_record`` holds the first line of ``telemetry`` alone."""

    telemetry: Path
    first_record: Path
    zones: Path
    rules: Path
    plans: Path
    triggers: Path
    shares: Shares


def make_inputs(size: Size, folder: Path) -> Inputs:
    """The input files of ``size`` in ``folder``, made only where they are not there yet.

    Raises:
        OSError: when the folder cannot be written.
    """
    folder = folder / _source_hash()
    folder.mkdir(parents=True, exist_ok=True)
    scene = f"{size.scene}-{size.seed}"
    track = f"{scene}-{size.vehicles}v-{size.zones}z-{size.records}n-{size.late:g}"
    telemetry = folder / f"telemetry-{track}.ndjson"
    first_record = folder / f"first-record-{track}.ndjson"
    zones_file = folder / f"zones-{scene}-{size.zones}z.geojson"
    rules_file = folder / f"rules-{size.seed}-{size.rules}r.yaml"
    shares_file = folder / f"shares-{track}.json"
    plans_file, triggers_file = _plans(size, folder)
    if not rules_file.exists():
        _write_whole(rules_file, lambda f: write_rules(draw_rules(size.rules, size.seed), f))
    if not (shares_file.exists() and zones_file.exists()):
        drawn = _draw(size)
        fenced = size.scene == "fences"
        _write_whole(zones_file, lambda f: write_geojson(drawn.zones, f, fenced=fenced))
        _write_whole(telemetry, drawn.write_telemetry)
        with telemetry.open("rb") as lines:
            first = lines.readline()
        _write_whole(first_record, lambda f: f.write(first))
        # Written last: where it lies, the files before it are whole.
        touched = msgspec.json.encode(asdict(drawn.shares))
        _write_whole(shares_file, lambda f: f.write(touched))
    read_shares = msgspec.json.decode(shares_file.read_bytes(), type=Shares)
    return Inputs(
        telemetry, first_record, zones_file, rules_file, plans_file, triggers_file, read_shares
    )


def _plans(size: Size, folder: Path) -> tuple[Path, Path]:
    """Mission plans, and the shipped triggers for AUVs, about these vehicles."""
    triggers = folder / "triggers.yaml"
    if not triggers.exists():
        _write_whole(triggers, write_triggers)
    file = folder / f"plans-{size.seed}-{size.vehicles}v-{size.zones}z.ndjson"
    if not file.exists():
        side_m = region_side_m(size.zones)
        _write_whole(file, lambda f: write_plans(size.vehicles, side_m, size.seed, f))
    return file, triggers


@dataclass(frozen=True, slots=True)
class _Drawn:
    zones: Zones
    shares: Shares
    write_telemetry: Callable[[BinaryIO], None]


def _draw(size: Size) -> _Drawn:
    if size.scene == "streets":
        regions = draw_regions(size.zones, size.seed)
        traffic = simulate_traffic(size.vehicles, size.records, size.seed)
        return _Drawn(regions, shares(traffic, regions), partial(write_traffic, traffic))
    banded = {"banded": 1.0} if size.scene == "fences" else {}
    zones = draw_zones(size.zones, size.seed, **banded)
    fleet = simulate(size.vehicles, size.records, region_side_m(size.zones), size.seed)
    arriving = fleet.take(arrival_order(fleet.time_ms, size.late, size.seed))
    return _Drawn(zones, shares(fleet, zones), partial(write_ndjson, arriving))


def _source_hash() -> str:
    """Names the generator's code, so that files made by another version are never taken."""
    here = Path(__file__).parent
    sources = b"".join((here / f"{name}.py").read_bytes() for name in _SOURCES)
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
