"""Telemetry, vehicle states and counts for the sinks that want them; no work where none does."""

from collections.abc import Callable, Iterable, Set
from typing import TypeAlias

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from connectors.contract import LiveSink, Sink
from rules.assessment import Assessment
from rules.group import GroupState
from rules.tracks import runs_of
from schemas.delivery import Delivery
from schemas.frame import Frame, where
from schemas.live import (
    PIPELINE,
    VEHICLE_STATES,
    VehicleStates,
    pipeline_delivery,
    states_delivery,
    telemetry_delivery,
)

Advance: TypeAlias = Callable[[GroupState, Assessment], tuple[GroupState, list[Delivery]]]


def wanted_topics(sinks: Iterable[Sink]) -> frozenset[str]:
    """The topics of ``schemas.live`` that at least one sink wants."""
    return frozenset().union(*(sink.wants for sink in sinks if isinstance(sink, LiveSink)))


def tell_telemetry(by_group: KeyedStream[Assessment]) -> Stream[Delivery]:
    """All records, as columns, each vehicle's in the order they came."""
    return op.flat_map_batch(
        "tell_telemetry",
        by_group,
        lambda batch: [telemetry_delivery(key, seen.frame) for key, seen in batch],
    )


def telling(advance: Advance, wanted: Set[str]) -> Advance:
    """``advance`` that also tells the states and counts after each frame, as far as wanted."""
    if not wanted & {VEHICLE_STATES, PIPELINE}:
        return advance

    def advance_and_tell(state: GroupState, seen: Assessment) -> tuple[GroupState, list[Delivery]]:
        moved, told = advance(state, seen)
        told = told.copy()
        if VEHICLE_STATES in wanted:
            told.append(states_delivery(seen.key, vehicle_states(moved, seen.frame)))
        if PIPELINE in wanted:
            at_us = moved.pending.high_water_us
            told.append(pipeline_delivery(seen.key, at_us, dict(moved.tallies)))
        return moved, told

    return advance_and_tell


def vehicle_states(state: GroupState, frame: Frame) -> VehicleStates:
    """The states after ``frame`` (rows by vehicle, then time) of the vehicles it moved on.

    ``state`` knows the frame already. A vehicle whose rows all came late is left out.
    """
    memory, registry = state.memory, state.registry
    newest = frame.take(runs_of(frame)[1:] - 1)
    ids = tuple(map(frame.vehicle_ids.__getitem__, newest.vehicle.tolist()))
    slot = memory.roster.find(ids)
    in_order = where(newest.time_us >= memory.roster.last_us[slot])
    newest = newest.take(in_order)
    # row_of[slot] = row of the vehicle in ``newest``, -1 where it is not in this frame.
    row_of = np.full(len(memory.roster), -1, np.intp)
    row_of[slot[in_order]] = np.arange(len(newest))
    visits = memory.visits.entered()
    row = row_of[visits.slot]
    here = where(row >= 0)
    zones = () if registry is None else registry.fences.zones
    return VehicleStates(
        newest,
        row[here].tolist(),
        [zones[zone].id for zone in visits.zone[here].tolist()],
        visits.entered_us[here].tolist(),
    )
