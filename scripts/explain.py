"""`farwatch alerts explain`: an alarm's decision records, told and recomputed from telemetry."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
from bytewax.inputs import StatefulSourcePartition

from connectors.alarms import read_alarm
from connectors.contract import SettingsError
from connectors.registry import masked, open_source
from connectors.tables import VIOLATIONS
from flows.settings import Settings
from flows.steps.registry import load_registry
from rules.clocks import Mark, watermark_us
from rules.explanation import ANSWERS, REASONS, Answer, beside, judge_again
from schemas.decoding import TelemetryDecoder
from schemas.frame import Frame, concat, where
from schemas.message import Message, Reject
from scripts.listing import write_listing


def explain(alarm_id: str, store: str, settings: Settings, *, as_json: bool) -> bool:
    """Write what was told of an alarm beside what its telemetry gives; whether it is the same.

    Raises:
        SettingsError: there is no such alarm, or something cannot be read.
        ConnectorError: a far side is in trouble.
    """
    settings.require("telemetry", "rules")
    told = read_alarm(store, alarm_id, VIOLATIONS)
    registry = load_registry(settings.zones, settings.rules)
    vehicle_id = str(told[0].data["vehicle_id"])
    frame, newest_us = _records(settings, vehicle_id)
    until = Mark(frame.part, watermark_us(newest_us, settings.skew_us()))
    again = judge_again(registry, settings.limits(), frame, until)
    answers = beside([(row.type, row.data) for row in told], again)
    same = not any(answer.differences for answer in answers)
    if as_json:
        found = [
            {"type": a.type, "told": a.told, "again": a.again, "differences": a.differences}
            for a in answers
        ]
        line = {"alarm_id": told[0].alarm_id, "same": same, "answers": found}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    else:
        data = told[0].data
        zone = f" in {data['zone_id']}" if data["zone_id"] else ""
        sys.stdout.write(
            f"alarm {told[0].alarm_id}: rule {data['rule_id']}, vehicle {vehicle_id}{zone};"
            f" {len(frame)} records judged again\n"
        )
        for answer in answers:
            _write(answer)
        sys.stdout.write("the same\n" if same else "not the same\n")
    return same


def _records(settings: Settings, vehicle_id: str) -> tuple[Frame, int]:
    """All records of a vehicle that the telemetry holds, and how far all have come."""
    frames, newest_us = [], 0
    for frame in _frames(settings):
        newest_us = max(newest_us, int(frame.time_us.max(initial=0)))
        if vehicle_id in frame.vehicle_ids:
            frames.append(frame.take(where(frame.vehicle == frame.vehicle_ids.index(vehicle_id))))
    if not frames:
        raise SettingsError(
            f"`{masked(settings.telemetry)}`: holds no record of `{vehicle_id}`; name the telemetry"
            " that the alarm was raised from"
        )
    return concat(frames), newest_us


def _frames(settings: Settings) -> Iterator[Frame]:
    source = open_source(settings.telemetry, settings.connector())
    source.check()
    built, decoder = source.build(), TelemetryDecoder()
    with ExitStack() as stack:
        # All are open until the last has ended: they may share a client.
        parts = [built.build_part("explain", name, None) for name in built.list_parts()]
        for part in parts:
            stack.callback(part.close)
        for part in parts:
            for messages in _batches(part):
                decoded = decoder.decode([m for m in messages if isinstance(m, Message)])
                if decoded.frame is not None:
                    yield decoded.frame


def _batches(part: StatefulSourcePartition[Message | Reject, Any]) -> Iterator[list[Any]]:
    while True:
        try:
            yield list(part.next_batch())
        except StopIteration:
            return


def _write(answer: Answer) -> None:
    rows = [(answer.type.split(".")[-2], "told", "recomputed", "")]
    differ = answer.differences
    if "event" in differ:
        rows.append(("event", *differ["event"], "differs"))
    for names, of in ((ANSWERS, _payload), (REASONS, _decision)):
        for name in names:
            told, again = of(answer.told, name), of(answer.again, name)
            if told is not None or again is not None:
                rows.append((name, _shown(told), _shown(again), "differs" * (name in differ)))
    write_listing(rows)


def _payload(data: Any, name: str) -> Any:
    return None if data is None else data.get(name)


def _decision(data: Any, name: str) -> Any:
    return None if data is None else data["decision"].get(name)


def _shown(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return value or "none"
    return msgspec.json.encode(value).decode()
