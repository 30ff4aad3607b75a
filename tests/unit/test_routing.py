"""Routing: the tree of routes, batches, repetitions and times to be quiet, in event time."""

import pytest

from rules.routing import Router, RoutingState
from schemas.payloads import PAYLOADS
from schemas.route_file import RouteFileError, load_routes
from tests.alarm_news import T0, S, Stage, cleared, command, raised

TREE = b"""
targets:
  ops: {url: "json://localhost/ops"}
  pager: {url: "json://localhost/pager", rate: 5/1m}
  science: {url: "mailto://${WHO}@localhost"}
mute_times:
  nights: {windows: ["22:00-06:00"]}
routes:
  - match: {severity: [critical, emergency]}
    to: [pager]
    repeat_interval: 30m
    continue: true
    routes:
      - match: {rules: [leak*]}
        to: [pager, ops]
  - match: {labels: {team: science}}
    to: [science]
    mute: [nights]
    group_by: [zone]
    cleared: true
    topics: [critical_alerts]
  - to: [ops]
    batch: 10m
"""


def routes(text=TREE):
    return load_routes(text, "routes.yaml", {"WHO": "ana"})


class Routed:
    def __init__(self, text=TREE):
        self.router, self.state, self.stage = Router(routes(text)), RoutingState(), Stage()

    def tell(self, *what, now_s=None):
        events = [
            d.event for d in self.stage.tell(*what, now_s=now_s) if d.topic == "alert_notifications"
        ]
        come = [] if now_s is None else [T0 + round(now_s * S)]
        self.state, told = self.router.advance(self.state, [*events, *come])
        for delivery in told:
            if delivery.topic == "notifications":
                event = delivery.event
                data = {"event_id": event.event_id, "version": 1, "retracted": False}
                PAYLOADS[event.type].model_validate(
                    {**data, "vehicle_id": event.vehicle_id, **event.data}
                )
        return told


def brief(told):
    return [
        (
            (d.event.happened_us - T0) / S,
            d.event.data["target"],
            [a["rule_id"] for a in d.event.data["alarms"]],
            d.event.data["repeated"],
        )
        for d in told
        if d.topic == "notifications"
    ]


def test_a_critical_alert_is_notified_at_once_down_the_first_branch_and_on():
    assert brief(Routed().tell(raised(5))) == [(5, "pager", ["deep"], 0), (5, "ops", ["deep"], 0)]


def test_the_deepest_branch_that_matches_takes_an_alert():
    told = brief(Routed().tell(raised(5, "leak-1")))
    assert [target for _, target, *_ in told] == ["pager", "ops", "ops"]


def test_warnings_of_a_group_are_notified_together_at_the_end_of_their_batch():
    routed = Routed()
    low = {"severity": "warning"}
    assert routed.tell(raised(5, "a", **low), raised(6, "b", **low)) == []
    assert routed.tell(raised(7, "c", vehicle="auv-2", **low), now_s=599) == []
    assert brief(routed.tell(now_s=600)) == [
        (600, "ops", ["a", "b"], 0),
        (600, "ops", ["c"], 0),
    ]
    assert routed.tell(now_s=2_000) == []


def test_what_waits_is_notified_when_released():
    routed = Routed()
    routed.tell(raised(5, "a", severity="warning"))
    routed.state, told = routed.router.release(routed.state)
    assert brief(told) == [(600, "ops", ["a"], 0)]
    assert routed.tell(now_s=600) == []


def test_a_standing_alert_is_notified_again_until_somebody_acknowledges_it():
    routed = Routed()
    routed.tell(raised(0), raised(60, "tilt"))
    assert brief(routed.tell(now_s=1_859)) == []
    assert brief(routed.tell(now_s=1_860)) == [(1_860, "pager", ["deep", "tilt"], 1)]
    routed.tell(command("acknowledge", 2_000))
    assert brief(routed.tell(now_s=3_660)) == [(3_660, "pager", ["tilt"], 2)]
    routed.tell(cleared(3_700, "tilt"))
    assert brief(routed.tell(now_s=9_999)) == []
    assert not [group for group in routed.state.groups.values() if group.standing]


def test_where_several_repetitions_are_due_the_latest_stands_for_all():
    routed = Routed()
    routed.tell(raised(0))
    assert brief(routed.tell(now_s=6_000)) == [(5_400, "pager", ["deep"], 1)]


def test_nobody_is_notified_at_times_to_be_quiet():
    science = {"labels": {"team": "science"}, "severity": "critical", "zone": "z"}
    routed = Routed()
    at_night = brief(routed.tell(raised(0, **science)))
    assert [target for _, target, *_ in at_night] == ["pager"]
    told = routed.tell(
        raised(8 * 3_600, "day", **science), cleared(8 * 3_600 + 9, "day", **science)
    )
    assert [target for _, target, *_ in brief(told)] == ["pager", "science", "science"]


def test_a_route_sends_alerts_to_a_topic_besides_that_of_their_severity():
    told = Routed().tell(raised(5, labels={"team": "science"}, severity="warning"))
    assert [d.topic for d in told] == ["critical_alerts"]
    told = Routed().tell(raised(5, labels={"team": "science"}))
    assert [d.topic for d in told if d.topic != "notifications"] == []


def test_a_shelved_alarm_notifies_nobody_and_again_when_its_shelf_expires():
    routed = Routed()
    routed.tell(raised(0))
    assert routed.tell(command("shelve", 1, until_s=100), cleared(50), raised(60, visit=1)) == []
    assert [target for _, target, *_ in brief(routed.tell(now_s=200))] == ["pager", "ops"]


def test_a_notification_says_whose_and_what():
    routed = Routed()
    [told, _] = routed.tell(raised(5))
    assert told.event.data["title"] == "[critical] auv-1: deep"
    assert told.event.data["body"] == "2026-01-01T00:00:05.000000Z auv-1 deep: deep"


def test_the_same_alerts_give_the_same_notifications_however_they_are_cut():
    low = {"severity": "warning"}
    news = [raised(i * 40, f"r{i % 3}", visit=i, **(low if i % 2 else {})) for i in range(30)]

    def told(pieces):
        routed, found = Routed(), []
        for piece in pieces:
            found += routed.tell(*piece)
        found += routed.tell(now_s=9_000)
        return sorted((d.event.message_id, d.event.data["title"]) for d in found)

    whole = told([news])
    assert told([[each] for each in news]) == whole
    assert told([news[:7], news[7:20], news[20:]]) == whole


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"rate: 5/1m", b"rate: often", "4: `targets.pager.rate` is 'often': give a number"),
        (b"to: [pager]", b"to: [pagr]", "10: there is no target `pagr`: did you mean `pager`?"),
        (b"mute: [nights]", b"mute: [days]", "18: there is no mute time `days`: name it under"),
        (b"continue: true", b"continu: true", "12: there is no `routes.0.continu`: did you mean"),
        (b"[critical, emergency]", b"[fatal]", "9: `routes.0.match.severity.0` is 'fatal'"),
        (b"batch: 10m", b"batch: soon", "23: `routes.2.batch` is 'soon': give a duration"),
        (b"${WHO}", b"${NOBODY}", "5: `${NOBODY}` is not set in the environment"),
        (b"22:00-06:00", b"22-06", "7: `mute_times.nights.windows.0` is '22-06'"),
        (b"targets:", b"targets: &x", "`x`: no anchors"),
        (b"routes:\n  - match: {sev", b"routes: [\n  - match: {sev", "not YAML"),
    ],
)
def test_mistakes_are_told_with_line_and_remedy(old, new, told):
    with pytest.raises(RouteFileError) as refused:
        routes(TREE.replace(old, new, 1))
    assert told in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"- a\n", b"\xff", b"routes: []", b"routes: {a: b}"])
def test_what_is_no_file_of_routes_is_refused(text):
    with pytest.raises(RouteFileError, match=r"routes\.yaml:1"):
        routes(text)


def test_all_mistakes_are_told():
    text = TREE.replace(b"rate: 5/1m", b"rate: x").replace(b"batch: 10m", b"batch: y")
    with pytest.raises(RouteFileError) as refused:
        routes(text)
    assert len(refused.value.mistakes) == 2
