"""Frames to key groups: judge what needs no past, then cut by group."""

from collections.abc import Iterator

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from rules.assessment import Assessment, Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from schemas.frame import Frame


def assess(
    frames: Stream[Frame], registry: Registry, limits: Limits, key_groups: int
) -> KeyedStream[Assessment]:
    """Each frame's records with presence and verdicts, keyed by the vehicle's key group."""
    assessor = Assessor(registry, limits, KeyGroups(key_groups))

    def cut(batch: list[Frame]) -> Iterator[tuple[str, Assessment]]:
        for frame in batch:
            for part in assessor.assess(frame):
                yield part.key, part

    return op.flat_map_batch("assess", frames, cut)
