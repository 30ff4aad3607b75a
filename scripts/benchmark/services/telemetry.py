"""Telemetry of a moving fleet as messages, some records of which raise an alarm."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from scripts.benchmark.areas import region_side_m
from scripts.benchmark.fleet import simulate

VEHICLES: Final = 1_000
ZONES: Final = 500
RULES: Final = 20
SEED: Final = 1

ALARM_RULE: Final = "bench-deep"
RULE: Final = f"""\
- id: {ALARM_RULE}
  when: depth_m > 5000.0
  severity: critical
  message: "{{vehicle_id}} at {{depth_m}} m"
  source: made for the benchmark
"""
"""A rule for records that are to be heard of at once; no record breaks it unless told to."""

_DEEP_M: Final = b"6000"
_CYCLES: Final = 200
_APART: Final = 37
"""Records by which a vehicle's alarms come earlier than those of the one before it."""
STEP_S: Final = 5.5
"""Mean time between two rows of a simulated vehicle."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its routing key or key, its body, how many of its records raise an alarm."""

    vehicle_id: str
    body: bytes
    alarms: int


class Messages:
    """Messages of ``records`` records each, the vehicles taking turns, without end.

    Of each vehicle's records one of every ``alarm_every`` is deep, which raises the alarm of
    ``ALARM_RULE``; the next one clears it. Neighbours in turn raise theirs at other times, so that
    alarms come evenly. A vehicle goes its way to and fro in event time, at
    a few metres a second whatever the rate of its records is.
    """

    def __init__(self, records: int, alarm_every: int) -> None:
        self._records = records
        self._alarm_every = alarm_every
        fleet = simulate(VEHICLES, VEHICLES * _CYCLES, region_side_m(ZONES), SEED)
        columns = (
            fleet.speed_mps.tolist(),
            fleet.heading_deg.tolist(),
            fleet.battery_pct.tolist(),
        )
        tail = b'"speed_mps":%.3f,"heading_deg":%.1f,"battery_pct":%.2f,"depth_m":'
        # Row r of vehicle v is at r * VEHICLES + v.
        self._tails = list(map(tail.__mod__, zip(*columns, strict=True)))
        self._depths = [b"%.1f" % depth_m for depth_m in fleet.depth_m.tolist()]
        self._latitude, self._longitude = fleet.latitude.tolist(), fleet.longitude.tolist()
        there_and_back = [*range(_CYCLES), *range(_CYCLES - 2, 0, -1)]
        self._row_of = (np.array(there_and_back) * VEHICLES).tolist()
        self._number = 0
        self._began_s: float | None = None

    def make(self, time_s: float, apart_s: float = 1e-6) -> Message:
        """The next message; its records are of ``time_s`` and ``apart_s`` seconds apart."""
        if self._began_s is None:
            self._began_s = time_s
        turn, vehicle = divmod(self._number, VEHICLES)
        self._number += 1
        first = turn * self._records
        lines, alarms = [], 0
        for number in range(first, first + self._records):
            deep = (number + vehicle * _APART) % self._alarm_every == 0
            alarms += deep
            lines.append(self._line(vehicle, time_s, deep=deep))
            time_s += apart_s
        return Message(f"auv-{vehicle:06d}", b"\n".join(lines), alarms)

    def _line(self, vehicle: int, time_s: float, *, deep: bool) -> bytes:
        step, share = divmod((time_s - (self._began_s or 0)) / STEP_S, 1)
        rows, place = self._row_of, int(step)
        row, next_row = (rows[(place + i) % len(rows)] + vehicle for i in (0, 1))
        latitude, longitude = self._latitude, self._longitude
        return (
            b'{"vehicle_id":"auv-%06d","latitude":%.7f,"longitude":%.7f,%s%s,"timestamp":%.6f}'
        ) % (
            vehicle,
            latitude[row] + (latitude[next_row] - latitude[row]) * share,
            longitude[row] + (longitude[next_row] - longitude[row]) * share,
            self._tails[row],
            _DEEP_M if deep else self._depths[row],
            time_s,
        )
