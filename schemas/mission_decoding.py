"""Mission plans, step reports, plan results and commands, from bytes.

A line is a CloudEvent in structured mode, or the bare object that its ``data`` would be.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ValidationError

from schemas.message import Message, Reject
from schemas.mission_plan import (
    MISSION_PLANNED,
    MISSION_STEP_REPORTED,
    MissionPlan,
    Planned,
    StepReport,
)
from schemas.plan_result import PLAN_RESULT, TRIGGER_REARMED, Answer, PlanResult, Rearm

_PLANNED: Final[Mapping[str, type[BaseModel]]] = {
    MISSION_PLANNED: MissionPlan,
    MISSION_STEP_REPORTED: StepReport,
}
_ANSWERS: Final[Mapping[str, type[BaseModel]]] = {
    PLAN_RESULT: PlanResult,
    TRIGGER_REARMED: Rearm,
}
_EVENT_FIELDS: Final = ("event_id", "version", "retracted")
"""What data of events has beside its own fields; a plan's ``version`` is its own."""
_decoder = msgspec.json.Decoder(dict[str, Any])


def decode_planned(messages: Sequence[Message]) -> Iterator[Planned | Reject]:
    """The plans and step reports of the lines, in order."""
    for found in _decode(messages, _PLANNED):
        if isinstance(found, MissionPlan | StepReport | Reject):
            yield found


def decode_answers(messages: Sequence[Message]) -> Iterator[Answer | Reject]:
    """The results and commands of the lines, in order."""
    for found in _decode(messages, _ANSWERS):
        if isinstance(found, PlanResult | Rearm | Reject):
            yield found


def _decode(
    messages: Sequence[Message], models: Mapping[str, type[BaseModel]]
) -> Iterator[BaseModel | Reject]:
    for message in messages:
        for number, line in enumerate(message.body.splitlines(), message.first_line or 1):
            if line.strip():
                yield _one(line, f"{message.origin}:{number}", models)


def _one(line: bytes, origin: str, models: Mapping[str, type[BaseModel]]) -> BaseModel | Reject:
    try:
        given = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return Reject(f"no JSON object: {exc}", "", line, origin)
    event_type, data = _content(given)
    if event_type not in models:
        known = " or ".join(models)
        what = event_type or "an object without `request_id`, `step_id` or the like"
        return Reject(f"type: {what} is not read here; expected {known}", "type", line, origin)
    if not isinstance(data, dict):
        return Reject("data: is no object", "data", line, origin)
    try:
        return models[event_type].model_validate(data)
    except ValidationError as exc:
        found = exc.errors(include_url=False)[0]
        field = ".".join(map(str, found["loc"])) or "data"
        shown = "" if found["type"] == "missing" else f" {found['input']!r}"[:80]
        return Reject(f"{field}:{shown} {found['msg'].lower()}", field, line, origin)


def _content(given: dict[str, Any]) -> tuple[str, Any]:
    """The type and the data; the type of a bare object is told by what it has."""
    if "specversion" in given:
        data = given.get("data")
        if isinstance(data, dict) and "event_id" in data:
            data = {name: value for name, value in data.items() if name not in _EVENT_FIELDS}
        return str(given.get("type", "")), data
    if "request_id" in given:
        return PLAN_RESULT, given
    if "trigger_id" in given:
        return TRIGGER_REARMED, given
    if "step_id" in given:
        return MISSION_STEP_REPORTED, given
    if "status" in given or "reason" in given:
        return "", given
    return MISSION_PLANNED, given
