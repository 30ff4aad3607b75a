"""`farwatch demo`: the shipped scenario, or the real files of a folder, through the watch."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from rich.console import Console

from connectors.contract import SettingsError
from flows.settings import Settings
from scripts.scenario import write_scenario
from scripts.watch import run_watch

_LIBRARY: Final = Path(str(files("rules") / "library"))


@dataclass(frozen=True, slots=True)
class RealFile:
    """A real telemetry file of the data folder and the library's zones and rules for it."""

    name: str
    path: str
    format: str
    place: str


REAL_FILES: Final = (
    RealFile(
        "perseverance",
        "mars2020-traverse/M20_waypoints_tosol0401.json",
        "mars2020-waypoints",
        "jezero",
    ),
    RealFile(
        "new-york-harbour",
        "ais-marinecadastre/NYHarbor_2020_06_30_first_hour.csv.gz",
        "marinecadastre",
        "new-york",
    ),
    RealFile("remus-600", "auv-ooi-remus600/AUV_subset_reduced.csv", "remus", "pioneer"),
)


def run_demo(out: Path, data: Path | None, basemap: Path | None) -> None:
    """Run the demonstration into the folder ``out``; raises SettingsError or FlowError."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if data is None:
        console.print("simulating an AUV fleet in the Pacific and a rover on Mars")
        write_scenario(out / "input", seed=1)
        _watch(console, out, out / "input/telemetry.ndjson", "ndjson", out / "input", basemap)
        return
    missing = [str(data / real.path) for real in REAL_FILES if not (data / real.path).is_file()]
    if missing:
        raise SettingsError(f"--data `{data}`: lacks {', '.join(missing)}; name another folder")
    coast = basemap or data / "natural-earth/ne_110m_admin_0_countries.json.gz"
    for real in REAL_FILES:
        console.print(f"\n{real.name}: {data / real.path}")
        folder = out / real.name
        copy_place(real.place, folder / "input")
        land = coast if coast.is_file() else None
        _watch(console, folder, data / real.path, real.format, folder / "input", land)


def copy_place(place: str, folder: Path) -> None:
    """The library's zones and rules of a place as ``zones.geojson`` and ``rules.yaml``."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, name in ((".geojson", "zones.geojson"), (".yaml", "rules.yaml")):
        (folder / name).write_bytes((_LIBRARY / f"{place}{suffix}").read_bytes())


def _watch(
    console: Console, out: Path, telemetry: Path, format_: str, given: Path, basemap: Path | None
) -> None:
    settings = Settings.load(
        telemetry=f"file:{telemetry}",
        format=format_,
        zones=f"file:{given}/zones.geojson",
        rules=f"file:{given}/rules.yaml",
        results=(f"dir:{out}/results", f"sqlite:{out}/results.sqlite"),
        report=out / "report.html",
    )
    run_watch(settings, basemap=basemap, quiet=False)
    console.print(f"open {(out / 'report.html').resolve()}")
