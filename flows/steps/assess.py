"""Frames to key groups: judge what needs no past, then cut by group."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from connectors.contract import SettingsError
from flows.steps.editions import Editions
from flows.steps.measuring import timed
from flows.steps.tracing import carried, span
from rules import cohort, group
from rules.assessment import Assessment, Assessor, KeyGroups, Whole
from rules.editions import GoneError
from rules.group import GroupState, Policy
from rules.legs import Limits
from rules.registry import Registry
from rules.share import Share, shares
from schemas.delivery import Delivery
from schemas.frame import Frame


def assess(
    frames: Stream[Frame], editions: Editions, limits: Limits, key_groups: int, skew_us: int = 0
) -> KeyedStream[Assessment]:
    """Each frame's records with presence and verdicts, keyed by the vehicle's key group.

    Where rules wait for what may never come, groups are also told how far time has come, by parts
    without records; ``skew_us``: of ``rules.clocks``.
    """
    assessor = Assessor(editions.registry, limits, KeyGroups(key_groups), skew_us)

    def cut(batch: list[Frame]) -> Iterator[tuple[str, Assessment]]:
        assessor.judge_by(editions.newest())
        for frame in batch:
            with span("assess", [carried(frame)], records=len(frame)) as trace:
                parts = list(assessor.assess(frame))
            for part in parts:
                yield part.key, replace(part, trace=trace) if trace else part

    return op.flat_map_batch("assess", frames, timed("assess", lambda batch: list(cut(batch))))


def assess_together(
    frames: Stream[Frame], editions: Editions, limits: Limits, key_groups: int, skew_us: int = 0
) -> KeyedStream[Share[Whole]]:
    """As ``assess``, for key groups that advance together."""
    assessor = Assessor(editions.registry, limits, KeyGroups(key_groups), skew_us)

    def share(batch: list[Frame]) -> Iterator[tuple[str, Share[Whole]]]:
        assessor.judge_by(editions.newest())
        for frame in batch:
            with span("assess", [carried(frame)], records=len(frame)) as trace:
                whole = assessor.whole(frame, trace)
            yield from shares(whole)

    return op.flat_map_batch("assess", frames, timed("assess", lambda batch: list(share(batch))))


Out = TypeVar("Out")


def placed(editions: Editions, state: GroupState) -> GroupState:
    """The state; one that another run left, in the places of the registry it was judged by."""
    if state.registry is not None or not state.edition:
        return state
    return group.placed(editions.of(state.edition), state)


def finishing(
    editions: Editions, finish: Callable[[Registry, GroupState], tuple[GroupState, Out]]
) -> Callable[[GroupState], tuple[GroupState, Out]]:
    """``finish`` by the zones and rules in force."""

    def finish_by_newest(state: GroupState) -> tuple[GroupState, Out]:
        try:
            return finish(editions.registry, placed(editions, state))
        except GoneError as exc:
            raise SettingsError(str(exc)) from exc

    return finish_by_newest


def judging(
    editions: Editions,
    advance: Callable[[Registry, GroupState, Assessment], tuple[GroupState, Out]],
) -> Callable[[GroupState, Assessment], tuple[GroupState, Out]]:
    """``advance`` by the zones and rules in force, no older than those of the assessment."""

    def advance_by_newest(state: GroupState, seen: Assessment) -> tuple[GroupState, Out]:
        registry = editions.at_least(seen.edition)
        try:
            return advance(registry, placed(editions, state), seen)
        except GoneError as exc:
            raise SettingsError(str(exc)) from exc

    return advance_by_newest


def in_step(
    editions: Editions,
    advance: Callable[[Registry, GroupState, Assessment], tuple[GroupState, Out]],
) -> Callable[[GroupState, Assessment], tuple[GroupState, Out]]:
    """As ``judging``, for key groups that advance together.

    They take another registry at the records that have a share for each of them, so that all are
    kept with what it changed.
    """
    by_newest = judging(editions, advance)

    def advance_in_step(state: GroupState, seen: Assessment) -> tuple[GroupState, Out]:
        if seen.announces or state.registry is None:
            return by_newest(state, seen)
        return advance(state.registry, state, seen)

    return advance_in_step


def joining(
    editions: Editions, policy: Policy
) -> Callable[[Sequence[GroupState], Assessment], tuple[GroupState, list[Delivery]]]:
    """Joins the states of key groups under the registry that the first has, else the newest."""

    def join(states: Sequence[GroupState], seen: Assessment) -> tuple[GroupState, list[Delivery]]:
        registry = states[0].registry or editions.at_least(seen.edition)
        try:
            return cohort.join(registry, policy, [placed(editions, state) for state in states])
        except GoneError as exc:
            raise SettingsError(str(exc)) from exc

    return join
