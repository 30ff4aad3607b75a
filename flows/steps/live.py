"""Telemetry, vehicle states and counts for the sinks that want them; no work where none does."""

from collections.abc import Callable, Iterable, Set
from typing import TypeAlias

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from connectors.contract import LiveSink, Sink
from rules.assessment import Assessment, Whole
from rules.fences import UNKNOWN
from rules.group import GroupState
from rules.share import Share
from rules.tallies import of_frame
from rules.tracks import runs_of
from schemas.delivery import Delivery
from schemas.frame import Rows, where
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


def tell_telemetry(by_group: KeyedStream[Share[Whole]]) -> Stream[Delivery]:
    """All records, as columns, each vehicle's in event-time order in a frame."""
    return op.flat_map_batch(
        "tell_telemetry",
        by_group,
        lambda batch: [
            telemetry_delivery(key, share.whole.seen.frame)
            for key, share in batch
            if key == share.whole.keys[0]
        ],
    )


def telling(advance: Advance, wanted: Set[str]) -> Advance:
    """``advance`` that also tells the states and counts after each frame, as far as wanted."""
    if not wanted & {VEHICLE_STATES, PIPELINE}:
        return advance

    def advance_and_tell(state: GroupState, seen: Assessment) -> tuple[GroupState, list[Delivery]]:
        moved, told = advance(state, seen)
        if not len(seen.frame):
            return moved, told
        told = told.copy()
        if VEHICLE_STATES in wanted:
            told.append(states_delivery(seen.key, vehicle_states(moved, seen)))
        if PIPELINE in wanted:
            told += [pipeline_delivery(*counted) for counted in of_frame(moved.tallies, seen)]
        return moved, told

    return advance_and_tell


def vehicle_states(state: GroupState, seen: Assessment) -> VehicleStates:
    """The states after the records of ``seen`` of the vehicles that they moved on.

    ``state`` knows the records already. A vehicle whose rows all came late is left out.
    """
    memory, registry = state.memory, state.registry
    frame, last = seen.frame, runs_of(seen.frame)[1:] - 1
    ids = [frame.vehicle_ids[vehicle] for vehicle in frame.vehicle[last].tolist()]
    slot = memory.roster.find(tuple(ids))
    in_order = where(frame.time_us[last] >= memory.roster.last_us[slot])
    newest = frame.take(last[in_order])
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
        [(of, zones[zone].id) for of, zone in _unknown(state, seen, last[in_order], row_of)],
    )


def _unknown(
    state: GroupState, seen: Assessment, newest: Rows, row_of: Rows
) -> list[tuple[int, int]]:
    """(row, zone) where nobody knows whether a vehicle is in a zone, sorted.

    Either its visit is lost from sight, or its newest record (row ``newest``) does not tell.
    """
    lost = state.memory.visits.unknown()
    row = row_of[lost.slot]
    found = set(zip(row.tolist(), lost.zone.tolist(), strict=True))
    registry, presence = state.registry, seen.presence
    if registry is not None and registry.fingerprint == seen.edition:
        doubtful = presence.among(newest)
        pairs = where((doubtful.code == UNKNOWN) & (doubtful.zone < doubtful.zones))
        found |= set(zip(doubtful.row[pairs].tolist(), doubtful.zone[pairs].tolist(), strict=True))
    return sorted(pair for pair in found if pair[0] >= 0)
