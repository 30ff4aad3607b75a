"""Scoring hazards of real files in process, without a flow."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from connectors.readers.registry import reader_for
from flows.hazard import load_profiles
from rules.assessment import KeyGroups
from rules.hazard.group import HazardState, Policy, advance
from rules.hazard.part import Plan, split
from rules.hazard.stage import Judge
from rules.planning.plans import Plans
from rules.terrain.ground import Terrain
from schemas.decoding import TelemetryDecoder
from schemas.frame import Frame
from schemas.hazard_profile import Profile
from schemas.message import Message


def frames_of(path: Path, spec: str) -> list[Frame]:
    """The frames of a file that one of the readers reads."""
    chunks = reader_for(spec).read(path, None, 5000)
    return decoded([chunk.message for chunk in chunks if chunk.message is not None])


def frame_of_records(records: Iterable[dict]) -> list[Frame]:
    """The frames of telemetry objects."""
    return decoded([Message(msgspec.json.Encoder().encode_lines(list(records)), "made")])


def decoded(messages: list[Message]) -> list[Frame]:
    found = TelemetryDecoder().decode(messages)
    assert not found.rejects, found.rejects[0]
    return [] if found.frame is None else [found.frame]


def shipped(name: str) -> Profile:
    [profile] = load_profiles((name,))
    return profile


def score(
    frames: Sequence[Frame],
    profile: Profile,
    terrain: Terrain | None = None,
    *,
    every_s: float = 0.000001,
    lateness_s: float = 0.0,
    missions: Plans | None = None,
) -> list[dict]:
    """The payloads that stand in the end, by vehicle and time; by default of every record."""
    plan = Plan(profile)
    judge = Judge(plan, terrain, round(every_s * 1e6), missions)
    policy = Policy(judge, round(lateness_s * 1e6))
    state, newest = HazardState(), {}
    for frame in frames:
        part_of = split(plan, KeyGroups(4), frame)
        if part_of is not None:
            state, told = advance(policy, state, part_of)
            newest |= {one.event.event_id: one.event for one in told}
    standing = [event for event in newest.values() if not event.retracted]
    standing.sort(key=lambda event: (event.vehicle_id, event.happened_us))
    return [event.data | {"vehicle_id": event.vehicle_id} for event in standing]


def part(data: dict, name: str) -> dict | None:
    """One part of a score, None where it is left out."""
    return next((one for one in data["parts"] if one["name"] == name), None)
