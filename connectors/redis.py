"""``redis://HOST:PORT/DB``: the newest state of each vehicle and who is in which zone."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import redis
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from connectors.backoff import until_available
from connectors.contract import (
    Connector,
    ConnectorError,
    ConnectorSettings,
    Definition,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.credentials import credential
from connectors.registry import masked
from schemas.delivery import Delivery
from schemas.frame import KINDS, rfc3339
from schemas.live import VEHICLE_STATES, VehicleStates

EXPIRES_S: Final = 3600
"""How long a vehicle's keys live after its last record was written."""
ZONES_KEY: Final = "zones:all"
BATCH_CALLS: Final = 500

# Times are RFC 3339 in UTC with microseconds, so text order is time order. A vehicle's hash names
# its zones, so the keys of those it has left are found without a search. Not for Redis Cluster:
# the keys of zones cannot be known before the call.
# KEYS: the hash. ARGV: last_update, record, status, seconds to live, prefix of the vehicle's zone
# keys, zones as JSON, then zone id and entry time in turn.
_TELL_STATE: Final = """
local known = redis.call('HGET', KEYS[1], 'last_update')
if known and known > ARGV[1] then return 0 end
local now_in = {}
for i = 7, #ARGV, 2 do now_in[ARGV[i]] = true end
local was_in = redis.call('HGET', KEYS[1], 'zones')
if was_in then
  for _, zone in ipairs(cjson.decode(was_in)) do
    if not now_in[zone] then redis.call('DEL', ARGV[5] .. zone) end
  end
end
redis.call('HSET', KEYS[1], 'record', ARGV[2], 'zones', ARGV[6], 'last_update', ARGV[1])
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], 'status')
else redis.call('HSET', KEYS[1], 'status', ARGV[3]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
for i = 7, #ARGV, 2 do redis.call('SET', ARGV[5] .. ARGV[i], ARGV[i + 1], 'EX', ARGV[4]) end
return 1
"""
# KEYS: the hash of zones. ARGV: zone id, version, feature.
_KEEP_ZONE: Final = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and cjson.decode(known).properties.version > tonumber(ARGV[2]) then return 0 end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
"""

Call = tuple[str, list[str | bytes]]
"""A key and the arguments of one call of a script."""

_json: Final = msgspec.json.Encoder()


def state_key(kind: str, vehicle_id: str) -> str:
    """The hash of a vehicle: ``record``, ``zones``, ``status``, ``last_update``."""
    return f"{kind}:state:{vehicle_id}"


def zone_key(kind: str, vehicle_id: str, zone_id: str) -> str:
    """The key that is there while a vehicle is in a zone; it holds the entry time."""
    return f"{kind}:zone:{vehicle_id}:{zone_id}"


def is_transient(exc: RedisError) -> bool:
    """Whether the same command may succeed later."""
    if isinstance(exc, (AuthenticationError, AuthorizationError)):
        return False
    away = (RedisConnectionError, RedisTimeoutError, BusyLoadingError)
    return isinstance(exc, (*away, OutOfMemoryError, ReadOnlyError))


class RedisSink:
    """The newest state of each vehicle; events are not kept.

    Unit of parallelism: none; one worker writes. Each epoch's newest state of each vehicle is
    written before the epoch is committed. The server compares event times, so neither a restart
    nor a replay puts an older state in the place of a newer one. While the server is away the flow
    waits. The keys of a vehicle expire an hour after its last record was written.
    """

    wants = frozenset({VEHICLE_STATES})

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._far = _Far(url, settings.timeout_s)
        self._patience_s = settings.patience_s

    def check(self) -> None:
        """Refuse a server that does not answer, does not let us in or cannot be written."""
        with closing(_Server(self._far)) as server:
            try:
                server.check()
            except RefusedError as exc:
                raise SettingsError(str(exc)) from exc

    def build(self, source: str) -> FixedPartitionedSink[Delivery, None]:
        """The Bytewax sink; ``source`` is not kept."""
        del source
        return _Database(self._far, self._patience_s)

    def write_registry(self, zones: Iterable[Definition], rules: Iterable[Definition]) -> None:
        """Cache the highest version of each zone in ``zones:all``; rules are not kept."""
        del rules
        calls: list[Call] = [
            (ZONES_KEY, [zone.id, str(zone.version), _json.encode(zone.body)]) for zone in zones
        ]
        with closing(_Server(self._far)) as server:
            server.call(_KEEP_ZONE, calls)


class _Far:
    """What the URL says and what is known beside it; ``shown`` is the URL without secrets."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.shown = masked(url).partition("?")[0]
        self.url = url
        self.timeout_s = timeout_s
        parts = urlsplit(url)
        database = parts.path.removeprefix("/")
        try:
            named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError as exc:
            raise SettingsError(f"`{self.shown}`: {exc}; write HOST:PORT") from exc
        if not named or not (database == "" or database.isdecimal()):
            raise SettingsError(f"`{self.shown}`: write `{parts.scheme}://HOST:PORT/DB`")
        if unknown := parse_qs(parts.query).keys() - {"ssl_ca_certs"}:
            raise SettingsError(f"`{self.shown}`: unknown `{min(unknown)}`; known is ssl_ca_certs")
        self.user = None if parts.username else credential("REDIS_USER")
        self.password = None if parts.password else credential("REDIS_PASSWORD")

    def client(self) -> redis.Redis:
        given = {"username": self.user, "password": self.password}
        client: redis.Redis = redis.Redis.from_url(
            self.url,
            socket_timeout=self.timeout_s,
            socket_connect_timeout=self.timeout_s,
            retry=Retry(NoBackoff(), 0),
            **{name: value for name, value in given.items() if value is not None},
        )
        return client


class _Database(FixedPartitionedSink[Delivery, None]):
    def __init__(self, far: _Far, patience_s: float) -> None:
        self._far = far
        self._patience_s = patience_s

    def list_parts(self) -> list[str]:
        return ["database"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_States":
        return _States(self._far, self._patience_s)


class _States(StatefulSinkPartition[Delivery, None]):
    def __init__(self, far: _Far, patience_s: float) -> None:
        self._far = far
        self._server = _Server(far)
        self._patience_s = patience_s
        # Key of a vehicle -> where its newest state of this epoch is: (time, states, row).
        self._newest: dict[str, tuple[int, VehicleStates, int]] = {}

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            if value.topic == VEHICLE_STATES:
                self._take(value.event.data["states"])

    def _take(self, states: VehicleStates) -> None:
        frame = states.frame
        columns = (frame.vehicle.tolist(), frame.kind.tolist(), frame.time_us.tolist())
        for row, (vehicle, kind, time_us) in enumerate(zip(*columns, strict=True)):
            key = state_key(KINDS[kind], frame.vehicle_ids[vehicle])
            known = self._newest.get(key)
            if known is None or known[0] <= time_us:
                self._newest[key] = (time_us, states, row)

    def snapshot(self) -> None:
        newest, self._newest = self._newest, {}
        calls = list(_state_calls(newest))
        for i in range(0, len(calls), BATCH_CALLS):
            tell = partial(self._server.call, _TELL_STATE, calls[i : i + BATCH_CALLS])
            until_available(self._far.shown, tell, self._patience_s)

    def close(self) -> None:
        self._server.close()


def _state_calls(newest: dict[str, tuple[int, VehicleStates, int]]) -> Iterator[Call]:
    zones_of: dict[int, dict[int, list[tuple[str, int]]]] = {}
    for key, (time_us, states, row) in newest.items():
        if id(states) not in zones_of:
            zones_of[id(states)] = _zones_by_row(states)
        yield key, _state(time_us, states.frame.record(row), zones_of[id(states)].get(row, []))


def _zones_by_row(states: VehicleStates) -> dict[int, list[tuple[str, int]]]:
    """Row -> (zone id, entry time) of the zones its vehicle is in, in order of zone id."""
    found: dict[int, list[tuple[str, int]]] = {}
    stays = sorted(zip(states.row, states.zone_id, states.entered_us, strict=True))
    for row, zone_id, entered_us in stays:
        found.setdefault(row, []).append((zone_id, entered_us))
    return found


def _state(time_us: int, record: dict[str, Any], zones: list[tuple[str, int]]) -> list[str | bytes]:
    arguments = [
        rfc3339(time_us),
        _json.encode(record),
        record.get("status", ""),
        str(EXPIRES_S),
        zone_key(record["kind"], record["vehicle_id"], ""),
        _json.encode([zone_id for zone_id, _ in zones]),
    ]
    for zone_id, entered_us in zones:
        arguments += [zone_id, rfc3339(entered_us)]
    return arguments


class _Server:
    """The one border to the Redis client."""

    def __init__(self, far: _Far) -> None:
        self._far = far
        with self._translated():
            self._client = far.client()

    def check(self) -> None:
        """Ask for the right to write, without writing."""
        with self._translated():
            info: Any = self._client.info("replication")
            if info.get("role") != "master":
                raise RefusedError(f"`{self._far.shown}`: is a replica; name its master")

    def call(self, script: str, calls: list[Call]) -> None:
        """Run a script once for each call, in order, in one round trip.

        Raises:
            UnavailableError: the server is away, loading, full or read-only.
            RefusedError: it says no for another reason.
        """
        if not calls:
            return
        with self._translated():
            prepared = self._client.register_script(script)
            with self._client.pipeline(transaction=False) as pipe:
                for key, arguments in calls:
                    prepared(keys=[key], args=arguments, client=pipe)
                pipe.execute()

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RedisError as exc:
            raise _error(self._far.shown, exc) from exc
        except (OSError, ValueError) as exc:
            # The client checks its own arguments only now: a certificate that is not there.
            raise SettingsError(f"`{self._far.shown}`: {exc}; check the URL") from exc


def _error(shown: str, exc: RedisError) -> ConnectorError:
    said = " ".join(str(exc).split())[:300]
    if not is_transient(exc):
        return RefusedError(f"`{shown}`: refuses ({said}); check user, password and rights")
    if isinstance(exc, ResponseError):
        return UnavailableError(f"`{shown}`: cannot be written now ({said})")
    return UnavailableError(f"`{shown}`: does not answer ({said}); start it or check the address")


def _open_sink(url: str, settings: ConnectorSettings) -> RedisSink:
    return RedisSink(url, settings)


CONNECTOR: Final = Connector(open_sink=_open_sink)
