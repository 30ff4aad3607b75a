"""Laws of rules on time: a plain loop over the records says the same, in any order, however cut."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import group
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_RAISED, payload
from schemas.topics import COMPLIANCE_VIOLATIONS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.judging import judged

ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {"kind": "closed"}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "yard", "properties": {"kind": "yard"}, "geometry":
 {"type": "Polygon", "coordinates": [[[2,0],[6,0],[6,4],[2,4],[2,0]]]}}]}"""
RULES = """
- {id: often, when: speed_mps < 1.0, count: 3, within: 4s, severity: info}
- {id: often-clear, when: speed_mps < 1.0, count: 2, within: 3s, clear_when: depth_m > 100.0,
   severity: info}
- {id: keep, when: speed_mps < 1.0, keep_firing_for: 2s, severity: info}
- {id: keep-for, when: speed_mps < 1.0, for: 2s, keep_firing_for: 3s, severity: info}
- {id: hysteresis, when: speed_mps < 1.0, clear_when: depth_m > 100.0, severity: info}
- {id: hysteresis-keep, when: speed_mps < 1.0, clear_when: depth_m > 100.0, keep_firing_for: 2s,
   for: 1s, severity: info}
- {id: then, when: speed_mps < 1.0, then: depth_m > 100.0, within: 3s, severity: info}
- {id: then-keep, when: speed_mps < 1.0, then: depth_m > 100.0, within: 2s, keep_firing_for: 2s,
   severity: info}
- {id: once, when: zone.kind == "closed" && speed_mps < 1.0, once_per_visit: true, severity: info}
- {id: once-for, when: speed_mps < 1.0, scope: {zones: {id: [box]}}, for: 2s,
   once_per_visit: true, severity: info}
- {id: zone-often, when: zone.kind == "closed" && speed_mps < 1.0, count: 2, within: 3s,
   severity: info}
- {id: zone-keep, when: zone.kind == "closed" && speed_mps < 1.0, keep_firing_for: 2s,
   clear_when: zone.kind == "closed" && depth_m > 100.0, severity: info}
- {id: zones, when: zone.kind == "closed" && speed_mps < 1.0, then: zone.kind == "yard",
   within: 4s, severity: info}
- {id: hours, when: speed_mps < 1.0, severity: info, schedule: {windows: ["00:00:05-00:00:12",
   "00:00:20-00:00:26"]}}
- {id: hours-keep, when: speed_mps < 1.0, severity: info, keep_firing_for: 3s,
   schedule: {windows: ["00:00:05-00:00:12", "00:00:20-00:00:26"]}}
- {id: times, when: speed_mps < 1.0, severity: info, count: 2, within: 6s,
   effective_from: "1970-01-01T00:00:06Z", effective_to: "1970-01-01T00:00:18Z"}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES.encode(), "rules").rules)
LATENESS_S = 6
POLICY = group.Policy(lateness_us=LATENESS_S * 1_000_000)
STEP_S = 0.7

record = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(["a", "b"]),
        "delay_s": st.sampled_from([0.0, 0.0, 1.0, 3.0, LATENESS_S - 0.01]),
    },
    optional={
        "x": st.sampled_from([1.0, 1.0, 3.0, 5.0, 9.0]),
        "speed_mps": st.sampled_from([0.5, 2.0]),
        "depth_m": st.sampled_from([50.0, 150.0]),
    },
)
streams = st.lists(record, min_size=1, max_size=45)
cuts = st.lists(st.integers(0, 45), max_size=12)


def timed(records):
    """The records in order of event time, and in the order they arrive."""
    made = []
    for i, r in enumerate(records):
        one = {k: v for k, v in r.items() if k not in ("x", "delay_s")} | {"time_s": i * STEP_S}
        if "x" in r:
            one |= {"longitude": r["x"], "latitude": 2.0}
        made.append(one)
    arrival = sorted(range(len(made)), key=lambda i: i * STEP_S + records[i]["delay_s"])
    return made, [made[i] for i in arrival]


def watched(records, at, *, pickled=False):
    return judged(REGISTRY, POLICY, records, at, pickled=pickled)[1]


def latest(told):
    """The events that stand in the end, by id."""
    found = {}
    for delivery in told:
        if delivery.topic == COMPLIANCE_VIOLATIONS:
            event = delivery.event
            known = found.get(event.event_id)
            assert event.version == (1 if known is None else known.version + 1)
            found[event.event_id] = event
    return [event for event in found.values() if not event.retracted]


def final(told):
    """What is said in the end, ids and versions aside."""
    ids = {"event_id", "version", "visit_id", "alarm_id"}
    return sorted(
        json.dumps([event.type, {k: v for k, v in payload(event).items() if k not in ids}])
        for event in latest(told)
    )


def brief(told):
    return sorted(
        (
            event.vehicle_id,
            event.data["rule_id"],
            "raised" if event.type == ALARM_RAISED else "cleared",
            round(event.time_us / 1e6, 3),
        )
        for event in latest(told)
    )


# The oracle: each form as a loop over the records of one vehicle, None = unknown.


def slow(r):
    return None if "speed_mps" not in r else r["speed_mps"] < 1.0


def deep(r):
    return None if "depth_m" not in r else r["depth_m"] > 100.0


class Form:
    """One rule: what is judged of a record, and its conditions on time in seconds."""

    def __init__(
        self,
        when,
        for_s=0,
        count=None,
        within_s=0,
        then=None,
        keep_s=0,
        clear=None,
        once=False,
        zone=None,
        when_in=None,
        hours=((float("-inf"), float("inf")),),
    ):
        self.when, self.for_s, self.count, self.within_s = when, for_s, count, within_s
        self.then, self.keep_s, self.clear, self.once = then, keep_s, clear, once
        self.zone, self.when_in, self.hours = zone, when_in, hours

    def told(self, rows):
        """(what, time) of each alarm; ``rows``: the records of a vehicle, each with its zones."""
        course = Course(self)
        for r in rows:
            was = course.firing
            course.take(r)
            if was != course.firing:
                yield "raised" if course.firing else "cleared", r["time_s"]


class Course:
    """One rule followed along one vehicle."""

    def __init__(self, form):
        self.form = form
        self.since = self.over_since = None
        self.firing = self.used = False
        self.hits, self.held_s, self.may_have_s = [], [], []

    def take(self, r):
        form, now = self.form, r["time_s"]
        inside = form.zone is None or form.zone in r["zones"]
        if inside and any(a <= now < b for a, b in form.hours):
            says = (form.then or form.when)(r)
            self.judge(r, says, self.led(now, self.counted(now, says)))
        else:
            self.firing, self.since, self.over_since, self.hits = False, None, None, []
            self.used = self.used and inside
        if form.then and (form.when_in is None or form.when_in in r["zones"]):
            first = form.when(r)
            self.held_s += [now] * (first is True)
            self.may_have_s += [now] * (first is None)

    def lately(self, times, now):
        return any(now - t <= self.form.within_s + 1e-9 for t in times)

    def counted(self, now, says):
        if not self.form.count:
            return says
        self.hits.append((now, says))
        window = [says for t, says in self.hits if self.lately([t], now)]
        sure, maybe = window.count(True), len(window) - window.count(False)
        return True if sure >= self.form.count else None if maybe >= self.form.count else False

    def led(self, now, says):
        if not self.form.then:
            return says
        led = self.lately(self.held_s, now)
        if says and led:
            return True
        perhaps = led or self.lately(self.may_have_s, now)
        return None if says is not False and perhaps else False

    def judge(self, r, says, holds):
        form, now = self.form, r["time_s"]
        over = None if holds is None else not holds
        if form.clear:
            ends = form.clear(r)
            over = None
            if ends is True and says is not True:
                over, holds = True, False
            elif says is True or ends is False:
                over = False
        self.since = since(self.since, holds, now)
        self.over_since = since(self.over_since, over, now)
        due = holds is True and says is True and now - self.since >= form.for_s - 1e-9
        if not self.firing and due and not (form.once and self.used):
            self.firing = self.used = True
        elif self.firing and over is True and now - self.over_since >= form.keep_s - 1e-9:
            self.firing = False


def since(before, holds, now):
    """Since when something holds; what is unknown changes nothing."""
    if holds is None:
        return before
    return (now if before is None else before) if holds else None


HOURS = ((5, 12), (20, 26))
FORMS = {
    "often": Form(slow, count=3, within_s=4),
    "often-clear": Form(slow, count=2, within_s=3, clear=deep),
    "keep": Form(slow, keep_s=2),
    "keep-for": Form(slow, for_s=2, keep_s=3),
    "hysteresis": Form(slow, clear=deep),
    "hysteresis-keep": Form(slow, clear=deep, keep_s=2, for_s=1),
    "then": Form(slow, then=deep, within_s=3),
    "then-keep": Form(slow, then=deep, within_s=2, keep_s=2),
    "once": Form(slow, once=True, zone="box"),
    "once-for": Form(slow, once=True, for_s=2, zone="box"),
    "zone-often": Form(slow, count=2, within_s=3, zone="box"),
    "zone-keep": Form(slow, keep_s=2, clear=deep, zone="box"),
    "zones": Form(slow, then=lambda _: True, within_s=4, zone="yard", when_in="box"),
    "hours": Form(slow, hours=HOURS),
    "hours-keep": Form(slow, hours=HOURS, keep_s=3),
    "times": Form(slow, count=2, within_s=6, hours=((6, 18),)),
}


def by_hand(records):
    zones, rows = {}, {}
    for r in records:
        held = zones.setdefault(r["vehicle_id"], set())
        if "longitude" in r:
            held = {
                z
                for z, (a, b) in {"box": (0, 4), "yard": (2, 6)}.items()
                if a <= r["longitude"] <= b
            }
            zones[r["vehicle_id"]] = held
        rows.setdefault(r["vehicle_id"], []).append(r | {"zones": held})
    return sorted(
        (vehicle, name, what, round(time_s, 3))
        for vehicle, mine in rows.items()
        for name, form in FORMS.items()
        for what, time_s in form.told(mine)
    )


@settings(max_examples=100, deadline=None)
@given(streams, cuts)
def test_alarms_are_what_a_loop_over_the_records_finds(records, at):
    in_order, _ = timed(records)
    assert brief(watched(in_order, at)) == by_hand(in_order)


@settings(max_examples=60, deadline=None)
@given(streams, cuts, st.booleans())
def test_neither_order_nor_cuts_nor_restarts_change_the_final_answer(records, at, pickled):
    in_order, arrival = timed(records)
    told = watched(arrival, at, pickled=pickled)
    assert not any(delivery.topic == LATE_TELEMETRY for delivery in told)
    assert final(told) == final(watched(in_order, []))


@settings(max_examples=30, deadline=None)
@given(streams, cuts)
def test_cuts_change_no_id_and_nothing_is_said_twice_with_different_words(records, at):
    in_order, arrival = timed(records)
    whole = sorted(event.message_id for event in latest(watched(in_order, [])))
    assert sorted(event.message_id for event in latest(watched(in_order, at))) == whole
    said = {}
    for delivery in watched(arrival, at):
        event = delivery.event
        assert said.setdefault((delivery.topic, event.message_id), event) == event
