"""Plans, reports, results and commands from bytes: what is read, and what is a dead letter."""

import json

import pytest

from schemas.message import Message, Reject
from schemas.mission_decoding import decode_answers, decode_planned
from schemas.mission_plan import MissionPlan, StepReport
from schemas.plan_result import PlanResult, Rearm

PLAN = {
    "vehicle_id": "auv-1",
    "time": "2026-03-01T00:00:00Z",
    "plan_id": "p1",
    "version": 3,
    "path": [{"longitude": 1.0, "latitude": 2.0, "depth_m": 40.0}],
    "goal": {"longitude": 1.0, "latitude": 2.0, "by": "2026-03-01T06:00:00Z"},
    "reserve_pct": 20,
    "next_charge": "2026-03-01T08:00:00Z",
    "windows": [{"opens": "2026-03-01T02:00:00Z", "closes": "2026-03-01T02:10:00Z"}],
    "steps": [{"id": "s1", "status": "done", "time": "2026-03-01T01:00:00Z"}],
    "avoid": ["zone-1"],
}
RESULT = {
    "vehicle_id": "auv-1",
    "time": "2026-03-01T01:00:00Z",
    "request_id": "0" * 32,
    "status": "answered",
    "plan_id": "p2",
}


def read(decode, *given):
    body = "\n".join(g if isinstance(g, str) else json.dumps(g) for g in given)
    return list(decode([Message(body.encode(), "file:x", 1)]))


def event(event_type, data):
    return {"specversion": "1.0", "id": "1", "source": "/x", "type": event_type, "data": data}


def test_bare_objects_and_cloud_events_are_read_alike():
    step = {
        "vehicle_id": "auv-1",
        "time": "2026-03-01T02:00:00Z",
        "step_id": "s1",
        "status": "done",
    }
    bare = read(decode_planned, PLAN, step)
    told = read(
        decode_planned,
        event("farwatch.mission.planned.v1", PLAN),
        event("farwatch.mission.step_reported.v1", step),
    )
    assert bare == told
    assert [type(one) for one in bare] == [MissionPlan, StepReport]
    assert (bare[0].version, bare[0].time_us) == (3, 1_772_323_200_000_000)
    command = {"vehicle_id": "auv-1", "time": "2026-03-01T02:00:00Z", "trigger_id": "low"}
    answers = read(
        decode_answers,
        RESULT,
        command,
        event("farwatch.plan.result.v1", RESULT | {"event_id": "x"}),
    )
    assert [type(one) for one in answers] == [PlanResult, Rearm, PlanResult]
    assert answers[0] == answers[2]


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ("{", "", "no JSON object"),
        ("[1]", "", "no JSON object"),
        (PLAN | {"reserve_pct": 120}, "reserve_pct", "reserve_pct: 120 input should be less than"),
        (PLAN | {"time": "yesterday"}, "time", "give a time of rfc 3339"),
        (PLAN | {"vehicle_id": "a b"}, "vehicle_id", "vehicle_id: 'a b'"),
        (PLAN | {"path": [{"longitude": 1}]}, "path.0.latitude", "path.0.latitude: field required"),
        (PLAN | {"speed": 3}, "speed", "extra inputs are not permitted"),
        (
            PLAN
            | {"windows": [{"opens": "2026-03-01T02:00:00Z", "closes": "2026-03-01T01:00:00Z"}]},
            "windows.0",
            "`opens` is not before `closes`",
        ),
        (RESULT, "type", "type: farwatch.plan.result.v1 is not read here"),
        (
            event("farwatch.zone.entered.v1", {}),
            "type",
            "farwatch.zone.entered.v1 is not read here",
        ),
        (event("farwatch.mission.planned.v1", None), "data", "data: is no object"),
    ],
)
def test_what_is_no_plan_is_rejected_alone_with_field_and_limit(given, field, said):
    good, bad, also = read(decode_planned, PLAN, given, PLAN)
    assert good == also
    assert isinstance(bad, Reject)
    assert (bad.field, bad.origin) == (field, "file:x:2")
    assert said in bad.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (RESULT | {"status": "done"}, "status: 'done'"),
        (RESULT | {"request_id": "7"}, "request_id: '7'"),
        ({"vehicle_id": "a", "time": "2026-03-01T02:00:00Z"}, "is not read here"),
        (
            {"vehicle_id": "a", "time": "2026-03-01T02:00:00Z", "status": "answered"},
            "is not read here",
        ),
    ],
)
def test_what_is_no_answer_arms_nothing(given, said):
    (bad,) = read(decode_answers, given)
    assert isinstance(bad, Reject)
    assert said in bad.reason
