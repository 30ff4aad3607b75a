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


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its routing key or key, its body, how many of its records raise an alarm."""

    vehicle_id: str
    body: bytes
    alarms: int


class Messages:
    """Messages of ``records`` records each, the vehicles taking turns, without end.

    Of each vehicle's records the first of every ``alarm_every`` is deep, which raises the alarm
    of ``ALARM_RULE``; the next one clears it. A vehicle goes its way to and fro, so that no
    message is a leap.
    """

    def __init__(self, records: int, alarm_every: int) -> None:
        self._records = records
        self._alarm_every = alarm_every
        fleet = simulate(VEHICLES, VEHICLES * _CYCLES, region_side_m(ZONES), SEED)
        columns = (
            fleet.vehicle.tolist(),
            fleet.latitude.tolist(),
            fleet.longitude.tolist(),
            fleet.speed_mps.tolist(),
            fleet.heading_deg.tolist(),
            fleet.battery_pct.tolist(),
        )
        head = (
            b'{"vehicle_id":"auv-%06d","latitude":%.6f,"longitude":%.6f,'
            b'"speed_mps":%.3f,"heading_deg":%.1f,"battery_pct":%.2f,"depth_m":'
        )
        # Row r of vehicle v is at r * VEHICLES + v: all but depth and time, which come last.
        self._heads = list(map(head.__mod__, zip(*columns, strict=True)))
        self._depths = [b"%.1f" % depth_m for depth_m in fleet.depth_m.tolist()]
        there_and_back = [*range(_CYCLES), *range(_CYCLES - 2, 0, -1)]
        self._row_of = (np.array(there_and_back) * VEHICLES).tolist()
        self._number = 0

    def make(self, time_s: float) -> Message:
        """The next message; its records are of ``time_s`` and the microseconds after it."""
        turn, vehicle = divmod(self._number, VEHICLES)
        self._number += 1
        first = turn * self._records
        lines, alarms = [], 0
        for number in range(first, first + self._records):
            row = self._row_of[number % len(self._row_of)] + vehicle
            deep = (number + vehicle) % self._alarm_every == 0
            alarms += deep
            lines.append(
                b'%s%s,"timestamp":%.6f}'
                % (self._heads[row], _DEEP_M if deep else self._depths[row], time_s)
            )
            time_s += 1e-6
        return Message(f"auv-{vehicle:06d}", b"\n".join(lines), alarms)
