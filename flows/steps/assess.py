"""Frames to key groups: judge what needs no past, then cut by group."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from connectors.contract import SettingsError
from flows.steps.editions import Editions
from rules.assessment import Assessment, Assessor, KeyGroups
from rules.editions import GoneError
from rules.legs import Limits
from rules.registry import Registry
from schemas.frame import Frame


def assess(
    frames: Stream[Frame], editions: Editions, limits: Limits, key_groups: int
) -> KeyedStream[Assessment]:
    """Each frame's records with presence and verdicts, keyed by the vehicle's key group."""
    assessor = Assessor(editions.registry, limits, KeyGroups(key_groups))

    def cut(batch: list[Frame]) -> Iterator[tuple[str, Assessment]]:
        assessor.judge_by(editions.newest())
        for frame in batch:
            for part in assessor.assess(frame):
                yield part.key, part

    return op.flat_map_batch("assess", frames, cut)


State = TypeVar("State")
Out = TypeVar("Out")


def judging(
    editions: Editions, advance: Callable[[Registry, State, Assessment], tuple[State, Out]]
) -> Callable[[State, Assessment], tuple[State, Out]]:
    """``advance`` by the zones and rules in force, no older than those of the assessment."""

    def advance_by_newest(state: State, seen: Assessment) -> tuple[State, Out]:
        registry = editions.at_least(seen.edition)
        try:
            return advance(registry, state, seen)
        except GoneError as exc:
            raise SettingsError(str(exc)) from exc

    return advance_by_newest
