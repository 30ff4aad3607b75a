import pickle

import pytest

from rules.alarms import Alerting
from rules.alarms.batches import Pending, Said, release, route
from schemas.payloads import PAYLOADS
from tests.alarm_news import FLAPPING, FOLLOWING, S, Stage, brief, cleared, command, final, raised

BATCH_US = 300 * S
LOUD = "critical_alerts"


def alarm(name: str, time_s: float, severity: str = "warning") -> Said:
    event = raised(0, severity=severity)
    data = event.data
    timed = type(event)(
        type=event.type, event_id=name, vehicle_id="a", time_us=round(time_s * S), data=data
    )
    return Said(timed, loud=True)


def topics(deliveries):
    return sorted((d.topic, d.event.event_id) for d in deliveries)


def test_critical_and_emergency_alarms_are_told_at_once():
    said = [alarm("c", 10, "critical"), alarm("e", 10, "emergency")]
    _, told = route(Pending(), said, 10 * S, BATCH_US)
    assert topics(told) == [
        ("alert_notifications", "c"),
        ("alert_notifications", "e"),
        ("critical_alerts", "c"),
        ("critical_alerts", "e"),
    ]


def test_warnings_wait_for_the_end_of_their_batch_in_event_time():
    pending, told = route(Pending(), [alarm("w", 10)], 10 * S, BATCH_US)
    assert topics(told) == [("alert_notifications", "w")]
    pending, told = route(pending, [], 299_999_999, BATCH_US)
    assert told == []
    pending, told = route(pending, [], 300 * S, BATCH_US)
    assert topics(told) == [("warning_alerts", "w")]
    assert told[0].extensions == {
        "batchstart": "1970-01-01T00:00:00.000000Z",
        "batchend": "1970-01-01T00:05:00.000000Z",
    }
    assert pending.warnings == ()


def test_what_waits_is_the_same_after_a_restart_and_pickled_once():
    pending, _ = route(Pending(), [alarm("w", 10)], 10 * S, BATCH_US)
    stored = pickle.dumps(pending)
    resumed = pickle.loads(stored)
    assert resumed == pending
    assert resumed.warnings[0].pickled == pending.warnings[0].pickled
    assert pickle.dumps(resumed) == stored
    assert release(resumed, BATCH_US) == release(pending, BATCH_US)


def test_a_warning_of_a_batch_already_over_is_told_at_once():
    pending = Pending(high_water_us=900 * S)
    _, told = route(pending, [alarm("old", 10)], 10 * S, BATCH_US)
    assert ("warning_alerts", "old") in topics(told)


def test_what_waits_is_told_when_released_marked_with_the_same_batch():
    pending, _ = route(Pending(), [alarm("w", 10)], 10 * S, BATCH_US)
    _, early = release(pending, BATCH_US)
    _, on_time = route(pending, [], 300 * S, BATCH_US)
    assert early == on_time


def test_information_is_noted_but_not_alerted():
    _, told = route(Pending(), [alarm("i", 10, "info")], 900 * S, BATCH_US)
    assert topics(told) == [("alert_notifications", "i")]


@pytest.mark.parametrize("by", [Alerting(), FOLLOWING])
def test_a_rule_in_shadow_mode_tells_nobody(by):
    stage = Stage(by)
    stage.tell(raised(1, mode="shadow"), raised(1, "b", mode="shadow", severity="warning"))
    assert stage.tell(now_s=1_000) == stage.end() == []


def test_where_nobody_asks_for_states_violations_are_alerts_as_they_are():
    stage = Stage(Alerting())
    events = [raised(1), cleared(2), raised(2, version=2, moment=1)]
    told = stage.tell(*events)
    assert [d.event for d in told if d.topic == LOUD] == events
    assert stage.state.vehicles == {}


def states(*news, by=FOLLOWING, until_s=1_000):
    stage = Stage(by)
    for what in news:
        stage.tell(what)
    stage.tell(now_s=until_s)
    for event in final(stage.told).values():
        payload = {"event_id": event.event_id, "version": event.version, "retracted": False}
        PAYLOADS[event.type].model_validate(
            {**payload, "vehicle_id": event.vehicle_id, **event.data}
        )
    return brief(stage.told)


def test_an_alarm_acknowledged_while_it_holds_is_normal_when_it_clears():
    assert states(raised(1), command("acknowledge", 2), cleared(3)) == [
        (1, "raised", "unacknowledged", None),
        (2, "acknowledged", "acknowledged", "acknowledged"),
        (3, "cleared", "normal", "condition_false"),
    ]


def test_an_alarm_that_clears_first_waits_to_be_acknowledged():
    assert states(raised(1), cleared(2), command("acknowledge", 3)) == [
        (1, "raised", "unacknowledged", None),
        (2, "cleared", "returned-unacknowledged", "condition_false"),
        (3, "acknowledged", "normal", "acknowledged"),
    ]


def test_an_acknowledgement_that_comes_late_corrects_how_the_alarm_cleared():
    in_order = states(raised(1), command("acknowledge", 2), cleared(3))
    assert states(raised(1), cleared(3), command("acknowledge", 2)) == in_order
    assert states(command("acknowledge", 2), raised(1), cleared(3)) == in_order


def test_a_shelved_alarm_is_quiet_until_its_shelf_expires_and_then_told_again():
    stage = Stage()
    stage.tell(raised(1), command("shelve", 2, until_s=100))
    assert not [d for d in stage.tell(cleared(3), raised(4, visit=1)) if d.topic == LOUD]
    assert [d.event.data["state"] for d in stage.told if d.event.type.endswith("raised.v1")] == [
        *("unacknowledged", "unacknowledged"),
        "shelved",
    ]
    assert stage.tell(now_s=109) == []
    told = stage.tell(now_s=110)
    assert [d.topic for d in told] == ["alert_notifications", LOUD]
    data = told[0].event.data
    assert (data["reason"], data["state"]) == ("shelf_expired", "unacknowledged")


def test_an_unshelved_alarm_has_the_state_it_got_meanwhile():
    news = [
        raised(1),
        command("shelve", 2, until_s=100),
        command("acknowledge", 3),
        command("unshelve", 4),
    ]
    assert [state for _, _, state, _ in states(*news)] == [
        *("unacknowledged", "shelved", "shelved", "acknowledged")
    ]


def test_a_latched_alarm_stays_until_it_is_cleared_by_hand():
    latched = {"handling": {"latched": True}}
    news = [
        raised(1, **latched),
        command("clear", 2),
        cleared(3, **latched),
        command("acknowledge", 4),
        command("clear", 5),
    ]
    assert [state for _, _, state, _ in states(*news)] == [
        *("unacknowledged", "latched-unacknowledged", "latched-acknowledged", "normal")
    ]
    stage = Stage()
    stage.tell(*news)
    outcomes = [e.data["refused"] for e in final(stage.told, "command_outcomes").values()]
    assert outcomes == ["its condition still holds; it clears when that ends", None, None]


def test_an_acknowledgement_expires_and_the_alarm_is_told_again():
    lasts = {"handling": {"acknowledged_for": 50.0}}
    stage = Stage()
    stage.tell(raised(1, **lasts), command("acknowledge", 2))
    told = stage.tell(now_s=62)
    assert [(d.topic, d.event.data["reason"]) for d in told] == [
        ("alert_notifications", "acknowledgement_expired"),
        (LOUD, "acknowledgement_expired"),
    ]
    assert brief(stage.told)[-1][:3] == (52, "updated", "unacknowledged")


def test_severity_goes_up_at_once_and_down_only_when_the_alarm_is_normal():
    def severities(*news):
        stage = Stage()
        stage.tell(*news)
        events = sorted(final(stage.told).values(), key=lambda e: e.happened_us)
        return [(e.data["severity"], e.data["state"]) for e in events]

    low, high = {"severity": "warning"}, {"severity": "emergency"}
    assert severities(
        raised(1, **low),
        command("acknowledge", 2),
        raised(3, **high),
        raised(4, **low),
        cleared(5, **low),
        command("acknowledge", 6),
        raised(7, **low),
    ) == [
        ("warning", "unacknowledged"),
        ("warning", "acknowledged"),
        ("emergency", "unacknowledged"),
        ("emergency", "returned-unacknowledged"),
        ("emergency", "normal"),
        ("warning", "unacknowledged"),
    ]


def test_a_flapping_alarm_is_told_once_and_again_when_it_is_steady():
    news = [f(10 * i + d, visit=i) for i in range(5) for f, d in ((raised, 0), (cleared, 5))]
    assert states(*news, by=FLAPPING) == [
        (0, "raised", "unacknowledged", None),
        (5, "cleared", "returned-unacknowledged", "condition_false"),
        (10, "raised", "unacknowledged", None),
        (15, "updated", "returned-unacknowledged", "flapping"),
        (105, "updated", "returned-unacknowledged", "steady"),
    ]


def test_a_rule_says_itself_when_its_alarms_flap():
    flaps = {"handling": {"flapping": {"count": 2, "within": 60.0}}}
    told = states(raised(0, **flaps), cleared(5, **flaps), raised(9, **flaps))
    assert [reason for *_, reason in told] == [None, "flapping", "steady"]


INHIBITING = {"handling": {"inhibits": {"rules": ["de*"], "labels": {"of": "limit"}}}}


def test_an_alarm_suppresses_those_that_it_inhibits_and_they_come_back():
    stage = Stage()
    stage.tell(raised(1), raised(2, "lost", **INHIBITING))
    assert LOUD not in {d.topic for d in stage.tell(raised(3, "battery", labels={"of": "limit"}))}
    assert LOUD in {d.topic for d in stage.tell(raised(4, "leak"))}
    stage.tell(cleared(5, "lost", **INHIBITING))
    assert brief(stage.told) == [
        (1, "raised", "unacknowledged", None),
        (2, "raised", "unacknowledged", None),
        (2, "updated", "suppressed", "inhibited"),
        (3, "raised", "suppressed", None),
        (4, "raised", "unacknowledged", None),
        (5, "cleared", "returned-unacknowledged", "condition_false"),
        (5, "updated", "unacknowledged", "released"),
        (5, "updated", "unacknowledged", "released"),
    ]
    assert len([d for d in stage.told if d.event.data.get("reason") == "released"]) == 4


def test_alarms_of_other_vehicles_are_not_inhibited():
    stage = Stage()
    stage.tell(raised(1, "lost", **INHIBITING))
    assert LOUD in {d.topic for d in stage.tell(raised(2, vehicle="auv-2"))}


def test_a_command_is_obeyed_once():
    stage = Stage()
    stage.tell(raised(1), command("acknowledge", 2))
    assert stage.tell(command("acknowledge", 2)) == []
    [outcome] = final(stage.told, "command_outcomes").values()
    assert (outcome.data["outcome"], outcome.data["who"]) == ("obeyed", "ana")


@pytest.mark.parametrize(
    ("news", "why"),
    [
        ([raised(1), command("acknowledge", 2), command("acknowledge", 3)], "is acknowledged alr"),
        ([raised(1), command("unshelve", 2)], "is not shelved"),
        ([raised(1), cleared(2), command("clear", 3)], "is not latched"),
        ([raised(1), raised(9), command("shelve", 2, until_s=4), cleared(30, "x")], None),
        ([command("acknowledge", 1)], "no such alarm is known"),
        ([raised(5), command("acknowledge", 1, visit="other")], "no such alarm is known"),
    ],
)
def test_a_command_that_cannot_be_obeyed_is_told_as_refused(news, why):
    stage = Stage()
    stage.tell(*news)
    stage.tell(now_s=1_000)
    outcome = max(final(stage.told, "command_outcomes").values(), key=lambda e: e.data["given"])
    assert (outcome.data["refused"] or "").startswith(why or "")
    assert outcome.data["outcome"] == ("refused" if why else "obeyed")


def test_a_refusal_at_the_end_of_the_input_is_taken_back_when_the_alarm_comes_after_all():
    stage = Stage()
    stage.tell(command("acknowledge", 5))
    [refused] = stage.end()
    assert refused.event.data["outcome"] == "refused"
    stage.tell(raised(1, "other"))
    assert [d.topic for d in stage.end()] == []
    told = stage.tell(raised(2))
    assert brief(told)[-1][2] == "acknowledged"
    [outcome] = final(stage.told, "command_outcomes").values()
    assert (outcome.version, outcome.data["outcome"]) == (2, "obeyed")


def test_a_violation_that_is_retracted_takes_its_alarm_with_it():
    stage = Stage()
    stage.tell(raised(1), command("acknowledge", 2))
    told = stage.tell(raised(1, version=2, retracted=True))
    assert {d.event.retracted for d in told if d.topic != "command_outcomes"} == {True}
    assert brief(stage.told) == []
    stage.tell(raised(1, version=3))
    assert [state for _, _, state, _ in brief(stage.told)] == ["unacknowledged", "acknowledged"]


def test_what_is_final_is_folded_away():
    stage = Stage()
    for i in range(400):
        stage.tell(raised(10 * i, visit=i), cleared(10 * i + 5, visit=i))
    [watched] = stage.state.vehicles.values()
    assert len(watched.log) < 40
    assert len(watched.told) < 40
    assert len(watched.tip.alarms) == 1
    assert len(brief(stage.told)) == 800
