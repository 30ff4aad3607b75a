"""Laws of alarms: the same answer in any order and any pieces, no transition lost or told twice."""

import pickle
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.alarms import Handling, News, advance
from rules.alarms.entries import entry_of
from schemas.command import Command
from schemas.event import ALARM_CLEARED, ALARM_RAISED, Event
from tests.alarm_news import FOLLOWING, T0, S, Stage, brief, cleared, command, final, raised

LATENESS_S = 10
BY = {
    "plain": FOLLOWING,
    "flapping": replace(FOLLOWING, handling=Handling(10 * S, flaps=3, flaps_us=20 * S)),
}
HANDLING = {
    "deep": {},
    "tilt": {"handling": {"latched": True}},
    "leak": {"handling": {"acknowledged_for": 7.0}},
    "lost": {"handling": {"inhibits": {"rules": ["deep", "tilt"]}}},
}


@st.composite
def histories(draw):
    """Violations in order of time, each rule's raised and cleared in turn; commands on them."""
    news: list[Event | Command] = []
    for vehicle in draw(st.sampled_from([("auv-1",), ("auv-1", "auv-2")])):
        for rule, handling in HANDLING.items():
            times = sorted(draw(st.sets(st.integers(0, 60), max_size=6)))
            for place, at_s in enumerate(times):
                visit = place // 2 if rule == "deep" else 0
                kind = cleared if place % 2 else raised
                news.append(kind(at_s, rule, visit=visit, vehicle=vehicle, **handling))
    for place in range(draw(st.integers(0, 5))):
        action = draw(st.sampled_from(["acknowledge", "shelve", "unshelve", "clear"]))
        at_s = draw(st.integers(0, 60))
        until_s = at_s + draw(st.integers(1, 30)) if action == "shelve" else None
        rule, visit = draw(st.sampled_from(["deep", "tilt", "leak"])), draw(st.integers(0, 1))
        visit *= rule == "deep"
        news.append(command(action, at_s, rule, visit=visit, until_s=until_s, name=f"c{place}"))
    # What one record gives is told together; here it comes one by one as the stage orders it.
    return sorted(news, key=lambda what: entry_of(what)[:3])


def at_us(what):
    return what.time_us if isinstance(what, Command) else what.happened_us


def run(by, news, cuts=(), *, crash=False):
    stage = Stage(by)
    edges = [0, *sorted(cuts), len(news)]
    for a, b in pairwise(edges):
        stage.tell(*news[a:b])
        if crash:
            stage.state = pickle.loads(pickle.dumps(stage.state))
    stage.tell(now_s=200)
    stage.end()
    return stage


def answer(stage):
    """What a consumer is left with: payloads of what is not retracted, by topic."""
    topics = ("alert_notifications", "critical_alerts", "command_outcomes")
    return {
        topic: sorted(
            (e.happened_us, e.type, sorted(map(repr, e.data.items())))
            for e in final(stage.told, topic).values()
        )
        for topic in topics
    }


@st.composite
def disordered(draw):
    """A history, and the same with everything up to the lateness out of order."""
    news = draw(histories())
    delays = [draw(st.integers(0, LATENESS_S - 1)) for _ in news]
    order = sorted(range(len(news)), key=lambda i: at_us(news[i]) + delays[i] * S)
    return news, [news[i] for i in order]


@settings(max_examples=80)
@given(disordered(), st.sampled_from(sorted(BY)), st.lists(st.integers(0, 40), max_size=4))
def test_neither_order_nor_pieces_nor_crashes_change_the_answer(both, by, cuts):
    news, shuffled = both
    whole = answer(run(BY[by], news))
    cuts = [c for c in cuts if c <= len(news)]
    assert answer(run(BY[by], shuffled, cuts, crash=True)) == whole
    assert answer(run(BY[by], shuffled, range(len(news)))) == whole


@settings(max_examples=40)
@given(histories(), st.lists(st.integers(0, 40), max_size=4))
def test_in_order_pieces_and_crashes_change_not_even_ids_and_versions(news, cuts):
    def told(stage):
        return sorted((d.topic, d.event.message_id, repr(d.event.data)) for d in stage.told)

    whole = run(FOLLOWING, news)
    cuts = [c for c in cuts if c <= len(news)]
    assert told(run(FOLLOWING, news, cuts, crash=True)) == told(whole)
    assert all(d.event.version == 1 for d in whole.told)


@settings(max_examples=60)
@given(disordered())
def test_no_version_of_an_event_is_told_with_two_payloads(both):
    payloads = {}
    for delivery in run(FOLLOWING, both[1], range(len(both[1]))).told:
        event = delivery.event
        payload = repr((event.data, event.retracted, event.time_us))
        assert payloads.setdefault(event.message_id, payload) == payload


@settings(max_examples=60)
@given(disordered())
def test_no_transition_is_lost_and_none_told_twice(both):
    news, shuffled = both
    told = [
        event.data["violation_id"]
        for event in final(run(FOLLOWING, shuffled, range(len(news))).told).values()
        if event.type in (ALARM_RAISED, ALARM_CLEARED)
    ]
    assert sorted(told) == sorted(e.event_id for e in news if isinstance(e, Event))


@settings(max_examples=60)
@given(histories())
def test_an_alarm_is_raised_again_only_after_it_was_cleared(news):
    open_alarms = set()
    for at_s, kind, state, _ in ((*b[:3], None) for b in brief(run(FOLLOWING, news).told)):
        assert 0 <= at_s <= 200
        assert kind in {"raised", "cleared", "acknowledged", "shelved", "updated"}
        assert state
    for event in run(FOLLOWING, news).told:
        if event.topic == "alert_notifications" and event.event.type == ALARM_RAISED:
            assert event.event.data["alarm_id"] not in open_alarms
            open_alarms.add(event.event.data["alarm_id"])
        elif event.topic == "alert_notifications" and event.event.type == ALARM_CLEARED:
            open_alarms.remove(event.event.data["alarm_id"])


@settings(max_examples=40)
@given(disordered(), st.lists(st.integers(0, 80), min_size=3, max_size=3))
def test_when_time_is_told_does_not_change_the_answer(both, ticks):
    news, shuffled = both
    stage = Stage(FOLLOWING)
    for place, what in enumerate(shuffled):
        stage.tell(what)
        if place < len(ticks):
            stage.state, told = advance(
                FOLLOWING, stage.state, News(newest_us=T0 + ticks[place] * S)
            )
            stage.told += told
    stage.tell(now_s=200)
    stage.end()
    assert answer(stage) == answer(run(FOLLOWING, news))
