"""Planning in process: records, plans and answers in any cut, and what holds in the end."""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from rules.assessment import KeyGroups
from rules.fences import Fences
from rules.planning.group import advance, finish
from rules.planning.intake import Given, Intake
from rules.planning.move import Judges, Policy
from rules.planning.part import Part
from rules.planning.state import PlanningState
from rules.planning.triggers import TriggerBook, load_triggers
from schemas.delivery import Delivery
from schemas.event import Event, payload
from schemas.mission_plan import MissionPlan, Planned
from schemas.payloads import PAYLOADS
from schemas.plan_result import Answer
from schemas.zone import Zone
from tests.frames import frame_of

START = "1970-01-01T00:00:00Z"


def book_of(text: str, zones: Sequence[Zone] = ()) -> TriggerBook:
    """The triggers of a YAML text over some zones."""
    return TriggerBook(load_triggers(text.encode(), "triggers.yaml"), Fences(zones))


def plan(vehicle_id: str = "a", time: str = START, **given: Any) -> MissionPlan:
    """A plan in force from the start."""
    return MissionPlan.model_validate({"vehicle_id": vehicle_id, "time": time, **given})


def given(planned: Iterable[Planned] = (), answers: Iterable[Answer] = ()) -> Given:
    """What is known from the start."""
    found: dict[str, tuple[Planned, ...]] = {}
    for one in planned:
        found[one.vehicle_id] = (*found.get(one.vehicle_id, ()), one)
    answered: dict[str, tuple[Answer, ...]] = {}
    for answer in answers:
        answered[answer.vehicle_id] = (*answered.get(answer.vehicle_id, ()), answer)
    return Given(found, answered)


def told(
    book: TriggerBook,
    records: Sequence[Mapping[str, Any]],
    cuts: Iterable[int] = (),
    *,
    policy: Policy | None = None,
    known: Given | None = None,
    heard: Mapping[int, Part] | None = None,
    resumed: Iterable[int] = (),
    groups: int = 1,
) -> list[Delivery]:
    """All that is told of records in this order, cut into frames, until the input ends.

    ``heard``: place -> what comes before the frame that begins there. ``resumed``: numbers of
    frames after which the states are pickled and read back.
    """
    policy = policy or Policy()
    key_groups = KeyGroups(groups)
    judges = Judges(book, policy, known or Given(), key_groups)
    intake = Intake(policy.every_us, key_groups, book.sensors, book.kinds)
    states: dict[str, PlanningState] = {}
    deliveries: list[Delivery] = []

    def take(key: str, part: Part) -> None:
        states[key], found = advance(judges, states.get(key, PlanningState()), part)
        deliveries.extend(found)

    heard = dict(heard or {})
    bounds = [0, *sorted({c for c in (*cuts, *heard) if 0 < c < len(records)}), len(records)]
    for number, (a, b) in enumerate(pairwise(bounds)):
        if a in heard:
            take("group-0000", heard[a])
        whole = intake.whole(frame_of(records[a:b]))
        for key in whole.keys if whole else ():
            take(key, whole.of({key}))
        if number in resumed:
            states = pickle.loads(pickle.dumps(states))
    for key, state in states.items():
        states[key], found = finish(judges, state)
        deliveries += found
    return deliveries


def final(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], Event]:
    """(topic, event id) -> the event that holds in the end; versions only ever rise."""
    latest: dict[tuple[str, str], Event] = {}
    for delivery in deliveries:
        event = delivery.event
        PAYLOADS[event.type].model_validate(payload(event))
        before = latest.get((delivery.topic, event.event_id))
        assert before is None or before.version < event.version, "told twice"
        latest[delivery.topic, event.event_id] = event
    return {key: event for key, event in latest.items() if not event.retracted}


def answers(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], tuple[int | None, Any]]:
    """What holds in the end, versions aside."""
    return {key: (event.time_us, event.data) for key, event in final(deliveries).items()}


def requests(deliveries: Iterable[Delivery], topic: str = "plan_requests") -> list[Event]:
    """The requests that hold in the end, by time."""
    held = [
        event
        for (on, _), event in final(deliveries).items()
        if on == topic and event.type == "farwatch.plan.requested.v1"
    ]
    return sorted(held, key=lambda event: (event.happened_us, event.vehicle_id))


def fired(deliveries: Iterable[Delivery]) -> list[tuple[float, str]]:
    """(seconds, trigger) of every reason of the requests that hold in the end."""
    found = [
        (reason["time"], reason["trigger_id"])
        for event in requests(deliveries)
        for reason in event.data["reasons"]
    ]
    return [(seconds(time), trigger) for time, trigger in sorted(found)]


def seconds(time: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.fromisoformat(time).timestamp()
