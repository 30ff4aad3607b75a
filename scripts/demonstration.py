"""`farwatch demo`: the shipped scenario, or the real files of a folder, through the watch."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from rich.console import Console

from connectors.contract import SettingsError
from flows.settings import Settings
from scripts.report.from_store import Background, read_background
from scripts.scenario import write_scenario
from scripts.watch import run_watch

_LIBRARY: Final = Path(str(files("rules") / "library"))
_COAST: Final = "natural-earth/ne_110m_admin_0_countries.json.gz"


@dataclass(frozen=True, slots=True)
class RealFile:
    """A real telemetry file of the data folder and the library's zones and rules for it.

    ``relief``: the elevation grid for its map, if the folder has it.
    """

    name: str
    path: str
    format: str
    place: str
    relief: str | None = None


REAL_FILES: Final = (
    RealFile(
        "perseverance",
        "mars2020-traverse/M20_waypoints_tosol0401.json",
        "mars2020-waypoints",
        "jezero",
        "mars-dem/jezero_mola_128ppd_256x256.json",
    ),
    RealFile(
        "new-york-harbour",
        "ais-marinecadastre/NYHarbor_2020_06_30_first_hour.csv.gz",
        "marinecadastre",
        "new-york",
    ),
    RealFile("remus-600", "auv-ooi-remus600/AUV_subset_reduced.csv", "remus:remus-600", "pioneer"),
)


def run_demo(out: Path, data: Path | None, basemap: Path | None) -> None:
    """Run the demonstration into the folder ``out``; raises SettingsError or FlowError."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if data is None:
        background = read_background(basemap, None)
        console.print("simulating an AUV fleet in the Pacific and a rover on Mars")
        write_scenario(out / "input", seed=1)
        _watch(console, _settings(out, out / "input/telemetry.ndjson", "ndjson"), background)
        return
    missing = [str(data / real.path) for real in REAL_FILES if not (data / real.path).is_file()]
    if missing:
        raise SettingsError(f"--data `{data}`: lacks {', '.join(missing)}; name another folder")
    for real in REAL_FILES:
        console.print(f"\n{real.name}: {data / real.path}")
        background = read_background(
            basemap or _if_there(data, _COAST), _if_there(data, real.relief)
        )
        copy_place(real.place, out / real.name / "input")
        _watch(console, _settings(out / real.name, data / real.path, real.format), background)


def copy_place(place: str, folder: Path) -> None:
    """The library's zones and rules of a place as ``zones.geojson`` and ``rules.yaml``."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, name in ((".geojson", "zones.geojson"), (".yaml", "rules.yaml")):
        (folder / name).write_bytes((_LIBRARY / f"{place}{suffix}").read_bytes())


def _if_there(data: Path, name: str | None) -> Path | None:
    return data / name if name and (data / name).is_file() else None


def _settings(out: Path, telemetry: Path, format_: str) -> Settings:
    return Settings.load(
        telemetry=f"file:{telemetry}",
        format=format_,
        zones=f"file:{out}/input/zones.geojson",
        rules=f"file:{out}/input/rules.yaml",
        results=(f"dir:{out}/results", f"sqlite:{out}/results.sqlite"),
        report=out / "report.html",
    )


def _watch(console: Console, settings: Settings, background: Background) -> None:
    run_watch(settings, background=background, quiet=False)
    if settings.report:
        console.print(f"open {settings.report.resolve()}")
