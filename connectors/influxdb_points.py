"""What deliveries become in InfluxDB: which measurement, which tags, which fields."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.line_protocol import Value, frame_lines, line
from schemas.delivery import Delivery
from schemas.event import ANALYTICS_WINDOWED, HAZARD_SCORED, ZONE_EXITED, Event
from schemas.frame import BODIES, KINDS, Frame, concat, where
from schemas.live import PIPELINE, TELEMETRY

TEXTS: Final = ("status", "mission_id")
"""Text columns of telemetry that become fields."""


@dataclass(frozen=True, slots=True)
class Thinning:
    """Which telemetry is written: all, none, or (``every_us``) the first record of each slice.

    A vehicle's record is written where it is in another slice of event time than its record
    before; so what a vehicle stored and sends late is thinned like the rest.
    """

    write: bool = True
    every_us: int | None = None


class Points:
    """Deliveries on their way to lines.

    ``rows``: telemetry records held. ``slices``: the slice of each vehicle's newest record, where
    telemetry is thinned.
    """

    def __init__(self, thinning: Thinning, slices: dict[str, int]) -> None:
        self.slices = dict(slices)
        self.rows = 0
        self._thinning = thinning
        self._frames: list[Frame] = []
        self._others: list[Delivery] = []
        # Events do not say what a vehicle is; its telemetry does, and comes in the same epoch.
        self._vehicles: dict[str, tuple[str, str]] = {}

    def add(self, delivery: Delivery) -> None:
        """Take in a delivery; what has no measurement is dropped."""
        if delivery.topic == TELEMETRY:
            self._add_frame(delivery.event.data["frame"])
        elif delivery.topic == PIPELINE or delivery.event.type in _FIELDS:
            self._others.append(delivery)

    def take_telemetry(self) -> list[bytes]:
        """The lines of the telemetry held, in order of arrival."""
        frames, self._frames, self.rows = self._frames, [], 0
        return frame_lines("telemetry", concat(frames), TEXTS) if frames else []

    def take_others(self) -> list[bytes]:
        """The lines of everything else held; call at the end of an epoch."""
        others, self._others = self._others, []
        return [self._line(delivery) for delivery in others]

    def _add_frame(self, frame: Frame) -> None:
        vehicle, first = np.unique(frame.vehicle, return_index=True)
        for code, kind, body in zip(
            vehicle.tolist(), frame.kind[first].tolist(), frame.body[first].tolist(), strict=True
        ):
            self._vehicles[frame.vehicle_ids[code]] = (KINDS[kind], BODIES[body])
        if not self._thinning.write:
            return
        if self._thinning.every_us is not None:
            frame = self._thinned(frame, self._thinning.every_us)
        if len(frame):
            self._frames.append(frame)
            self.rows += len(frame)

    def _thinned(self, frame: Frame, every_us: int) -> Frame:
        # Rows come vehicle by vehicle (the order of key groups), each vehicle's in one run.
        slice_of = frame.time_us // every_us
        begins = np.append([True], frame.vehicle[1:] != frame.vehicle[:-1])
        before = np.append([0], slice_of[:-1])
        start = where(begins)
        ids = [frame.vehicle_ids[code] for code in frame.vehicle[start].tolist()]
        before[start] = [self.slices.get(name, -(2**62)) for name in ids]
        last = np.append(start[1:], len(frame)) - 1
        self.slices.update(zip(ids, slice_of[last].tolist(), strict=True))
        return frame.take(where(slice_of != before))

    def _line(self, delivery: Delivery) -> bytes:
        event = delivery.event
        if delivery.topic == PIPELINE:
            counts = {name: count for name, count in event.data.items() if name != "group"}
            return line("pipeline", {"group": event.data["group"]}, counts, event.happened_us)
        measurement, more_tags = _MEASUREMENT[event.type]
        tags = {"vehicle_id": event.vehicle_id}
        # What a window says a vehicle is, a revision may change: no tag, for that names the point.
        if event.vehicle_id in self._vehicles and event.type != ANALYTICS_WINDOWED:
            tags["kind"], tags["body"] = self._vehicles[event.vehicle_id]
        tags |= {name: str(event.data[name]) for name in more_tags}
        fields = _FIELDS[event.type](event) | {
            "event_id": event.event_id,
            "version": event.version,
            "retracted": event.retracted,
        }
        return line(measurement, tags, fields, event.happened_us)


def _dwell(event: Event) -> dict[str, Value]:
    return {"duration_s": float(event.data["duration_s"])}


def _hazard(event: Event) -> dict[str, Value]:
    parts = {f"parts.{part['name']}": float(part["contribution"]) for part in event.data["parts"]}
    return {"score": float(event.data["score"]), "class": event.data["class"], **parts}


def _window(event: Event) -> dict[str, Value]:
    # A revision writes over every field of the point: none may be left out that was there before.
    fields: dict[str, Value] = {
        name: event.data[name]
        for name in ("kind", "body", "count", "too_late", "gaps", "longest_gap_s")
    }
    for name, figures in event.data["figures"].items():
        fields |= {f"{name}.{what}": value for what, value in figures.items() if value is not None}
    return fields | {f"{name}.last": value for name, value in event.data["last"].items()}


# A vehicle may leave two zones at once: the zone is a tag, so that each dwell time is a point.
_MEASUREMENT: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    ZONE_EXITED: ("zone_dwell", ("zone_id",)),
    HAZARD_SCORED: ("hazard", ()),
    ANALYTICS_WINDOWED: ("telemetry_window", ("length_s",)),
}
_FIELDS: Final = {ZONE_EXITED: _dwell, HAZARD_SCORED: _hazard, ANALYTICS_WINDOWED: _window}
