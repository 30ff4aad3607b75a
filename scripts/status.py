"""`farwatch status`: where vehicles are, in which zones, and since when."""

import sys
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from connectors.contract import ConnectorSettings, SettingsError
from connectors.registry import masked, open_sink
from connectors.states import StateStore
from flows.settings import Settings
from schemas.live import VehicleState
from scripts.listing import write_listing

_KNOWN: Final = "use one of `sqlite:PATH`, `postgresql://...`, `redis://...`"


def states_url(settings: Settings) -> str:
    """The first of the results that keeps states of vehicles.

    Raises:
        SettingsError: none does.
    """
    for url in settings.results:
        if isinstance(open_sink(url, ConnectorSettings()), StateStore):
            return url
    raise SettingsError(f"no results that keep states of vehicles; give --from, {_KNOWN}")


def show_status(url: str, vehicle_id: str | None, zone_id: str | None, *, as_json: bool) -> int:
    """Write a line a vehicle to standard output; returns how many.

    Raises:
        SettingsError: the store keeps no states, cannot be read, or does not know the vehicle.
        ConnectorError: it is in trouble.
    """
    store = open_sink(url, ConnectorSettings())
    if not isinstance(store, StateStore):
        raise SettingsError(f"`{masked(url)}`: keeps no states of vehicles; {_KNOWN}")
    found = list(store.states(vehicle_id))
    if vehicle_id is not None and not found:
        raise SettingsError(
            f"`{masked(url)}`: knows no vehicle `{vehicle_id}`; `farwatch status` lists all"
        )
    chosen = [s for s in found if zone_id is None or zone_id in s.zones or zone_id in s.unknown]
    _write_json(chosen) if as_json else write_listing([_HEAD, *map(_row, chosen)])
    return len(chosen)


_HEAD: Final = ("vehicle", "kind", "body", "time", "latitude", "longitude", "depth_m", "zones")


def _row(state: VehicleState) -> tuple[str, ...]:
    def number(name: str, digits: int) -> str:
        value = state.record.get(name)
        return "" if value is None else f"{value:.{digits}f}"

    places = number("latitude", 5), number("longitude", 5), number("depth_m", 1)
    body = str(state.record.get("body", ""))
    return state.vehicle_id, state.kind, body, _seconds(state.time), *places, _zones(state)


def _zones(state: VehicleState) -> str:
    """The zones with the time of entry; those in which nobody knows whether it is, with ``?``."""
    entered = {
        zone: f"{zone}{'?' * (zone in state.unknown)} since {_seconds(since)}"
        for zone, since in state.zones.items()
    }
    maybe = {zone: f"{zone}?" for zone in state.unknown}
    return ", ".join(told for _, told in sorted((maybe | entered).items()))


def _seconds(time: str) -> str:
    return time[:19] + "Z"


def _write_json(states: Iterable[VehicleState]) -> None:
    for state in states:
        sys.stdout.write(msgspec.json.encode(_document(state)).decode() + "\n")


def _document(state: VehicleState) -> dict[str, Any]:
    return {
        "vehicle_id": state.vehicle_id,
        "kind": state.kind,
        "time": state.time,
        "zones": state.zones,
        "unknown": state.unknown,
        "record": state.record,
    }
