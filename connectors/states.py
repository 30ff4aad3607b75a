"""Vehicle states: the newest of an epoch for sinks that show the present, and who keeps them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from schemas.delivery import Delivery
from schemas.frame import KINDS, rfc3339
from schemas.live import VehicleState, VehicleStates


@runtime_checkable
class StateStore(Protocol):
    """A sink whose vehicle states can be read back."""

    def states(self, vehicle_id: str | None = None) -> Iterator[VehicleState]:
        """The state of each vehicle, or of those with this id, in order of id, then kind.

        Raises:
            SettingsError: the store is absent or not ours.
            ConnectorError: it is in trouble.
        """
        ...


class NewestStates:
    """The newest state of each vehicle among those told since the last ``drain``."""

    def __init__(self) -> None:
        # (kind, vehicle id) -> where its newest state is: (time, states, row).
        self._newest: dict[tuple[str, str], tuple[int, VehicleStates, int]] = {}

    def take(self, delivery: Delivery) -> None:
        """Note the states of a delivery of ``VEHICLE_STATES``; of equal times the later told."""
        states: VehicleStates = delivery.event.data["states"]
        frame = states.frame
        columns = (frame.vehicle.tolist(), frame.kind.tolist(), frame.time_us.tolist())
        for row, (vehicle, kind, time_us) in enumerate(zip(*columns, strict=True)):
            key = (KINDS[kind], frame.vehicle_ids[vehicle])
            known = self._newest.get(key)
            if known is None or known[0] <= time_us:
                self._newest[key] = (time_us, states, row)

    def drain(self) -> list[VehicleState]:
        """The states, in the order in which their vehicles were first told."""
        newest, self._newest = self._newest, {}
        rows: dict[int, list[int]] = defaultdict(list)
        for _, states, row in newest.values():
            rows[id(states)].append(row)
        parts: dict[int, _Parts] = {}
        found = []
        for (kind, vehicle_id), (time_us, states, row) in newest.items():
            if id(states) not in parts:
                parts[id(states)] = _Parts(states, rows[id(states)])
            of_row = parts[id(states)]
            found.append(
                VehicleState(
                    kind=kind,
                    vehicle_id=vehicle_id,
                    time=rfc3339(time_us),
                    record=of_row.records[row],
                    zones=dict(sorted(of_row.zones.get(row, ()))),
                    unknown=tuple(sorted(of_row.unknown.get(row, ()))),
                )
            )
        return found


class _Parts:
    """Records of some rows, and stays and unknown zones, by the row of their vehicle."""

    def __init__(self, states: VehicleStates, rows: list[int]) -> None:
        self.records = dict(zip(rows, states.frame.records(np.array(rows)), strict=True))
        self.zones: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self.unknown: dict[int, list[str]] = defaultdict(list)
        for row, zone_id, entered_us in zip(
            states.row, states.zone_id, states.entered_us, strict=True
        ):
            self.zones[row].append((zone_id, rfc3339(entered_us)))
        for row, zone_id in states.unknown:
            self.unknown[row].append(zone_id)
