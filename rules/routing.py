"""Routing: whom an alert is told to, with which others, and again while nobody acknowledges it.

Notifications cannot be taken back: an alert is notified in the version it is first told in, and
corrections only change what is told from then on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from rules.alarms.alarm import SEVERITIES, UNACKNOWLEDGED
from rules.alarms.batches import AT_ONCE
from rules.schedules import Timetable
from schemas.delivery import Delivery
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ALERT_NOTIFIED, Event, identity
from schemas.frame import rfc3339
from schemas.route import Match, Route, Routing
from schemas.topics import CRITICAL_ALERTS, NOTIFICATIONS, WARNING_ALERTS

BATCH_S: Final = 300.0
MOST_SHOWN: Final = 50
"""Alarms that one notification tells one by one."""
_AGAIN: Final = frozenset(
    {"unshelved", "shelf_expired", "released", "acknowledgement_expired", "steady", "flapping"}
)
_KEPT: Final = (
    *("alarm_id", "rule_id", "vehicle_id", "zone_id", "severity", "state", "time", "message"),
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A branch of the tree with all it says or has from those above; ``name``: its place."""

    name: str
    match: tuple[Match, ...]
    route: Route
    below: tuple["Leaf", ...]

    def takes(self, data: Mapping[str, Any]) -> bool:
        """Whether an alert is for this branch."""
        return all(_matches(match, data) for match in self.match)


class Group(NamedTuple):
    """Alerts of a branch that are notified together.

    ``waiting``: what the next notification tells. ``due_us``: when it is told, 0 = nothing waits.
    ``standing``: alarms that nobody has acknowledged, as last told. ``told_us``: when the group
    was notified last. ``times``: how often since then for the same.
    """

    waiting: tuple[Mapping[str, Any], ...] = ()
    due_us: int = 0
    standing: Mapping[str, Mapping[str, Any]] = {}
    told_us: int = 0
    times: int = 0


Key = tuple[str, tuple[str, ...]]
"""The branch, and what its alerts have in common."""


@dataclass(frozen=True, slots=True)
class RoutingState:
    """Groups of alerts by branch, and how far event time has come."""

    groups: Mapping[Key, Group] = field(default_factory=dict)
    now_us: int = 0


class Router:
    """A tree of routes, ready to be asked."""

    def __init__(self, routing: Routing) -> None:
        self._leaves = tuple(_leaves(routing.routes, "", (), Route()))
        self._by_name = {leaf.name: leaf for leaf in _flat(self._leaves)}
        self._quiet = {name: Timetable(each) for name, each in routing.mute_times.items()}

    def advance(
        self, state: RoutingState, news: Sequence[Event | int]
    ) -> tuple[RoutingState, list[Delivery]]:
        """Take in alerts and how far event time has come; what there is to notify."""
        groups, told, now_us = dict(state.groups), list[Delivery](), state.now_us
        for each in news:
            if isinstance(each, int):
                now_us = max(now_us, each)
                continue
            for leaf in self._asked(self._leaves, each.data | {"vehicle_id": each.vehicle_id}):
                told += self._take(groups, leaf, each)
        told += self._due(groups, now_us)
        return RoutingState(groups, now_us), told

    def release(self, state: RoutingState) -> tuple[RoutingState, list[Delivery]]:
        """Notify now what waits for the end of its batch."""
        groups, told = dict(state.groups), list[Delivery]()
        for key, group in state.groups.items():
            if group.due_us:
                told += self._notify(groups, key, group.due_us)
        return replace(state, groups=groups), told

    def _asked(self, leaves: Sequence[Leaf], data: Mapping[str, Any]) -> Iterator[Leaf]:
        """The branches an alert goes to: of each the deepest."""
        for leaf in leaves:
            if leaf.takes(data):
                below = list(self._asked(leaf.below, data))
                yield from below or [leaf]
                if not leaf.route.continue_:
                    return

    def _take(self, groups: dict[Key, Group], leaf: Leaf, event: Event) -> Iterator[Delivery]:
        route, data = leaf.route, event.data | {"vehicle_id": event.vehicle_id}
        asks = _asks(event, cleared=bool(route.cleared))
        if asks and event.version == 1:
            yield from (Delivery(t, event) for t in route.topics if t != _topic(data))
        if not route.to:
            return
        key = leaf.name, _common(route, data)
        group, alarm_id = groups.get(key, Group()), str(data["alarm_id"])
        standing = {k: v for k, v in group.standing.items() if k != alarm_id}
        brief = {name: data[name] for name in _KEPT}
        if asks and data["state"] == UNACKNOWLEDGED:
            standing[alarm_id] = brief
        waiting = tuple(
            w for w in group.waiting if not event.retracted or w["of"] != event.event_id
        )
        group = group._replace(standing=standing, waiting=waiting, due_us=group.due_us)
        if not asks or event.version > 1:
            _put(groups, key, group)
            return
        batch_us = round((BATCH_S if route.batch is None else route.batch) * 1e6)
        at_us, at_once = event.happened_us, data["severity"] in AT_ONCE or not batch_us
        end_us = at_us if at_once else (at_us // batch_us + 1) * batch_us
        due_us = min(group.due_us, end_us) if group.due_us else end_us
        waiting = (*waiting, brief | {"of": event.event_id})
        groups[key] = group._replace(waiting=waiting, due_us=due_us)
        if at_once:
            yield from self._notify(groups, key, at_us)

    def _due(self, groups: dict[Key, Group], now_us: int) -> Iterator[Delivery]:
        """What is notified because time has come: batches that end, and repetitions."""
        for key in sorted(groups):
            group = groups[key]
            if group.due_us and group.due_us <= now_us:
                yield from self._notify(groups, key, group.due_us)
            yield from self._repeated(groups, key, now_us)

    def _repeated(self, groups: dict[Key, Group], key: Key, now_us: int) -> Iterator[Delivery]:
        leaf = self._by_name.get(key[0])
        if leaf is None or not leaf.route.repeat_interval:
            return
        interval_us, group = round(leaf.route.repeat_interval * 1e6), groups[key]
        if not group.standing or not group.told_us or now_us < group.told_us + interval_us:
            return
        # Where several were due, the latest of them stands for all.
        at_us = group.told_us + (now_us - group.told_us) // interval_us * interval_us
        told = sorted(group.standing.values(), key=_place)
        groups[key] = group._replace(told_us=at_us, times=group.times + 1)
        yield from self._said(leaf, key, told, at_us, group.times + 1)

    def _notify(self, groups: dict[Key, Group], key: Key, at_us: int) -> Iterator[Delivery]:
        group, leaf = groups[key], self._by_name.get(key[0])
        _put(groups, key, group._replace(waiting=(), due_us=0, told_us=at_us, times=0))
        # A branch that is no longer in the file notifies nobody.
        if leaf is not None and group.waiting:
            yield from self._said(leaf, key, group.waiting, at_us, 0)

    def _said(
        self, leaf: Leaf, key: Key, alarms: Sequence[Mapping[str, Any]], at_us: int, times: int
    ) -> Iterator[Delivery]:
        if any(_holds(self._quiet[name], at_us) for name in leaf.route.mute or ()):
            return
        for target in leaf.route.to or ():
            yield Delivery(NOTIFICATIONS, _notification(target, key, alarms, at_us, times))


def _leaves(
    routes: Sequence[Route], above: str, match: tuple[Match, ...], given: Route
) -> Iterator[Leaf]:
    for place, route in enumerate(routes):
        name = f"{above}.{place}" if above else str(place)
        said = {k: getattr(route, k) for k in _INHERITED if getattr(route, k) is not None}
        own = given.model_copy(
            update={**said, "topics": route.topics, "continue_": route.continue_}
        )
        matches = (*match, route.match)
        yield Leaf(name, matches, own, tuple(_leaves(route.routes, name, matches, own)))


_INHERITED: Final = ("to", "group_by", "batch", "repeat_interval", "mute", "cleared")


def _flat(leaves: Sequence[Leaf]) -> Iterator[Leaf]:
    for leaf in leaves:
        yield leaf
        yield from _flat(leaf.below)


def _matches(match: Match, data: Mapping[str, Any]) -> bool:
    def like(value: str | None, patterns: Sequence[str]) -> bool:
        return not patterns or any(fnmatchcase(value or "", each) for each in patterns)

    labels = data.get("labels") or {}
    return (
        (not match.severity or data["severity"] in match.severity)
        and (not match.kinds or data.get("kind") in match.kinds)
        and like(data["rule_id"], match.rules)
        and like(data["vehicle_id"], match.vehicles)
        and like(data["zone_id"], match.zones)
        and like(data.get("mission_id"), match.missions)
        and all(labels.get(name) == value for name, value in match.labels.items())
    )


def _asks(event: Event, *, cleared: bool) -> bool:
    """Whether an event of an alarm is one to notify of."""
    state = event.data["state"]
    if event.retracted or state in {"shelved", "suppressed"}:
        return False
    if event.type == ALARM_RAISED:
        return True
    if event.type == ALARM_CLEARED:
        return cleared
    reason = event.data.get("reason")
    return reason == "flapping" or (reason in _AGAIN and state == UNACKNOWLEDGED)


def _topic(data: Mapping[str, Any]) -> str:
    """Where an alert goes by its severity."""
    at_once = data["severity"] in AT_ONCE
    return CRITICAL_ALERTS if at_once else WARNING_ALERTS if data["severity"] == "warning" else ""


def _common(route: Route, data: Mapping[str, Any]) -> tuple[str, ...]:
    names = route.group_by if route.group_by is not None else ("vehicle",)
    return tuple(f"{name}={data[_FIELDS[name]] or ''}" for name in names)


_FIELDS: Final = {
    "vehicle": "vehicle_id",
    "zone": "zone_id",
    "rule": "rule_id",
    "severity": "severity",
}


def _put(groups: dict[Key, Group], key: Key, group: Group) -> None:
    """Keep a group as long as something of it waits or stands."""
    if group.waiting or group.standing:
        groups[key] = group if group.waiting else group._replace(due_us=0)
    else:
        groups.pop(key, None)


def _holds(quiet: Timetable, at_us: int) -> bool:
    begin_us, end_us = quiet.spans(at_us, at_us + 1)
    return bool(((begin_us <= at_us) & (at_us < end_us)).any())


def _place(brief: Mapping[str, Any]) -> tuple[str, str]:
    return brief["time"], brief["alarm_id"]


def _notification(
    target: str, key: Key, alarms: Sequence[Mapping[str, Any]], at_us: int, times: int
) -> Event:
    severity = max((a["severity"] for a in alarms), key=SEVERITIES.index)
    vehicles = sorted({a["vehicle_id"] for a in alarms})
    whose = vehicles[0] if len(vehicles) == 1 else f"{len(vehicles)} vehicles"
    count = f"{alarms[0]['rule_id']}" if len(alarms) == 1 else f"{len(alarms)} alarms"
    again = f", again ({times})" if times else ""
    shown = alarms[:MOST_SHOWN]
    lines = [f"{a['time']} {a['vehicle_id']} {a['rule_id']}: {a['message']}" for a in shown]
    lines += [f"and {len(alarms) - MOST_SHOWN} more"] if len(alarms) > MOST_SHOWN else []
    names = sorted(str(a.get("of") or a["alarm_id"]) for a in alarms)
    return Event(
        type=ALERT_NOTIFIED,
        event_id=identity("notification", target, *key[1], key[0], at_us, times, *names),
        vehicle_id=vehicles[0] if len(vehicles) == 1 else "",
        time_us=at_us,
        data={
            "time": rfc3339(at_us),
            "target": target,
            "route": key[0],
            "group": list(key[1]),
            "severity": severity,
            "repeated": times,
            "title": f"[{severity}] {whose}: {count}{again}",
            "body": "\n".join(lines),
            "alarms": [{name: a[name] for name in _KEPT} for a in alarms],
        },
    )
