"""What the report needs beside the results: thinned tracks and counts, on internal topics."""

from collections.abc import Iterator
from typing import Final

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Stream

from rules.tracks import runs_of
from schemas.delivery import Delivery
from schemas.event import Event, identity
from schemas.frame import Frame, rfc3339

TRACKS: Final = "_tracks"
TRACK_SAMPLED: Final = "farwatch.track.sampled.v1"


def sample_tracks(frames: Stream[Frame], every_s: float) -> Stream[Delivery]:
    """The fixes of each frame, about one a vehicle in ``every_s`` of event time, and its last."""

    def sample(batch: list[Frame]) -> Iterator[Delivery]:
        for frame in batch:
            yield from _samples(frame, round(every_s * 1e6))

    return op.flat_map_batch("sample_tracks", frames, sample)


def _samples(frame: Frame, every_us: int) -> Iterator[Delivery]:
    located = np.flatnonzero(~np.isnan(frame.number("longitude")))
    order = located[np.lexsort((frame.time_us[located], frame.vehicle[located]))]
    track = frame.take(order)
    # Keep the first fix of each (vehicle, slice of time) and each vehicle's last.
    slice_of = track.time_us // every_us
    other_vehicle = track.vehicle[1:] != track.vehicle[:-1]
    begins = np.append([True], other_vehicle | (slice_of[1:] != slice_of[:-1]))
    ends = np.append(other_vehicle, [True])
    track = track.take(np.flatnonzero((begins | ends)[: len(track)]))
    start = runs_of(track)
    for a, b in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        part = track.take(slice(a, b))
        first = part.record(0)
        points = {
            "time_us": part.time_us.tolist(),
            **{name: _listed(part, name) for name in ("longitude", "latitude", "depth_m")},
        }
        event = Event(
            type=TRACK_SAMPLED,
            event_id=identity(TRACK_SAMPLED, first["vehicle_id"], *points["time_us"]),
            vehicle_id=first["vehicle_id"],
            time_us=int(part.time_us[0]),
            data={
                "time": rfc3339(int(part.time_us[0])),
                "kind": first["kind"],
                "body": first["body"],
                **points,
            },
        )
        yield Delivery(TRACKS, event)


def _listed(frame: Frame, name: str) -> list[float | None]:
    return [None if np.isnan(value) else value for value in frame.number(name).tolist()]
