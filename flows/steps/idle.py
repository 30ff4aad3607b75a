"""Time that goes on while no record comes: in live flows alone, where a setting says so."""

import time
from collections.abc import Callable
from typing import Final

from connectors.contract import SettingsError
from flows.settings import Settings
from flows.steps.assess import placed
from flows.steps.editions import Editions
from rules import group
from rules.assessment import Assessment
from rules.clocks import TICK_US, Mark
from rules.group import GroupState, Policy
from rules.registry import Registry
from schemas.delivery import Delivery

LOOK_S: Final = 1.0
"""Wall time between two looks for parts of the source that are idle."""

Advanced = tuple[GroupState, list[Delivery]]


class Idle:
    """The parts of the source that this process has heard of, and since when each says nothing.

    Every watermark is told to every key group, so any process hears of every part. The time of one
    that has said nothing for ``after_s`` of wall time goes on by the wall clock from where it was;
    what comes later corrects what was told too soon.
    """

    def __init__(self, after_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._after_s, self._clock_s = after_s, clock_s
        # By part: its watermark, and when it was last heard of.
        self._heard: dict[str, tuple[Mark, float]] = {}

    def hear(self, mark: Mark) -> None:
        """Note that a part has brought records."""
        self._heard[mark.part] = (mark, self._clock_s())

    def marks(self) -> list[Mark]:
        """How far the parts that are idle are to be taken to have come."""
        now_s = self._clock_s()
        return [
            Mark(mark.part, (mark.watermark_us + round((now_s - at_s) * 1e6)) // TICK_US * TICK_US)
            for mark, at_s in self._heard.values()
            if now_s - at_s >= self._after_s
        ]


def idle_of(settings: Settings) -> Idle | None:
    """The watch for idle parts, None where time stands still without records.

    Raises:
        SettingsError: the telemetry ends, so that there is nothing to wait for.
    """
    if not settings.idle_s:
        return None
    if settings.telemetry.startswith("file:") or "until=end" in settings.telemetry:
        raise SettingsError(
            f"setting `idle_s` {settings.idle_s:g}: the telemetry is a replay, whose time is its"
            " own; leave FARWATCH_IDLE_S out"
        )
    return Idle(settings.idle_s)


def hearing(
    idle: Idle | None, advance: Callable[[GroupState, Assessment], Advanced]
) -> Callable[[GroupState, Assessment], Advanced]:
    """``advance`` that also notes which parts of the source bring records."""
    if idle is None:
        return advance

    def advance_and_hear(state: GroupState, seen: Assessment) -> Advanced:
        if seen.mark is not None:
            idle.hear(seen.mark)
        return advance(state, seen)

    return advance_and_hear


def going_on(
    idle: Idle | None,
    editions: Editions,
    policy: Policy,
    go_on: Callable[[Policy, Registry, GroupState, list[Mark]], Advanced] = group.go_on,
) -> Callable[[GroupState], Advanced] | None:
    """What lets the time of a key group go on, None where nothing does."""
    if idle is None:
        return None

    def go_on_by_newest(state: GroupState) -> Advanced:
        return go_on(policy, editions.registry, placed(editions, state), idle.marks())

    return go_on_by_newest
