"""The whole scenario in a folder: telemetry, zones and rules."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

from scripts.scenario.telemetry import RECORDS, write_telemetry

PLACES: Final = ("ccz", "jezero")
_LIBRARY: Final = files("rules") / "library"


def write_scenario(folder: Path, *, seed: int, records: int = RECORDS) -> None:
    """Writes ``telemetry.ndjson``, ``zones.geojson`` and ``rules.yaml`` into ``folder``.

    The folder is made if need be. Zones and rules are the library's files for both places joined.
    Raises ValueError for a bad ``records`` (see ``write_telemetry``), OSError for a bad folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_telemetry(folder / "telemetry.ndjson", seed=seed, records=records)
    (folder / "zones.geojson").write_text(joined_zones(), encoding="utf-8")
    (folder / "rules.yaml").write_text(joined_rules(), encoding="utf-8")


def joined_zones() -> str:
    """One FeatureCollection of the zones of all places."""
    collections = [json.loads(_read(f"{place}.geojson")) for place in PLACES]
    features = [feature for collection in collections for feature in collection["features"]]
    joined = {"type": "FeatureCollection", "features": features}
    return json.dumps(joined, ensure_ascii=False, indent=1) + "\n"


def joined_rules() -> str:
    """One YAML list of the rules of all places; each file is a list at the top level already."""
    return "\n".join(_read(f"{place}.yaml") for place in PLACES)


def _read(name: str) -> str:
    return (_LIBRARY / name).read_text(encoding="utf-8")
