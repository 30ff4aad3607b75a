"""The alarm stage: what is told of violations and commands, to whom and when, by key group."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream, operator

from connectors.policy import policy_in_force
from flows.settings import Settings
from flows.steps.backlog import ReadFirst
from flows.steps.decode import only
from flows.steps.drain import DrainingSource
from flows.steps.live import Advance
from flows.steps.state import Keyed, follow
from flows.steps.tracing import carried, carry
from flows.wiring import Wiring
from rules import alarms
from rules.alarms import AlarmState, Alerting, News
from rules.alarms.course import judged
from rules.assessment import Assessment, KeyGroups
from rules.group import GroupState, newest_us
from rules.registry import Registry
from schemas.command import Command, asked, decode_commands
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.event_decoding import decode_events
from schemas.live import PROGRESS, progress_delivery
from schemas.message import Message, Reject
from schemas.progress import TELEMETRY_PROGRESS_MADE, progress_event
from schemas.rejected import dead_letter
from schemas.topics import COMMAND_OUTCOMES, COMPLIANCE_VIOLATIONS, TELEMETRY_PROGRESS

TICK_US: Final = 1_000_000
"""Event time is told to an alarm stage that follows alarms in steps of this."""


@operator
def alert(
    step_id: str,
    violations: Stream[Event | int],
    progress: Stream[int] | None,
    commands: Stream[Command] | None,
    settings: Settings,
    by: Alerting,
) -> Stream[Delivery]:
    """The alerts that violations and commands give.

    ``progress``: how far event time has come, microseconds since 1970 UTC, which also may come
    among the violations; else each violation says it for its key group.
    """
    by_group = _ByGroup(KeyGroups(settings.key_groups))
    news = op.flat_map_batch("violated", violations, by_group.violations)
    if commands is not None:
        news = op.merge(
            "with_commands", news, op.flat_map_batch("commanded", commands, by_group.commands)
        )
    if progress is not None:
        news = op.merge(
            "timed", news, op.flat_map_batch("come_so_far", progress, by_group.progress)
        )
    return follow(
        "alerting",
        news,
        Keyed(
            initial=AlarmState(),
            advance=partial(alarms.advance, by),
            release=partial(alarms.release, by),
            release_after_s=settings.warning_batch_s,
            fingerprint=settings.fingerprint(),
        ),
    )


@dataclass(frozen=True)
class _ByGroup:
    """What is new, by the key of the group it is news for."""

    groups: KeyGroups

    def violations(self, batch: list[Event | int]) -> Iterator[tuple[str, News]]:
        events = defaultdict(list)
        for event in only(Event, batch):
            events[self.groups.of(event.vehicle_id)].append(event)
        for group, of_group in events.items():
            newest = max(event.happened_us for event in of_group)
            trace = carried(of_group[-1])
            yield self.groups.key(group), News(tuple(of_group), newest, trace=trace)
        if come := only(int, batch):
            yield from self.progress(come)

    def commands(self, batch: list[Command]) -> Iterator[tuple[str, News]]:
        for command in batch:
            group = self.groups.of(command.vehicle_id)
            yield self.groups.key(group), News(commands=(command,))

    def progress(self, batch: list[int]) -> Iterator[tuple[str, News]]:
        news = News(newest_us=max(batch))
        for group in range(self.groups.count):
            yield self.groups.key(group), news


def asked_for(registry: Registry) -> bool:
    """Whether rules want their alarms followed."""
    return any(compiled.rule.alarm is not None for compiled in registry.book.rules)


def marking(advance: Advance) -> Advance:
    """``advance`` that tells, behind all else, how far the records have come."""

    def advance_and_mark(state: GroupState, seen: Assessment) -> tuple[GroupState, list[Delivery]]:
        moved, told = advance(state, seen)
        return moved, [*told, progress_delivery(newest_us(seen.frame))]

    return advance_and_mark


def marking_idle(
    go_on: Callable[[GroupState], tuple[GroupState, list[Delivery]]] | None,
) -> Callable[[GroupState], tuple[GroupState, list[Delivery]]] | None:
    """``go_on`` that tells how far time has gone on without records."""
    if go_on is None:
        return None

    def go_on_and_mark(state: GroupState) -> tuple[GroupState, list[Delivery]]:
        moved, told = go_on(state)
        newest = int(moved.standing.clocks.marks_us.max(initial=0))
        return moved, [*told, progress_delivery(newest)]

    return go_on_and_mark


def violations_of(told: Stream[Delivery], by: Alerting) -> Stream[Event | int]:
    """The violations among what is told, and behind them how far event time has come.

    ``told`` by a step that is ``marking``. Time is told by the process, whenever it is a tick
    further; where alarms are not followed nothing but the ends of batches asks for it.
    """
    tick_us = TICK_US if by.follow or by.mark else by.batch_us
    told_us = 0

    def split(batch: list[Delivery]) -> Iterator[Event | int]:
        nonlocal told_us
        newest = 0
        for delivery in batch:
            if delivery.topic == COMPLIANCE_VIOLATIONS:
                carry(delivery.event, delivery.trace)
                yield delivery.event
            elif delivery.topic == PROGRESS:
                newest = max(newest, delivery.event.happened_us)
        if (newest := newest // tick_us * tick_us) > told_us:
            told_us = newest
            yield newest

    return op.flat_map_batch("violations", told, split)


def progress_in(flow: Dataflow, wiring: Wiring) -> Stream[int] | None:
    """How far event time has come by what compliance tells; None where nobody tells it."""
    if wiring.progress is None:
        return None
    source = DrainingSource(wiring.progress.build(), wiring.drain)
    messages = op.input("progress_in", flow, source)

    def decode(batch: list[Message | Reject]) -> Iterator[int]:
        for event in decode_events(only(Message, batch), [TELEMETRY_PROGRESS_MADE]):
            if isinstance(event, Event):
                yield event.happened_us

    return op.flat_map_batch("progress", messages, decode)


def tell_progress(violations: Stream[Event | int]) -> Stream[Delivery]:
    """How far event time has come, for alerting that runs apart."""
    return op.flat_map_batch(
        "tell_progress",
        violations,
        lambda batch: [Delivery(TELEMETRY_PROGRESS, progress_event(us)) for us in only(int, batch)],
    )


@dataclass(frozen=True)
class Commands:
    """``given``: the commands on alarms; ``dead_letters``: what is none, or may not be."""

    given: Stream[Command]
    dead_letters: Stream[Delivery]


def commands_in(flow: Dataflow, wiring: Wiring) -> Commands | None:
    """The commands on alarms; None where the settings name no place they come from.

    What the policy in force does not grant is told as refused, with who and why, and obeyed by
    nobody.

    Raises:
        SettingsError: the policy cannot be read.
    """
    if wiring.commands is None:
        return None
    source = DrainingSource(ReadFirst(wiring.commands.build(), wiring.backlog), wiring.drain)
    messages = op.input("commands", flow, source)

    policy = policy_in_force()

    def decode(batch: list[Message | Reject]) -> Iterator[Command | Delivery]:
        yield from map(dead_letter, only(Reject, batch))
        for found in decode_commands(only(Message, batch)):
            if isinstance(found, Reject):
                yield dead_letter(found)
            elif policy and (refused := policy.refusal(*asked(found))):
                yield Delivery(COMMAND_OUTCOMES, judged(found, refused, found.time_us, "policy"))
            else:
                yield found

    decoded = op.flat_map_batch("decode_commands", messages, decode)
    return Commands(
        op.flat_map_batch("given", decoded, lambda batch: only(Command, batch)),
        op.flat_map_batch("refused", decoded, lambda batch: only(Delivery, batch)),
    )
