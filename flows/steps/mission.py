"""What vehicles are to do, planners answer and hazard says: read from files, heard on topics."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream
from pydantic import ValidationError

from connectors.contract import SettingsError
from connectors.documents import read_file
from connectors.policy import policy_in_force
from connectors.registry import open_source
from flows.steps.backlog import ReadFirst
from flows.steps.decode import only
from flows.steps.drain import DrainingSource
from flows.steps.registry import RegistryError
from flows.wiring import Wiring
from rules.assessment import KeyGroups
from rules.hazard.part import Scored
from rules.planning.intake import Given
from rules.planning.part import Part, Whole, scores_in
from rules.planning.triggers import CompiledTrigger, load_triggers
from rules.share import Share, shares
from schemas.delivery import Delivery
from schemas.effective import overlaps
from schemas.event import HAZARD_SCORED, Event, payload
from schemas.event_decoding import decode_events
from schemas.message import Message, Reject
from schemas.mission_decoding import decode_answers, decode_planned
from schemas.mission_plan import MissionPlan, Planned, StepReport
from schemas.payloads import HazardScored
from schemas.plan_result import Answer, PlanResult, Rearm
from schemas.policy import Policy
from schemas.rejected import dead_letter
from schemas.rule import RuleFileError

PLANS: Final = "mission_plans"
RESULTS: Final = "plan_results"
SCORES: Final = "hazard_scores"

Heard = Planned | Answer | Event
Shares = Iterator[tuple[str, Share[Whole]]]
Item = TypeVar("Item", bound=MissionPlan | StepReport | PlanResult | Rearm)


def load_trigger_file(url: str) -> tuple[CompiledTrigger, ...]:
    """The triggers that the URL names.

    Raises:
        RegistryError: every mistake in the document.
        SettingsError: it cannot be read.
    """
    document, name = read_file(url, "triggers")
    try:
        triggers = load_triggers(document, name)
    except RuleFileError as exc:
        raise RegistryError(exc.mistakes) from exc
    if mistakes := tuple(overlaps([one.trigger for one in triggers], name)):
        raise RegistryError(mistakes)
    return triggers


def read_given(plans_url: str, results_url: str) -> Given:
    """What the files hold that the URLs name; nothing of topics.

    Raises:
        RegistryError: every line that is none of a plan, a report, a result or a command, or a
            command that the policy does not grant.
        SettingsError: a file cannot be read, or the policy.
    """
    planned: dict[str, tuple[Planned, ...]] = {}
    plans: list[Planned] = _good(decode_planned(_lines_of(plans_url, "mission plans")))
    for plan in plans:
        planned[plan.vehicle_id] = (*planned.get(plan.vehicle_id, ()), plan)
    answers: dict[str, tuple[Answer, ...]] = {}
    found: list[Answer] = _good(_granted(policy_in_force(), _lines_of(results_url, "plan results")))
    for answer in found:
        answers[answer.vehicle_id] = (*answers.get(answer.vehicle_id, ()), answer)
    return Given(planned, answers)


def _lines_of(url: str, holds: str) -> list[Message]:
    if not url.startswith("file:"):
        return []
    document, name = read_file(url, holds)
    return [Message(document, name, 1)]


def _good(items: Iterator[Item | Reject]) -> list[Item]:
    found: list[Item] = []
    refused: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            refused.append(item)
        else:
            found.append(item)
    if refused:
        raise RegistryError(f"{one.origin}: {one.reason}" for one in refused)
    return found


def heard(
    flow: Dataflow, wiring: Wiring, groups: KeyGroups
) -> tuple[list[KeyedStream[Share[Whole]]], list[Stream[Delivery]]]:
    """What comes on topics: parts, and dead letters; what is there already before telemetry.

    Raises:
        SettingsError, ConnectorError: one cannot be read, or the policy.
    """
    parts, letters = [], []
    decoders: dict[str, Callable[[Sequence[Message]], Iterator[Heard | Reject]]] = {
        PLANS: decode_planned,
        RESULTS: partial(_granted, policy_in_force()),
        SCORES: _decode_scores,
    }
    settings = wiring.settings
    for name, decode in decoders.items():
        url: str = getattr(settings, name)
        # Files of scores may be as long as those of telemetry: they are not read whole.
        if not url or (url.startswith("file:") and name != SCORES):
            continue
        source = open_source(url, replace(settings.connector(), format="ndjson"))
        source.check()
        first = ReadFirst(source.build(None), wiring.backlog)
        messages = op.input(name, flow, DrainingSource(first, wiring.drain))
        received = op.flat_map_batch(f"{name}_events", messages, _received(decode))
        cut = _by_group(groups)
        parts.append(op.flat_map_batch(f"{name}_by_group", received, cut))
        letters.append(op.flat_map_batch(f"{name}_rejects", received, _letters))
    return parts, letters


def scores_of(groups: KeyGroups) -> Callable[[list[Scored]], Shares]:
    """What was scored, for the key groups of the records, whether there is a score or not."""

    def by_group(batch: list[Scored]) -> Shares:
        for scored in batch:
            vehicles = Counter(_keys(groups, scored.vehicle_ids))
            part = Part(
                tuple(vehicles),
                scores=scores_in(scored.events),
                stamp=scored.stamp,
                vehicles=tuple(vehicles.values()),
            )
            yield from shares(Whole(part, groups))

    return by_group


def _keys(groups: KeyGroups, vehicle_ids: Iterable[str]) -> Iterator[str]:
    return (groups.key(groups.of(name)) for name in vehicle_ids)


def _granted(
    policy: Policy | None, messages: Sequence[Message]
) -> Iterator[PlanResult | Rearm | Reject]:
    """Answers; a command that the policy does not grant whom it names is refused."""
    for answer in decode_answers(messages):
        refusal = None
        if policy is not None and isinstance(answer, Rearm):
            refusal = _refusal(policy, answer)
        yield refusal or answer


def _refusal(policy: Policy, command: Rearm) -> Reject | None:
    why = policy.refusal(command.who, "triggers.rearm", command.vehicle_id)
    if not why:
        return None
    raw = msgspec.json.encode(command.model_dump(mode="json"), order="sorted")
    return Reject(f"who: {why}", "who", raw, f"{RESULTS}:{command.vehicle_id}")


def _decode_scores(messages: Sequence[Message]) -> Iterator[Event | Reject]:
    for event in decode_events(messages, (HAZARD_SCORED,)):
        yield event if isinstance(event, Reject) else _sound(event)


def _sound(event: Event) -> Event | Reject:
    """The event, refused where it is no score that planning can read."""
    try:
        HazardScored.model_validate(payload(event))
    except ValidationError as exc:
        [first, *_] = exc.errors(include_url=False)
        field = ".".join(map(str, first["loc"]))
        raw = msgspec.json.encode(payload(event))
        return Reject(f"{field}: {first['msg'].lower()}", field, raw, event.message_id)
    return event


def _received(
    decode: Callable[[Sequence[Message]], Iterator[Heard | Reject]],
) -> Callable[[list[Message | Reject]], list[Heard | Reject]]:
    def received(batch: list[Message | Reject]) -> list[Heard | Reject]:
        return [*only(Reject, batch), *decode(only(Message, batch))]

    return received


def _by_group(groups: KeyGroups) -> Callable[[list[Heard | Reject]], Shares]:
    def by_group(batch: list[Heard | Reject]) -> Shares:
        if events := only(Event, batch):
            keys = tuple(dict.fromkeys(_keys(groups, (event.vehicle_id for event in events))))
            yield from shares(Whole(Part(keys, scores=scores_in(events)), groups))
        for one in batch:
            if isinstance(one, Reject | Event):
                continue
            keys = tuple(_keys(groups, [one.vehicle_id]))
            if isinstance(one, MissionPlan | StepReport):
                part = Part(keys, planned=(one,))
            else:
                part = Part(keys, answers=(one,))
            yield from shares(Whole(part, groups))

    return by_group


def _letters(batch: list[Heard | Reject]) -> list[Delivery]:
    return [dead_letter(reject) for reject in only(Reject, batch)]


def refuse_without(
    triggers: Sequence[CompiledTrigger], *, plans: bool, zones: bool, scores: bool
) -> None:
    """Refuse triggers that ask for what is not given.

    Raises:
        SettingsError: one line with the triggers and the setting that is missing.
    """
    for there, names, setting in (
        (plans, ("plan.", "goal.", "comms.", "mission."), "FARWATCH_MISSION_PLANS"),
        (zones, ("ahead.",), "FARWATCH_ZONES (--zones)"),
        (
            scores,
            ("hazard.",),
            "FARWATCH_HAZARD in the watch, or FARWATCH_HAZARD_SCORES to where `flows.hazard` tells"
            " them",
        ),
    ):
        asking = [t.trigger.id for t in triggers if any(c.startswith(names) for c in t.reads)]
        if asking and not there:
            raise SettingsError(
                f"triggers {', '.join(f'`{name}`' for name in asking)} ask for"
                f" {', '.join(f'`{name}name`' for name in names)}; set {setting}"
            )
