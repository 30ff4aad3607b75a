"""Vehicle states into Redis, and back."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Final

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.backoff import until_available
from connectors.contract import ConnectorSettings, Definition, RefusedError, SettingsError
from connectors.redis.keys import (
    EXPIRES_S,
    READ_STATE,
    TELL_STATE,
    state_key,
    zone_key,
)
from connectors.redis.server import Call, Far, Server
from connectors.redis.zones import ZoneCache
from connectors.states import NewestStates
from schemas.delivery import Delivery
from schemas.frame import KINDS
from schemas.live import VEHICLE_STATES, VehicleState
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

BATCH_CALLS: Final = 500

_json: Final = msgspec.json.Encoder()


class RedisSink:
    """The newest state of each vehicle; events are not kept.

    Unit of parallelism: none; one worker writes. Each epoch's newest state of each vehicle is
    written before the epoch is committed. The server compares event times, so neither a restart
    nor a replay puts an older state in the place of a newer one. While the server is away the flow
    waits. The keys of a vehicle expire an hour after its last record was written.
    """

    wants = frozenset({VEHICLE_STATES})
    leaves_out = frozenset((*RESULT_TOPICS, *BETWEEN_TOPICS))

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._far = Far(url, settings.timeout_s)
        self._patience_s = settings.patience_s
        self._zones = ZoneCache()

    def check(self) -> None:
        """Refuse a server that does not answer, does not let us in or cannot be written."""
        with closing(Server(self._far)) as server:
            try:
                server.check()
            except RefusedError as exc:
                raise SettingsError(str(exc)) from exc

    def build(self, source: str) -> FixedPartitionedSink[Delivery, None]:
        """The Bytewax sink; ``source`` is not kept."""
        del source
        return _Database(self._far, self._patience_s, self._zones)

    def write_registry(self, zones: Iterable[Definition], rules: Iterable[Definition]) -> None:
        """Cache the zones in force, see ``ZoneCache``; rules are not kept."""
        del rules
        self._zones.take(zones)
        with closing(Server(self._far)) as server:
            tell = partial(self._zones.tell, server)
            until_available(self._far.shown, tell, self._patience_s)

    def states(self, vehicle_id: str | None = None) -> Iterator[VehicleState]:
        """The states that have not expired; see ``StateStore``."""
        with closing(Server(self._far)) as server:
            named = [(kind, vehicle_id) for kind in KINDS] if vehicle_id else server.vehicles()
            keys: list[Call] = [
                (state_key(*vehicle), [zone_key(*vehicle, "")]) for vehicle in named
            ]
            answers = [
                answer
                for i in range(0, len(keys), BATCH_CALLS)
                for answer in server.call(READ_STATE, keys[i : i + BATCH_CALLS])
            ]
        for (kind, name), answer in zip(named, answers, strict=True):
            if answer:
                yield _read_state(kind, name, answer)


class _Database(FixedPartitionedSink[Delivery, None]):
    def __init__(self, far: Far, patience_s: float, zones: ZoneCache) -> None:
        self._far = far
        self._patience_s = patience_s
        self._zones = zones

    def list_parts(self) -> list[str]:
        return ["database"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_States":
        return _States(self._far, self._patience_s, self._zones)


class _States(StatefulSinkPartition[Delivery, None]):
    def __init__(self, far: Far, patience_s: float, zones: ZoneCache) -> None:
        self._far = far
        self._server = Server(far)
        self._patience_s = patience_s
        self._zones = zones
        self._newest = NewestStates()

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            if value.topic == VEHICLE_STATES:
                self._newest.take(value)

    def snapshot(self) -> None:
        states = self._newest.drain()
        calls = [_call(state) for state in states]
        for i in range(0, len(calls), BATCH_CALLS):
            tell = partial(self._server.call, TELL_STATE, calls[i : i + BATCH_CALLS])
            until_available(self._far.shown, tell, self._patience_s)
        if states:
            advance = partial(self._zones.advance, self._server, max(each.time for each in states))
            until_available(self._far.shown, advance, self._patience_s)

    def close(self) -> None:
        self._server.close()


def _call(state: VehicleState) -> Call:
    arguments = [
        state.time,
        _json.encode(state.record),
        state.record.get("status", ""),
        str(EXPIRES_S),
        zone_key(state.kind, state.vehicle_id, ""),
        _json.encode(list(state.zones)),
        _json.encode(state.unknown),
    ]
    for zone_id, entered in state.zones.items():
        arguments += [zone_id, entered]
    return state_key(state.kind, state.vehicle_id), arguments


def _read_state(kind: str, vehicle_id: str, answer: list[bytes]) -> VehicleState:
    time, record, zones, unknown, *entered = answer
    return VehicleState(
        kind=kind,
        vehicle_id=vehicle_id,
        time=time.decode(),
        record=msgspec.json.decode(record),
        zones=dict(
            zip(msgspec.json.decode(zones), [each.decode() for each in entered], strict=True)
        ),
        unknown=tuple(msgspec.json.decode(unknown)),
    )


def open_sink(url: str, settings: ConnectorSettings) -> RedisSink:
    """The sink that ``url`` names; nothing is written yet."""
    return RedisSink(url, settings)
