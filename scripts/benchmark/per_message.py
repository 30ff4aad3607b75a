"""The per-message way: the watch's job as one Python call a message, on Bytewax.

``python per_message.py TELEMETRY ZONES RULES RESULTS`` is the program that the columnar watch is
measured against: one process, one worker, and each step as a competent engineer would write it.
Bytewax hands every message to these steps:

1. ``parse``: ``json.loads`` of the line, ``datetime.fromisoformat`` of its timestamp;
2. ``zones``: an R-tree look-up at the position, then for each candidate the depth band and a
   prepared ``contains``; the record (a dict) is enriched with the zones found;
3. ``transitions`` (``stateful_map``, keyed by vehicle): compares with the zones of the vehicle's
   previous message, adds an event for each zone entered or left;
4. ``violations`` (``stateful_flat_map``, keyed by vehicle): a loop over all rules, each a compiled
   Python function; those on zones run once for each zone the record is in. A rule that has held
   for its ``for`` duration raises an alarm, one that no longer holds clears it;
5. ``json.dumps`` of each event, and a plain buffered file for each kind of event.

Nothing is slowed down on purpose: the source hands over 1,000 lines at a time, zones are bulk
loaded and prepared, rules are compiled once, the sinks neither sync nor flush a line, and events
carry neither hashed ids nor decision records.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import bytewax.operators as op
import shapely
import yaml
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow, Stream
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from rtree.index import Index
from shapely.geometry import shape

Record = dict[str, Any]
Zone = dict[str, Any]
Rule = dict[str, Any]
ZonesInside = dict[str, datetime]
"""Zone id -> when the vehicle entered it."""
Alarms = dict[tuple[str, str], tuple[datetime, bool]]
"""(rule id, zone id or "") -> since when the rule holds, and whether its alarm is raised."""


def parse(line: str) -> Record:
    """The record as a dict, its time as a datetime."""
    record: Record = json.loads(line)
    record["time"] = datetime.fromisoformat(record["timestamp"])
    return record


def load_zones(path: Path) -> list[Zone]:
    """The features of a GeoJSON file: properties, id and prepared polygon."""
    zones = []
    for feature in json.loads(path.read_text())["features"]:
        polygon = shape(feature["geometry"])
        shapely.prepare(polygon)
        zones.append(
            {
                "min_depth_m": float("-inf"),
                "max_depth_m": float("inf"),
                **feature["properties"],
                "id": feature["id"],
                "polygon": polygon,
            }
        )
    return zones


def zone_finder(zones: list[Zone]) -> Callable[[Record], Record]:
    """A step that adds to a record the zones it is in."""
    tree = Index((i, zone["polygon"].bounds, None) for i, zone in enumerate(zones))

    def find(record: Record) -> Record:
        x, y, depth_m = record["longitude"], record["latitude"], record["depth_m"]
        candidates = [
            zone
            for zone in (zones[i] for i in tree.intersection((x, y, x, y)))
            if zone["min_depth_m"] <= depth_m <= zone["max_depth_m"]
        ]
        if candidates:
            point = shapely.Point(x, y)
            candidates = [zone for zone in candidates if zone["polygon"].contains(point)]
        record["zones"] = candidates
        return record

    return find


def transitions(before: ZonesInside | None, record: Record) -> tuple[ZonesInside, Record]:
    """Adds to a record the events of the zones its vehicle has entered or left."""
    before = before or {}
    time: datetime = record["time"]
    inside: ZonesInside = {zone["id"]: before.get(zone["id"], time) for zone in record["zones"]}
    events = []
    if inside.keys() != before.keys():
        events = [_zone_event("entered", record, z) for z in inside if z not in before]
        for zone_id, entered in before.items():
            if zone_id not in inside:
                event = _zone_event("exited", record, zone_id)
                event["duration_s"] = (time - entered).total_seconds()
                events.append(event)
    record["events"] = events
    return inside, record


def _zone_event(what: str, record: Record, zone_id: str) -> dict[str, Any]:
    return {
        "type": what,
        "vehicle_id": record["vehicle_id"],
        "zone_id": zone_id,
        "time": record["timestamp"],
        "longitude": record["longitude"],
        "latitude": record["latitude"],
        "depth_m": record["depth_m"],
    }


def load_rules(path: Path) -> list[Rule]:
    """The rules of a YAML file, each with its duration parsed."""
    rules: list[Rule] = yaml.safe_load(path.read_text())
    for rule in rules:
        rule["for"] = timedelta(seconds=float(rule.get("for", "0s").removesuffix("s")))
        rule["message"] = re.sub(r"zone\.(\w+)", r"zone[\1]", rule["message"])
    return rules


def predicate(when: str) -> Callable[[Record, Zone | None], bool]:
    """A rule's CEL expression as a Python function of the record and a zone it is in.

    Handles what the benchmark's rules use: comparisons, ``&&``, ``||``, parentheses, strings
    without spaces, fields of the record, ``zone.NAME``.
    """
    python = when.replace("&&", "and").replace("||", "or")
    python = re.sub(r"\bzone\.(\w+)", r'zone["\1"]', python)
    python = re.sub(r'(?<!["\w])(?!and\b|or\b|zone\b)([a-z]\w*)', r'record["\1"]', python)
    # The expression comes from the benchmark's own generator.
    compiled: Callable[[Record, Zone | None], bool] = eval(f"lambda record, zone: {python}")  # noqa: S307
    return compiled


def rule_loop(
    rules: list[Rule],
) -> Callable[[Alarms | None, Record], tuple[Alarms, list[dict[str, Any]]]]:
    """A step that judges every rule on a record and gives the alarms raised and cleared."""
    predicates = [(rule, predicate(rule["when"])) for rule in rules]
    on_record = [(rule, holds) for rule, holds in predicates if "zone." not in rule["when"]]
    on_zone = [(rule, holds) for rule, holds in predicates if "zone." in rule["when"]]

    def judge(alarms: Alarms | None, record: Record) -> tuple[Alarms, list[dict[str, Any]]]:
        alarms = alarms or {}
        holding: list[tuple[Rule, Zone | None]] = [
            (rule, None) for rule, holds in on_record if holds(record, None)
        ]
        for zone in record["zones"]:
            holding += [(rule, zone) for rule, holds in on_zone if holds(record, zone)]
        if not holding and not alarms:
            return alarms, []
        return _life_cycle(alarms, holding, record)

    return judge


def _life_cycle(
    alarms: Alarms, holding: list[tuple[Rule, Zone | None]], record: Record
) -> tuple[Alarms, list[dict[str, Any]]]:
    now = record["time"]
    after: Alarms = {}
    events = []
    for rule, zone in holding:
        key = rule["id"], zone["id"] if zone else ""
        since, raised = alarms.get(key, (now, False))
        if not raised and now - since >= rule["for"]:
            raised = True
            message = rule["message"].format(zone=zone, **record)
            events.append(_alarm_event("raised", key, record) | {"message": message})
        after[key] = since, raised
    for key, (_, raised) in alarms.items():
        if raised and key not in after:
            events.append(_alarm_event("cleared", key, record))
    return after, events


def _alarm_event(what: str, key: tuple[str, str], record: Record) -> dict[str, Any]:
    return {
        "type": what,
        "vehicle_id": record["vehicle_id"],
        "rule_id": key[0],
        "zone_id": key[1],
        "time": record["timestamp"],
    }


class LinesSink(DynamicSink[str]):
    """One file of lines, truncated at the start; for one worker, no recovery."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "_LinesPart":
        """Opens the file."""
        return _LinesPart(self._path.open("w"))


class _LinesPart(StatelessSinkPartition[str]):
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write_batch(self, items: list[str]) -> None:
        self._file.writelines(f"{line}\n" for line in items)

    def close(self) -> None:
        self._file.close()


def dataflow(telemetry: Path, zones: Path, rules: Path, results: Path) -> Dataflow:
    """The whole job, from the file of telemetry to the two files of events in ``results``."""
    flow = Dataflow("per_message")
    lines = op.input("telemetry", flow, FileSource(telemetry, batch_size=1000))
    records = op.map("parse", lines, parse)
    enriched = op.map("zones", records, zone_finder(load_zones(zones)))
    by_vehicle = op.key_on("by_vehicle", enriched, lambda record: record["vehicle_id"])
    moved = op.stateful_map("transitions", by_vehicle, transitions)
    alarms = op.stateful_flat_map("violations", moved, rule_loop(load_rules(rules)))
    crossings = op.flat_map("crossings", moved, _events_of)
    _write("geofencing_events", crossings, results)
    _write("compliance_violations", op.map("alarms", alarms, _without_key), results)
    return flow


def _events_of(keyed: tuple[str, Record]) -> Iterable[dict[str, Any]]:
    events: list[dict[str, Any]] = keyed[1]["events"]
    return events


def _without_key(keyed: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return keyed[1]


def _write(topic: str, events: Stream[dict[str, Any]], results: Path) -> None:
    encoded: Stream[str] = op.map(f"encode_{topic}", events, json.dumps)
    op.output(topic, encoded, LinesSink(results / f"{topic}.ndjson"))


def main(arguments: Iterator[str]) -> None:
    """Runs the dataflow on the four paths of the command line."""
    telemetry, zones, rules, results = map(Path, arguments)
    results.mkdir(parents=True)
    cli_main(dataflow(telemetry, zones, rules, results))


if __name__ == "__main__":
    main(iter(sys.argv[1:]))
