"""The geofence of farwatch in one process: ``python farwatch_fence.py TELEMETRY ZONES ANSWERS``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rules.assessment import Assessor, KeyGroups
from rules.group import GroupState, Policy, advance
from rules.registry import Registry
from schemas.decoding import TelemetryDecoder
from schemas.event import ZONE_ENTERED, ZONE_EXITED, Event
from schemas.message import Message
from schemas.zone_file import load_zones

_BLOCK_BYTES = 20_000 * 186  # the frame size that the watch's default has, of the bench's records
_WHAT = {ZONE_ENTERED: "entered", ZONE_EXITED: "exited"}


def blocks(path: Path) -> Iterator[bytes]:
    """The file as blocks of whole lines."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block + file.readline()


def zone_events(telemetry: Path, zones: Path) -> Iterator[Event]:
    """Entries and exits as the watch tells them; ends with status 1 at a rejected record."""
    registry = Registry.of(load_zones(zones.read_bytes(), str(zones)), ())
    policy, state = Policy(), GroupState()
    assessor = Assessor(registry, policy.limits, KeyGroups(1))
    decoder = TelemetryDecoder()
    for body in blocks(telemetry):
        decoded = decoder.decode([Message(body, str(telemetry))])
        if decoded.frame is None or decoded.rejects:
            sys.exit(f"rejected: {decoded.rejects[0].reason}")
        for seen in assessor.assess(decoded.frame):
            state, told = advance(policy, registry, state, seen)
            yield from (said.event for said in told if said.event.type in _WHAT)


def main(telemetry: str, zones: str, answers: str) -> None:
    """Write the answers."""
    encode = msgspec.json.encode
    with Path(answers).open("wb") as file:
        for event in zone_events(Path(telemetry), Path(zones)):
            answer = {
                "what": _WHAT[event.type],
                "vehicle_id": event.vehicle_id,
                "zone_id": event.data["zone_id"],
                "time_us": event.time_us,
            }
            file.write(encode(answer) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
