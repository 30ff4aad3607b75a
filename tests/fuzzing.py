"""Parsers to be fed broken input: what operators and programs beside send, and files by format."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.contract import SettingsError
from connectors.readers.contract import FormatError, SourceFileError
from connectors.readers.delimited import DelimitedReader
from connectors.readers.mapping import load_mapping
from connectors.readers.registry import reader_for
from connectors.terrain import open_terrain
from rules.hazard.quantities import QUANTITIES
from rules.planning.triggers import load_triggers
from schemas.command import decode_commands
from schemas.hazard_file import HazardFileError, parse_profiles
from schemas.message import Message, Reject
from schemas.mission_decoding import decode_answers, decode_planned
from schemas.notice import decode_notices
from schemas.policy import PolicyError, load_policy
from schemas.route_file import RouteFileError, load_routes
from schemas.rule import RuleFileError
from tests.watching import ROOT

TIME = "2026-03-02T00:00:00Z"
LIBRARY = ROOT / "rules" / "library"


@dataclass(frozen=True)
class Target:
    """A parser: good inputs, the errors that are its own, its share of all inputs."""

    parse: Callable[[bytes, Path], None]
    corpus: Sequence[bytes]
    errors: tuple[type[Exception], ...]
    share: float


def file_target(name: str, corpus: Sequence[bytes], share: float) -> Target:
    """The reader of a format, over a file of the input."""
    reader = reader_for(name)

    def parse(data: bytes, folder: Path) -> None:
        path = folder / "input"
        path.write_bytes(data)
        for chunk in reader.read(path, None, 7):
            assert chunk.message or chunk.rejects or chunk.resume is not None

    return Target(parse, corpus, (SourceFileError,), share)


def lines_target(
    decode: Callable[[Sequence[Message]], Iterable[object]], given: Sequence[object], share: float
) -> Target:
    """A decoder that never raises: each line is good, or a reject of one line with its bytes."""
    lines = [json.dumps(one).encode() for one in given]

    def parse(data: bytes, _folder: Path) -> None:
        for found in decode([Message(data, "a", 1)]):
            if isinstance(found, Reject):
                assert found.reason
                assert found.raw

    return Target(parse, [*lines, b"\n".join(lines)], (), share)


def read_csv(data: bytes, folder: Path) -> None:
    mapping, path = folder / "mapping.toml", folder / "input.csv"
    mapping.write_text(MAPPING)
    path.write_bytes(data)
    for chunk in DelimitedReader(mapping).read(path, None, 7):
        assert chunk.message or chunk.rejects or chunk.resume is not None


def read_mapping(data: bytes, folder: Path) -> None:
    (folder / "fuzzed.toml").write_bytes(data)
    load_mapping(folder / "fuzzed.toml")


def _open_raw(folder: Path, header: bytes, world: bytes) -> None:
    (folder / "dem.bil").write_bytes(bytes(24))
    (folder / "dem.hdr").write_bytes(header)
    (folder / "dem.blw").write_bytes(world)
    open_terrain(folder / "dem.bil").read(0, 0, 3, 4)


def _notices(messages: Sequence[Message]) -> Iterable[object]:
    return (found for message in messages for _, found in decode_notices(message))


MAPPING = """
delimiter = ";"
absent = ["", -999]
sensors = "rest"
[constant]
body = "earth"
[time]
column = "t"
[fields]
vehicle_id = {column = "id"}
latitude = {column = "lat", unit = "deg"}
longitude = {column = "lon", unit = "deg"}
depth_m = {column = "z", unit = "cm"}
"""
HEADER = b"NROWS 3\nNCOLS 4\nNBITS 16\nPIXELTYPE SIGNEDINT\nBYTEORDER M\nSKIPBYTES 0\nNODATA -999\n"
WORLD = b"0.5\n0\n0\n-0.5\n10.25\n49.75\n"
COMMAND = {
    "id": "7f3c",
    "action": "shelve",
    "alarm_id": "3" * 32,
    "vehicle_id": "auv-7",
    "time": TIME,
    "until": "2026-03-02T18:00:00Z",
    "who": "ana",
    "reason": "known fault",
}
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [3, 3], [0, 0]]]}
NOTICES = [
    {"type": "rule.created", "by": "a", "rule": {"id": "d", "version": 1, "when": "depth_m > 3.0"}},
    {
        "type": "zone.created",
        "by": "ana",
        "zone": {"type": "Feature", "id": "z", "properties": {"version": 1}, "geometry": AREA},
    },
    {"type": "rule.deleted", "by": "cleo", "id": "deep", "version": 3, "at": TIME},
]
PLANS = [
    {
        "vehicle_id": "auv-7",
        "time": TIME,
        "reserve_pct": 20,
        "next_charge": "2026-03-02T08:00:00Z",
        "path": [{"longitude": -125.9, "latitude": 14.2}],
        "goal": {"longitude": -125.8, "latitude": 14.3, "by": "2026-03-02T06:00:00Z"},
        "windows": [{"opens": "2026-03-02T02:00:00Z", "closes": "2026-03-02T02:10:00Z"}],
        "steps": [{"id": "survey"}],
        "avoid": ["apei-4"],
    },
    {"vehicle_id": "auv-7", "time": TIME, "step_id": "survey", "status": "failed"},
    {
        "specversion": "1.0",
        "type": "farwatch.mission.step_reported.v1",
        "data": {"vehicle_id": "auv-7", "time": TIME, "step_id": "survey", "status": "done"},
    },
]
RESULTS = [
    {"vehicle_id": "a", "time": TIME, "request_id": "0" * 32, "status": "answered", "plan_id": "p"},
    {"vehicle_id": "auv-7", "time": TIME, "trigger_id": "battery-before-charge"},
]
ROUTES = b"""
targets:
  pager: {url: "json://localhost/${WHO}", rate: 5/1m}
mute_times:
  nights: {windows: ["22:00-06:00"], time_zone: Europe/Oslo}
routes:
  - match: {severity: [critical, emergency]}
    to: [pager]
    repeat_interval: 30m
    continue: true
    routes:
      - match: {rules: [leak*], labels: {team: science}}
        to: [pager]
    mute: [nights]
    group_by: [zone]
"""
LINE_STRING = {"type": "LineString", "coordinates": [[77.4, 18.4, -2569.9], [77.5, 18.5, -2560.0]]}
DRIVE = {"sol": 13, "SCLK_START": 6.7e8, "SCLK_END": 6.701e8, "fromRMC": "3_0", "toRMC": "3_110"}
TRAVERSE = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": DRIVE, "geometry": LINE_STRING}] * 2,
}
REMUS = (
    b"Message Id[unsigned short|#],Timestamp[unsigned long|epoch],Latitude[double|\xb0],"
    b"Longitude[double|\xb0],Mission Time[unsigned long|tod],Depth[float|Meters]\n"
    b"1181,1419009477,41.5543,-70.7050,62277125,0.08\n"
    b"Message Id[unsigned short|#],Line[short|#],Timestamp[unsigned long|epoch],"
    b"Message[signed char(200)|ascii]\n1001,12,1419009478,fault, of no kind\n"
)
CSV = b"id;t;lat;lon;z;salt\n" + b"a1;2026-03-02T00:00:00Z;14.2;-125.9;41200;34.7\n" * 3

OPERATED = {
    "commands": lines_target(decode_commands, [COMMAND, [COMMAND, COMMAND]], 0.1),
    "notices": lines_target(_notices, NOTICES, 0.1),
    "plans": lines_target(decode_planned, PLANS, 0.1),
    "plan results": lines_target(decode_answers, RESULTS, 0.1),
    "triggers": Target(
        lambda data, _: load_triggers(data, "t") and None,
        [(LIBRARY / f"triggers-{kind}.yaml").read_bytes()[:2500] for kind in ("auv", "rover")],
        (RuleFileError,),
        0.01,
    ),
    "routes": Target(
        lambda data, _: load_routes(data, "r", {"WHO": "ana"}) and None,
        [ROUTES],
        (RouteFileError,),
        0.02,
    ),
    "hazard": Target(
        lambda data, _: parse_profiles(data, "h", QUANTITIES) and None,
        [path.read_bytes()[:2500] for path in sorted((LIBRARY / "hazard").glob("*.yaml"))],
        (HazardFileError,),
        0.01,
    ),
    "policy": Target(
        lambda data, _: load_policy(data, "p") and None,
        [(ROOT / "deploy" / "policy" / "policy.yaml").read_bytes()],
        (PolicyError,),
        0.02,
    ),
    "csv": Target(read_csv, [CSV], (SourceFileError,), 0.02),
    "mapping": Target(read_mapping, [MAPPING.encode()], (FormatError,), 0.02),
    "mars2020-traverse": file_target("mars2020-traverse", [json.dumps(TRAVERSE).encode()], 0.02),
    "remus": file_target("remus", [REMUS], 0.02),
    "raw header": Target(
        lambda data, folder: _open_raw(folder, data, WORLD), [HEADER], (SettingsError,), 0.01
    ),
    "world file": Target(
        lambda data, folder: _open_raw(folder, HEADER, data), [WORLD], (SettingsError,), 0.01
    ),
}
"""What operators and programs beside send, and the formats of files, by name."""
