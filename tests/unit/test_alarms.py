from rules.alarms import Pending, release, route
from schemas.event import ALARM_RAISED, Event

BATCH_US = 300_000_000


def alarm(name: str, time_s: float, severity: str = "warning", mode: str = "active") -> Event:
    return Event(
        type=ALARM_RAISED,
        event_id=name,
        vehicle_id="auv-1",
        time_us=round(time_s * 1e6),
        data={"severity": severity, "mode": mode},
    )


def topics(deliveries):
    return sorted((d.topic, d.event.event_id) for d in deliveries)


def test_critical_and_emergency_alarms_are_told_at_once():
    events = [alarm("c", 10, "critical"), alarm("e", 10, "emergency")]
    _, told = route(Pending(), events, 10_000_000, BATCH_US)
    assert topics(told) == [
        ("alert_notifications", "c"),
        ("alert_notifications", "e"),
        ("critical_alerts", "c"),
        ("critical_alerts", "e"),
    ]


def test_warnings_wait_for_the_end_of_their_batch_in_event_time():
    pending, told = route(Pending(), [alarm("w", 10)], 10_000_000, BATCH_US)
    assert topics(told) == [("alert_notifications", "w")]
    pending, told = route(pending, [], 299_999_999, BATCH_US)
    assert told == []
    pending, told = route(pending, [], 300_000_000, BATCH_US)
    assert topics(told) == [("warning_alerts", "w")]
    assert told[0].extensions == {
        "batchstart": "1970-01-01T00:00:00.000000Z",
        "batchend": "1970-01-01T00:05:00.000000Z",
    }
    assert pending.warnings == ()


def test_a_warning_of_a_batch_already_over_is_told_at_once():
    pending = Pending(high_water_us=900_000_000)
    _, told = route(pending, [alarm("old", 10)], 10_000_000, BATCH_US)
    assert ("warning_alerts", "old") in topics(told)


def test_what_waits_is_told_when_released_marked_with_the_same_batch():
    pending, _ = route(Pending(), [alarm("w", 10)], 10_000_000, BATCH_US)
    _, early = release(pending, BATCH_US)
    _, on_time = route(pending, [], 300_000_000, BATCH_US)
    assert early == on_time


def test_information_is_noted_but_not_alerted():
    _, told = route(Pending(), [alarm("i", 10, "info")], 900_000_000, BATCH_US)
    assert topics(told) == [("alert_notifications", "i")]


def test_a_rule_in_shadow_mode_tells_nobody():
    events = [alarm("s", 10, "critical", "shadow"), alarm("t", 10, "warning", "shadow")]
    pending, told = route(Pending(), events, 10_000_000, BATCH_US)
    assert (pending.warnings, told) == ((), [])
