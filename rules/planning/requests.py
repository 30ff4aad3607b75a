"""Plan requests: what triggers that fired come to, and what became of it, as events.

Triggers of a vehicle that fire within ``fold_us`` of the first one are reasons of one request; each
further one is told as a higher version of it. A request is open until it is answered or rejected;
where neither has happened by its deadline it has expired, and an alarm is raised.

All that is to be told of a vehicle is worked out from what fired and what was answered, and held
against what was told: what differs is told under the same id with a higher version, what is gone
is retracted.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from rules.planning.fires import Fire
from schemas.delivery import Delivery
from schemas.event import (
    ALARM_CLEARED,
    ALARM_RAISED,
    PLAN_ACCEPTED,
    PLAN_ANSWERED,
    PLAN_EXPIRED,
    PLAN_REJECTED,
    PLAN_REQUESTED,
    Event,
    identity,
)
from schemas.frame import rfc3339
from schemas.plan_result import PlanResult
from schemas.topics import COMPLIANCE_VIOLATIONS, PLAN_REQUESTS, SHADOW_PLAN_REQUESTS

_RESULTS: Final = {
    "accepted": PLAN_ACCEPTED,
    "answered": PLAN_ANSWERED,
    "rejected": PLAN_REJECTED,
}
_FINAL: Final = ("answered", "rejected")
_NEVER_ANSWERED: Final = "no-plan-by-deadline"
"""Rule id of the alarm that a request was not answered."""


Said = Mapping[str, tuple[str, Event]]
"""By event id the topic and the last version told."""


class Request(NamedTuple):
    """A request: ``fires`` in the order they fired, the first of which names it.

    ``request_id``: what planners answer with. ``main``: the most urgent reason, which the request
    is for; of equals the one that came first. ``deadline_us``: when the first of its reasons has
    waited long enough.
    """

    vehicle_id: str
    fires: tuple[Fire, ...]
    request_id: str
    main: Fire
    deadline_us: int

    @classmethod
    def of(cls, vehicle_id: str, fires: Sequence[Fire]) -> "Request":
        """The request of at least one fire."""
        first = fires[0]
        names = (vehicle_id, first.trigger_id, first.trigger_version, first.time_us)
        return cls(
            vehicle_id,
            tuple(fires),
            identity("plan request", *names),
            max(fires, key=attrgetter("priority")),
            min([fire.deadline_us for fire in fires]),
        )

    @property
    def shadow(self) -> bool:
        """Whether nobody is asked."""
        return self.fires[0].shadow


def folded(vehicle_id: str, fires: Sequence[Fire], fold_us: int) -> list[Request]:
    """The requests that fires of a vehicle make; those of shadow triggers are by themselves."""
    requests: list[Request] = []
    for shadow in (False, True):
        group: list[Fire] = []
        ordered = sorted(fires, key=lambda fire: (fire.time_us, fire.place))
        for one in (fire for fire in ordered if fire.shadow is shadow):
            if group and one.time_us > group[0].time_us + fold_us:
                requests.append(Request.of(vehicle_id, group))
                group = []
            group.append(one)
        if group:
            requests.append(Request.of(vehicle_id, group))
    return requests


def told_of(requests: Sequence[Request], results: Sequence[PlanResult], clock_us: int) -> Said:
    """All there is to tell of a vehicle's requests when event time has come to ``clock_us``."""
    told = {}
    for request in requests:
        own = [result for result in results if result.request_id == request.request_id]
        for topic, event in _events(request, own, clock_us):
            told[event.event_id] = topic, event
    return told


def final_us(request: Request, results: Sequence[PlanResult]) -> int:
    """The event time from which on nothing more can come of a request, answers in time."""
    own = [r.time_us for r in results if r.request_id == request.request_id and r.status in _FINAL]
    return max([request.deadline_us, *own])


def _events(
    request: Request, results: Sequence[PlanResult], clock_us: int
) -> Iterator[tuple[str, Event]]:
    topic = SHADOW_PLAN_REQUESTS if request.shadow else PLAN_REQUESTS
    yield topic, _requested(request)
    ordered = sorted(results, key=lambda r: (r.time_us, r.status, r.plan_id, r.reason))
    first: dict[str, PlanResult] = {}
    for result in ordered:
        # Of answers the first one counts; who accepts after that is late.
        if result.status in _FINAL and first.keys() & set(_FINAL):
            continue
        if result.status not in first:
            first[result.status] = result
            yield topic, _became(request, result)
    answer = next((first[status] for status in _FINAL if status in first), None)
    deadline_us = request.deadline_us
    if clock_us < deadline_us or (answer is not None and answer.time_us <= deadline_us):
        return
    yield topic, _event(request, PLAN_EXPIRED, deadline_us, {"state": "expired"})
    if request.shadow:
        return
    severity = max((f.severity for f in request.fires), key=_SEVERITIES.index)
    yield COMPLIANCE_VIOLATIONS, _alarm(request, severity, deadline_us, None)
    if answer is not None:
        yield COMPLIANCE_VIOLATIONS, _alarm(request, severity, deadline_us, answer)


_SEVERITIES: Final = ("info", "warning", "critical", "emergency")


def _requested(request: Request) -> Event:
    main = request.main
    data = {
        "trigger_id": main.trigger_id,
        "trigger_version": main.trigger_version,
        "state": "requested",
        "mode": "shadow" if request.shadow else "active",
        "priority": main.priority,
        "deadline": rfc3339(request.deadline_us),
        "reasons": [fire.reason for fire in request.fires],
        "context": request.fires[-1].context,
    }
    return _event(request, PLAN_REQUESTED, request.fires[0].time_us, data)


def _became(request: Request, result: PlanResult) -> Event:
    data = {
        "state": result.status,
        "plan_id": result.plan_id,
        "reason": result.reason,
        "late": result.time_us > request.deadline_us,
    }
    return _event(request, _RESULTS[result.status], result.time_us, data)


def _event(request: Request, event_type: str, time_us: int, data: dict[str, Any]) -> Event:
    main = request.main
    return Event(
        type=event_type,
        event_id=identity(event_type, request.request_id),
        vehicle_id=request.vehicle_id,
        time_us=time_us,
        data={
            "request_id": request.request_id,
            "trigger_id": main.trigger_id,
            "trigger_version": main.trigger_version,
            "time": rfc3339(time_us),
            **data,
        },
    )


def _alarm(request: Request, severity: str, deadline_us: int, answer: PlanResult | None) -> Event:
    """The alarm that nobody answered in time, or that somebody has after all."""
    main = request.main
    event_type = ALARM_RAISED if answer is None else ALARM_CLEARED
    time_us = deadline_us if answer is None else answer.time_us
    waited_s = (deadline_us - request.fires[0].time_us) / 1e6
    data: dict[str, Any] = {
        "alarm_id": identity("alarm", _NEVER_ANSWERED, request.request_id),
        "rule_id": _NEVER_ANSWERED,
        "rule_version": 1,
        "severity": severity,
        "mode": "active",
        "state": "unacknowledged" if answer is None else "returned-unacknowledged",
        "time": rfc3339(time_us),
        "message": (
            f"{request.vehicle_id}: no plan {waited_s:g} s after {main.trigger_id} asked for one"
            if answer is None
            else f"{_NEVER_ANSWERED} no longer holds"
        ),
        "zone_id": None,
        "visit_id": None,
        "decision": {
            "inputs": {"request_id": request.request_id, "trigger_id": main.trigger_id},
            "limit": waited_s,
            "margin": (time_us - deadline_us) / 1e6,
            "zone_version": None,
            "since": rfc3339(request.fires[0].time_us),
            "fixes": request.fires[0].reason["decision"]["fixes"],
        },
    }
    if answer is not None:
        data |= {"reason": "condition_false", "duration_s": (time_us - deadline_us) / 1e6}
    return Event(
        type=event_type,
        event_id=identity(event_type, data["alarm_id"]),
        vehicle_id=request.vehicle_id,
        time_us=time_us,
        data=data,
    )


def news(before: Said, told: Said) -> tuple[Said, list[Delivery]]:
    """What has been told after this, retracted events too, and what to tell."""
    after, changed = dict(before), []
    for event_id, (topic, event) in told.items():
        was = before.get(event_id)
        if was is None:
            changed.append((topic, event))
        elif was[1].retracted or was[1].data != event.data:
            changed.append((topic, replace(event, version=was[1].version + 1)))
    for event_id, (topic, event) in before.items():
        if event_id not in told and not event.retracted:
            changed.append((topic, replace(event, version=event.version + 1, retracted=True)))
    after |= {event.event_id: (topic, event) for topic, event in changed}
    return after, [Delivery(topic, event) for topic, event in changed]
