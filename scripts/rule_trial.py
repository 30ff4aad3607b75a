"""`farwatch rules test`: what rules would have told of recorded telemetry, and what they cost."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from connectors.contract import SettingsError
from connectors.registry import masked, open_source
from flows.settings import Settings
from flows.steps.decode import only
from flows.steps.registry import load_registry
from rules import group
from rules.assessment import Assessment, Assessor, KeyGroups
from rules.expressions import ERROR, UNKNOWN
from rules.registry import Registry
from rules.tracks import FOREVER
from schemas.decoding import TelemetryDecoder
from schemas.event import ALARM_RAISED, Event
from schemas.frame import EPOCH, Frame, rfc3339
from schemas.message import Message, Reject
from schemas.topics import COMPLIANCE_VIOLATIONS
from scripts.exits import err
from scripts.listing import write_listing

_SHOWN_VEHICLES: Final = 3


@dataclass(frozen=True, slots=True)
class Span:
    """Event time to test in: from (included) and to (excluded), None = open; microseconds."""

    from_us: int | None = None
    to_us: int | None = None

    @classmethod
    def of(cls, from_: str | None, to: str | None) -> "Span":
        """The span between two times of RFC 3339; raises SettingsError."""
        span = cls(_instant("--from", from_), _instant("--to", to))
        if span.from_us is not None and span.to_us is not None and span.from_us >= span.to_us:
            raise SettingsError(f"--from {from_} is not before --to {to}: give a later end")
        return span

    def cut(self, frame: Frame) -> Frame:
        """The records of a frame in the span."""
        inside = np.ones(len(frame), np.bool_)
        if self.from_us is not None:
            inside &= frame.time_us >= self.from_us
        if self.to_us is not None:
            inside &= frame.time_us < self.to_us
        return frame if inside.all() else frame.take(np.flatnonzero(inside))


@dataclass(slots=True)
class Cost:
    """What a rule had to do with: records (and zones) judged, of them not known, failed; CPU s."""

    records: int = 0
    unknown: int = 0
    errors: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: when it began and ended (None = still open at the end), microseconds."""

    rule_id: str
    vehicle_id: str
    zone_id: str | None
    raised_us: int
    cleared_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule would have told; times RFC 3339, durations of alarms that have ended."""

    rule_id: str
    version: int
    severity: str
    mode: str
    alarms: int
    open: int
    vehicles: dict[str, int]
    first: str | None
    last: str | None
    longest_s: float | None
    mean_s: float | None
    records: int
    unknown: int
    errors: int
    cpu_us_a_record: float
    new: int | None = field(default=None)
    gone: int | None = field(default=None)


class Trial:
    """Rules held against telemetry as the watch does it, with nothing told to anybody."""

    def __init__(
        self, registry: Registry, settings: Settings, clock_s: Callable[[], float]
    ) -> None:
        self.registry, self._policy, self._clock_s = registry, settings.policy(), clock_s
        groups = KeyGroups(settings.key_groups)
        self._assessor = Assessor(registry, settings.limits(), groups, settings.skew_us())
        self._states: dict[str, group.GroupState] = {}
        self._latest: dict[str, Event] = {}
        self.costs = {i: Cost() for i in range(len(registry.book.rules))}
        self.records = 0

    def take(self, frame: Frame) -> None:
        """Judge the records of a frame."""
        if not len(frame):
            return
        self.records += len(frame)
        for seen in self._assessor.assess(frame):
            self._measure(seen)
            state = self._states.get(seen.key, group.GroupState())
            self._states[seen.key], told = group.advance(self._policy, self.registry, state, seen)
            self._keep(d.event for d in told if d.topic == COMPLIANCE_VIOLATIONS)

    def finish(self) -> list[Alarm]:
        """The alarms there were, at the end of the telemetry, by time."""
        for state in self._states.values():
            _, told = group.finish(self._policy, self.registry, state)
            self._keep(d.event for d in told if d.topic == COMPLIANCE_VIOLATIONS)
        return _alarms([event for event in self._latest.values() if not event.retracted])

    def _keep(self, events: Iterator[Event]) -> None:
        self._latest.update((event.event_id, event) for event in events)

    def _measure(self, seen: Assessment) -> None:
        """Judge each rule's conditions alone once more, for what that costs."""
        book, frame, held = self.registry.book, seen.frame, seen.presence.held()
        row, zone = seen.presence.row[held], seen.presence.zone[held]
        for i, compiled in enumerate(book.rules):
            cost = self.costs[i]
            cost.records += int(np.count_nonzero(book.applies(i, frame)))
            for expression in (compiled.condition, compiled.first, compiled.clear):
                if expression is None:
                    continue
                begun_s = self._clock_s()
                if compiled.uses_zone:
                    code = book.judge_one_on_stays(i, expression, frame, row, zone)
                else:
                    code = book.judge_one(i, expression, frame)
                cost.cpu_s += self._clock_s() - begun_s
                cost.unknown += int(np.count_nonzero(code == UNKNOWN))
                cost.errors += int(np.count_nonzero(code == ERROR))


def try_rules(
    rules_url: str,
    telemetry_url: str,
    *,
    zones_url: str = "",
    against_url: str = "",
    span: Span = Span(),
    settings: Settings,
) -> list[Finding]:
    """What the rules would have told of the telemetry, rule by rule.

    ``against_url``: rules in force, told beside: which alarms would be new, which gone.

    Raises:
        SettingsError: something cannot be read, or the telemetry is no record but live.
    """
    trial = Trial(load_registry(zones_url, rules_url), settings, time.process_time)
    trials = [trial]
    if against_url:
        trials.append(Trial(load_registry(zones_url, against_url), settings, time.process_time))
    rejected = 0
    for frame in _frames(telemetry_url, settings):
        if isinstance(frame, int):
            rejected += frame
            continue
        for one in trials:
            one.take(span.cut(frame))
    alarms = trial.finish()
    before = trials[1].finish() if against_url else None
    err.print(f"{trial.records} records judged, {rejected} rejected")
    if not trial.records:
        raise SettingsError(
            f"`{masked(telemetry_url)}`: no record in that time; widen --from, --to"
        )
    for rule_id in _missing(*trials) if before is not None else ():
        gone = sum(alarm.rule_id == rule_id for alarm in before or ())
        err.print(f"{rule_id}: not among these rules; {gone} alarms gone")
    return [*_findings(trial, alarms, before)]


def _missing(tried: Trial, against: Trial) -> list[str]:
    """The rules in force that the tried ones are without."""
    kept, had = ({c.rule.id for c in t.registry.book.rules} for t in (tried, against))
    return sorted(had - kept)


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Write the findings to standard output: a JSON object a line, or a few lines a rule."""
    if as_json:
        write_listing([[json.dumps(asdict(finding))] for finding in findings])
        return
    write_listing([[line] for finding in findings for line in _lines(finding)])


def _lines(one: Finding) -> Iterator[str]:
    shadow = ", shadow" if one.mode == "shadow" else ""
    yield f"{one.rule_id} v{one.version} ({one.severity}{shadow}): {one.alarms} alarms" + (
        f", {one.open} open at the end" if one.open else ""
    )
    if one.new is not None:
        yield f"  beside the rules in force: {one.new} new, {one.gone} gone"
    if one.alarms:
        yield f"  first {one.first}, last {one.last}"
        yield f"  on {len(one.vehicles)} vehicles: {_vehicles(one.vehicles)}"
    if one.longest_s is not None:
        yield f"  longest {one.longest_s:g} s, mean {one.mean_s:.1f} s"
    judged = f"{one.records} records in scope, {one.unknown} unknown, {one.errors} errors"
    yield f"  {judged}; {one.cpu_us_a_record:.3f} µs CPU a record of the telemetry"


def _vehicles(counts: dict[str, int]) -> str:
    shown = [f"{name}: {count}" for name, count in list(counts.items())[:_SHOWN_VEHICLES]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _findings(
    trial: Trial, alarms: Sequence[Alarm], before: Sequence[Alarm] | None
) -> Iterator[Finding]:
    for i, compiled in enumerate(trial.registry.book.rules):
        rule, cost = compiled.rule, trial.costs[i]
        mine = [a for a in alarms if a.rule_id == rule.id and _in_force(trial, i, a)]
        lasted = [(a.cleared_us - a.raised_us) / 1e6 for a in mine if a.cleared_us is not None]
        new = gone = None
        if before is not None:
            old = [a for a in before if a.rule_id == rule.id and _in_force(trial, i, a)]
            new, gone = len(_only(mine, old)), len(_only(old, mine))
        yield Finding(
            rule_id=rule.id,
            version=rule.version,
            severity=rule.severity,
            mode=rule.mode,
            alarms=len(mine),
            open=len(mine) - len(lasted),
            vehicles=dict(Counter(a.vehicle_id for a in mine).most_common()),
            first=rfc3339(mine[0].raised_us) if mine else None,
            last=rfc3339(mine[-1].raised_us) if mine else None,
            longest_s=max(lasted, default=None),
            mean_s=sum(lasted) / len(lasted) if lasted else None,
            records=cost.records,
            unknown=cost.unknown,
            errors=cost.errors,
            cpu_us_a_record=cost.cpu_s * 1e6 / max(trial.records, 1),
            new=new,
            gone=gone,
        )


def _in_force(trial: Trial, rule: int, alarm: Alarm) -> bool:
    """Whether a version of a rule was in force when an alarm was raised."""
    book = trial.registry.book
    return bool(book.from_us[rule] <= alarm.raised_us < book.to_us[rule])


def _only(these: Sequence[Alarm], those: Sequence[Alarm]) -> list[Alarm]:
    """The alarms that the others have no like of: same vehicle and zone, some time in common."""
    others: dict[tuple[str, str | None], list[Alarm]] = {}
    for one in those:
        others.setdefault((one.vehicle_id, one.zone_id), []).append(one)
    return [
        one
        for one in these
        if not any(_meet(one, other) for other in others.get((one.vehicle_id, one.zone_id), []))
    ]


def _meet(one: Alarm, other: Alarm) -> bool:
    end_us, other_end_us = (FOREVER if a.cleared_us is None else a.cleared_us for a in (one, other))
    return one.raised_us <= other_end_us and other.raised_us <= end_us


def _alarms(events: Sequence[Event]) -> list[Alarm]:
    """The alarms that events tell of: each raised, and the first end of it after that."""
    raised: list[Event] = []
    ends: dict[str, list[int]] = {}
    for event in sorted(events, key=lambda e: e.happened_us):
        if event.type == ALARM_RAISED:
            raised.append(event)
        else:
            ends.setdefault(event.data["alarm_id"], []).append(event.happened_us)
    found = []
    for event in raised:
        later = [us for us in ends.get(event.data["alarm_id"], []) if us >= event.happened_us]
        found.append(
            Alarm(
                event.data["rule_id"],
                event.vehicle_id,
                event.data["zone_id"],
                event.happened_us,
                later[0] if later else None,
            )
        )
    return found


def _frames(url: str, settings: Settings) -> Iterator[Frame | int]:
    """The frames of recorded telemetry, a batch of each of its parts in turn; counts of rejects."""
    if not url.startswith("file:"):
        raise SettingsError(
            f"`{masked(url)}`: rules are tested on a record, which reading takes nothing from: give"
            " `file:PATH`"
        )
    source = open_source(url, settings.connector())
    source.check()
    built, decoder = source.build(), TelemetryDecoder()
    parts = [built.build_part("test", name, None) for name in built.list_parts()]
    while parts:
        for part in list(parts):
            try:
                batch = list(part.next_batch())
            except StopIteration:
                part.close()
                parts.remove(part)
                continue
            part.snapshot()  # Nothing waits for a commit here.
            messages = only(Message, batch)
            decoded = decoder.decode(messages)
            yield len(only(Reject, batch)) + len(decoded.rejects)
            if decoded.frame is not None:
                yield decoded.frame


def _instant(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError(f"{option} {text}: give a time of RFC 3339 with its zone")
    return round((moment - EPOCH).total_seconds() * 1e6)
