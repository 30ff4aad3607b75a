"""The report of a watch from the SQLite store that it wrote beside its results."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from connectors.contract import SettingsError
from connectors.readers.stored import StoredFile
from connectors.sqlite import read_events
from flows.launch import FlowError
from flows.steps.bookkeeping import TRACKS
from rules.tallies import TALLIES
from rules.terrain.ground import Terrain
from schemas.frame import BODIES
from schemas.zone import Zone
from scripts.report.data import Counts, Relief, ReportData, Track
from scripts.report.page import render
from scripts.report.places import placed_tracks
from scripts.report.projection import bounds_of, view_of
from scripts.report.relief import read_relief, relief_under

REJECTS_SHOWN: Final = 1000
# How far about the tracks the ground is drawn, in windows of their map.
_AROUND: Final = 1.2
_OTHERS: Final = {
    "no_position": "records without a position",
    "rule_errors": "answers of rules that ended in an error",
}


@dataclass(frozen=True, slots=True)
class Background:
    """What lies under the maps: land or coastlines of Earth, shaded reliefs of any body.

    ``terrain``: models that reliefs are made of where none is given.
    """

    basemap: dict[str, Any] | None = None
    reliefs: tuple[Relief, ...] = ()
    terrain: Terrain | None = None


def read_background(basemap: Path | None, relief: Path | None) -> Background:
    """The background from its files; raises SettingsError where one cannot be read."""
    shaded = read_relief(relief)
    return Background(_basemap(basemap), () if shaded is None else (shaded,))


def _basemap(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        with StoredFile(path) as file:
            found: dict[str, Any] = json.loads(file.whole())
    except ValueError as exc:
        raise SettingsError(f"--basemap `{path}`: {exc}; give a GeoJSON file") from exc
    return found


def write_report(
    target: Path,
    store: Path,
    zones: Sequence[Zone],
    inputs: Mapping[str, str],
    background: Background,
) -> None:
    """Write the HTML report of what the watch left in ``store``."""
    counted, tracks = Counter[str](), _tracks(store)
    for tally in _latest_tallies(store):
        counted.update({k: v for k, v in tally.items() if isinstance(v, int)})
    rejected = sum(1 for _ in read_events(store, "dead_letters"))
    data = ReportData(
        title="farwatch report",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        inputs=inputs,
        counts=Counts(
            records_in=counted["records"] + rejected,
            rejected=rejected,
            late=counted["late"],
            unknown_depth=counted["unknown_depth"],
            others={label: counted[name] for name, label in _OTHERS.items() if counted[name]}
            | _rule_errors(counted),
        ),
        zones=zones,
        tracks=tracks,
        events=[
            _cloud_event(row)
            for table in ("zone_events", "violations", "hazards")
            for row in read_events(store, table)
        ],
        rejects=[_reject(row) for row in islice(read_events(store, "dead_letters"), REJECTS_SHOWN)],
        basemap=background.basemap,
        reliefs=background.reliefs or _reliefs(background.terrain, tracks),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and moved into place: there is a whole report or none.
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        unfinished.write_text(render(data), encoding="utf-8")
        unfinished.replace(target)
    except OSError as exc:
        raise FlowError(f"--report `{target}`: {exc.strerror}; the results are written") from exc
    finally:
        unfinished.unlink(missing_ok=True)


def _rule_errors(counted: Mapping[str, int]) -> dict[str, int]:
    """What ended in an error, by rule and reason, the most first."""
    found = {}
    for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        prefix, _, of = name.partition(".")
        rule, _, reason = of.rpartition(".")
        if prefix == "rule_error":
            found[f"of rule {rule}: {reason}"] = count
    return found


def _reliefs(terrain: Terrain | None, tracks: Sequence[Track]) -> tuple[Relief, ...]:
    """The ground about the tracks, the coarsest model below the others."""
    found = []
    for ground in reversed(terrain.grounds if terrain is not None else ()):
        placed = placed_tracks(tracks, BODIES[ground.body])
        if placed:
            longitude = np.concatenate([one.longitude for one in placed])
            latitude = np.concatenate([one.latitude for one in placed])
            window = view_of(BODIES[ground.body], bounds_of(longitude, latitude)).bounds
            found.append(relief_under(ground, window.widened(_AROUND)))
    return tuple(relief for relief in found if relief is not None)


def _latest_tallies(store: Path) -> Iterator[dict[str, Any]]:
    # A group's counts only grow and their version is the count of records: the highest stands.
    latest: dict[str, dict[str, Any]] = {}
    for row in read_events(store, "internal"):
        known = latest.get(row["event_id"])
        if row["topic"] == TALLIES and (known is None or known["version"] < row["version"]):
            latest[row["event_id"]] = row
    for row in latest.values():
        yield {k: v for k, v in row["data"].items() if k != "version"}


def _tracks(store: Path) -> list[Track]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_events(store, "internal"):
        if row["topic"] == TRACKS:
            found.setdefault((row["vehicle_id"], row["data"]["body"]), []).append(row["data"])
    return [
        Track(
            vehicle_id=vehicle_id,
            kind=parts[0]["kind"],
            body=body,
            time_us=np.concatenate([np.array(part["time_us"], np.int64) for part in parts]),
            **{
                name: np.concatenate([np.array(part[name], np.float64) for part in parts])
                for name in ("longitude", "latitude", "depth_m")
            },
        )
        for (vehicle_id, body), parts in sorted(found.items())
    ]


def _cloud_event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{row['event_id']}.{row['version']}",
        "type": row["type"],
        "subject": row["vehicle_id"],
        "time": row["time"],
        "data": row["data"],
    }


def _reject(row: Mapping[str, Any]) -> dict[str, Any]:
    event = _cloud_event({**row, "data": {}})
    event["data"] = {
        "reason": row["reason"],
        "field": row["field"],
        "origin": row["origin"],
        "raw_text": row["raw"].decode(errors="backslashreplace"),
    }
    return event
