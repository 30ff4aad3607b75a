"""``influxdb://HOST:PORT/ORG/BUCKET``: telemetry, dwell times, hazards and counts as points."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import urllib3
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from connectors.backoff import until_available
from connectors.contract import (
    Connector,
    ConnectorError,
    ConnectorSettings,
    FullError,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.influxdb_points import Points
from connectors.influxdb_url import Target, read_url
from connectors.refused import RefusedItems
from schemas.delivery import Delivery
from schemas.live import PIPELINE, TELEMETRY
from schemas.message import Reject
from schemas.topics import ANALYTICS_DATA

BATCH_LINES: Final = 10_000

_DROPPED: Final = re.compile(r"dropped=(\d+)")
_FIELD: Final = re.compile(r'input field "([^"]*)"')
_FULL: Final = (429, 507)
_POINTS_REFUSED: Final = (400, 413, 422)


def is_transient(status: int | None) -> bool:
    """Whether the same request may succeed later; ``status`` None = no answer came."""
    return status is None or status in (408, 429) or status >= 500


class PointsRefusedError(RefusedError):
    """The server refuses points of a batch; ``dropped``: how many, None = it does not say."""

    dropped: int | None = None


class InfluxdbSink:
    """A bucket with ``telemetry``, ``telemetry_window``, ``zone_dwell``, ``hazard``, ``pipeline``.

    Unit of parallelism: none; one worker writes. Each epoch is written in batches and is on the
    server before it is committed; after a restart the last epoch is written again, to the same
    points (same tags, same time), so each is there once. While the server is away or asks to wait
    the flow waits. A point that the server refuses alone is a dead letter.
    """

    wants = frozenset({TELEMETRY, PIPELINE, ANALYTICS_DATA})

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._target = read_url(url)
        self._settings = settings

    def check(self) -> None:
        """Refuse a server that does not answer, a bucket that is absent, a token it refuses."""
        server = _Server(self._target, self._settings.timeout_s)
        try:
            server.write([])
        except PointsRefusedError:
            pass  # It lets us in and misses the points.
        except RefusedError as exc:
            raise SettingsError(str(exc)) from exc
        finally:
            server.close()

    def build(self, source: str) -> FixedPartitionedSink[Delivery, "InfluxdbState"]:
        """The Bytewax sink; ``source`` is not kept."""
        del source
        return _Bucket(self._target, self._settings)


@dataclass(frozen=True, slots=True)
class InfluxdbState:
    """What outlives the process: points refused that are not yet told, and what was thinned.

    ``slices``: the slice of event time of each vehicle's newest record.
    """

    refused: list[Reject]
    slices: dict[str, int]


class _Bucket(FixedPartitionedSink[Delivery, InfluxdbState]):
    def __init__(self, target: Target, settings: ConnectorSettings) -> None:
        self._target = target
        self._settings = settings

    def list_parts(self) -> list[str]:
        return ["bucket"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(
        self, step_id: str, for_part: str, resume_state: InfluxdbState | None
    ) -> "_Writer":
        state = resume_state or InfluxdbState([], {})
        refused = self._settings.refused
        refused.put(state.refused)
        server = _Server(self._target, self._settings.timeout_s)
        write = partial(_write, self._target.shown, server, self._settings.patience_s, refused)
        return _Writer(Points(self._target.thinning, state.slices), refused, server, write)


class _Writer(StatefulSinkPartition[Delivery, InfluxdbState]):
    def __init__(
        self,
        points: Points,
        refused: RefusedItems,
        server: "_Server",
        write: Callable[[list[bytes]], None],
    ) -> None:
        self._points = points
        self._refused = refused
        self._server = server
        self._write = write

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            self._points.add(value)
            if self._points.rows >= BATCH_LINES:
                self._write(self._points.take_telemetry())

    def snapshot(self) -> InfluxdbState:
        lines = self._points.take_telemetry() + self._points.take_others()
        for i in range(0, len(lines), BATCH_LINES):
            self._write(lines[i : i + BATCH_LINES])
        return InfluxdbState(self._refused.waiting(), dict(self._points.slices))

    def close(self) -> None:
        self._server.close()


def _write(
    target: str, server: "_Server", patience_s: float, refused: RefusedItems, lines: list[bytes]
) -> None:
    """Write the lines; of those refused each alone becomes a reject."""
    if not lines:
        return
    try:
        until_available(target, lambda: server.write(lines), patience_s)
    except PointsRefusedError as exc:
        if len(lines) == 1 or exc.dropped == len(lines):
            refused.put([_reject(target, line, exc) for line in lines])
            return
        # Nothing says which: halves, down to the lines at fault. What was accepted is written
        # again, to the same points.
        half = len(lines) // 2
        _write(target, server, patience_s, refused, lines[:half])
        _write(target, server, patience_s, refused, lines[half:])


def _reject(target: str, line: bytes, exc: PointsRefusedError) -> Reject:
    field_name = _FIELD.search(str(exc))
    return Reject(str(exc), field_name[1] if field_name else "", line, target)


class _Server:
    """The one border to the InfluxDB client."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        # Typed as Any: the annotations of the client are wrong in places.
        self._client: Any = InfluxDBClient(
            target.server,
            token=target.token,
            org=target.org,
            timeout=round(timeout_s * 1000),
            ssl_ca_cert=target.ca_file,
            retries=urllib3.Retry(0),
        )
        self._api: Any = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, lines: list[bytes]) -> None:
        """Write lines with times in microseconds.

        Raises:
            PointsRefusedError: some or all of the lines are refused, or there were none.
            UnavailableError: no answer, or one that asks to try later.
            RefusedError: any other answer.
        """
        with self._translated():
            self._api.write(
                self._target.bucket,
                record=b"\n".join(lines),
                write_precision=WritePrecision.US,
            )

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.HTTPError as exc:
            if tls := _tls_failure(exc):
                raise RefusedError(
                    f"`{self._target.shown}`: TLS fails ({tls}); check `tls` and `ca_file`"
                ) from exc
            raise UnavailableError(
                f"`{self._target.shown}`: does not answer ({_short(exc)}); start it or check the"
                " address"
            ) from exc
        except ApiException as exc:
            raise self._answered(exc) from exc

    def _answered(self, exc: ApiException) -> ConnectorError:
        said = _said(exc)
        # The client gives a TLS failure the status 0.
        if exc.status and is_transient(exc.status):
            kind = FullError if exc.status in _FULL else UnavailableError
            error = kind(f"`{self._target.shown}`: asks to wait ({exc.status} {said})")
            error.retry_after_s = _seconds(exc.headers)
            return error
        if exc.status == 400 and exc.body and not _answer(exc):
            # Else a server of another kind would turn every point into a dead letter.
            return RefusedError(
                f"`{self._target.shown}`: does not answer as InfluxDB does (400 {said}); check the"
                " address and `tls`"
            )
        if exc.status in _POINTS_REFUSED:
            refused = PointsRefusedError(f"`{self._target.shown}`: refuses a point ({said})")
            dropped = _DROPPED.search(said)
            refused.dropped = int(dropped[1]) if dropped else None
            return refused
        return RefusedError(
            f"`{self._target.shown}`: refuses ({exc.status} {said}); check organisation, bucket"
            " and token"
        )


class _Answer(msgspec.Struct):
    """What an error says: ``message`` in version 2, ``error`` in version 1."""

    message: str = ""
    error: str = ""


def _said(exc: ApiException) -> str:
    """What the server said, on one short line."""
    return " ".join((_answer(exc) or str(exc.reason)).split())[:300]


def _answer(exc: ApiException) -> str:
    """What InfluxDB says of an error; empty where that is not InfluxDB."""
    try:
        answer = msgspec.json.decode(exc.body or b"", type=_Answer)
    except msgspec.DecodeError:
        return ""
    return answer.message or answer.error


def _tls_failure(exc: urllib3.exceptions.HTTPError) -> str:
    """Why TLS will fail next time too; empty where it may not, or where it is not about TLS."""
    failure = getattr(exc, "reason", exc)
    if not isinstance(failure, urllib3.exceptions.SSLError):
        return ""
    cause = failure.args[0]
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return ""
    names = ("verify_message", "reason", "strerror")
    said = next(filter(None, (getattr(cause, name, "") for name in names)), cause)
    return str(said).replace("_", " ").lower()


def _seconds(headers: Mapping[str, str] | None) -> float:
    after = (headers or {}).get("Retry-After", "")
    return float(after) if after.isdigit() else 0.0


def _short(exc: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(exc, "reason", exc)
    return type(reason).__name__


def _open_sink(url: str, settings: ConnectorSettings) -> InfluxdbSink:
    return InfluxdbSink(url, settings)


CONNECTOR: Final = Connector(open_sink=_open_sink)
