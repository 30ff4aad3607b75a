"""What every connector offers: one module a technology, chosen by the scheme of its URL.

A connector module defines ``CONNECTOR``, names its scheme in ``registry.py``, and passes
``tests/contract``. Sources yield ``Message`` and ``Reject``; sinks take ``(topic, Delivery)``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import FixedPartitionedSink

from connectors.epoch import Intake
from connectors.refused import RefusedItems
from schemas.delivery import Delivery
from schemas.message import Message, Reject

Progress = Callable[[str, int, int], None]
"""Told after each batch: partition, bytes of it done, bytes of it in all."""


class ConnectorError(Exception):
    """The far side is in trouble; the message says which, what and, where known, the remedy."""


class UnavailableError(ConnectorError):
    """The far side does not answer or asks to wait: trying again later may succeed."""

    retry_after_s: float = 0.0
    """How long the far side asks to wait at least."""


class FullError(UnavailableError):
    """The far side answers and has no room, or asks for less: room may be made while we wait."""


class RefusedError(ConnectorError):
    """The far side answers and says no: trying again the same way cannot succeed."""


class SettingsError(ValueError):
    """A set-up that cannot work; one line: the value, what is wrong with it, the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSettings:
    """What connectors may be told besides their URL.

    ``format`` names the reader of a file source; ``batch_rows`` is how many records a source hands
    out at once, ``epoch_rows`` how many within one epoch: Bytewax queues without bound between
    epoch ends, so this bounds memory. ``timeout_s`` is how long a far side may keep us waiting,
    ``patience_s`` how long a sink waits for one that is away. ``refused`` takes what a far side
    refuses item by item; once ``intake`` is closed, sources hand out nothing more.
    """

    format: str = "ndjson"
    batch_rows: int = 20_000
    epoch_rows: int = 400_000
    timeout_s: float = 5.0
    patience_s: float = 900.0
    refused: RefusedItems = field(default_factory=RefusedItems, compare=False, repr=False)
    intake: Intake = field(default_factory=Intake, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("batch_rows", "epoch_rows", "timeout_s", "patience_s"):
            if (value := getattr(self, name)) <= 0:
                raise SettingsError(f"`{name}` {value}: must be more than 0; set it so")


class Source(Protocol):
    """Where telemetry comes from."""

    def check(self) -> None:
        """Do nothing if the source can be read; else raise SettingsError or ConnectorError."""
        ...

    def build(
        self, on_progress: Progress | None = None
    ) -> FixedPartitionedSource[Message | Reject, Any]:
        """The Bytewax source; its items of one partition keep their order."""
        ...

    @property
    def total_bytes(self) -> int | None:
        """How much there is to read, or None where nobody can know."""
        ...


@runtime_checkable
class Rationed(Protocol):
    """A part of a source that can be told how much to hand out."""

    def ration(self, records: int | None) -> None:
        """At most so many records at once, or one message of more; 0 = none, None = as ever."""
        ...


class Sink(Protocol):
    """Where results go: each ``(topic, Delivery)`` written once for each topic and message id.

    Topics that begin with ``_`` are farwatch's own bookkeeping: no sink shows them to others. What
    the topics of ``schemas.live`` hold comes only to a ``LiveSink`` that names them.
    """

    def check(self) -> None:
        """Do nothing if the target can be written; else raise SettingsError or ConnectorError.

        Called before the flow starts; leaves nothing behind.
        """
        ...

    def build(self, source: str) -> FixedPartitionedSink[Delivery, Any]:
        """The Bytewax sink; ``source`` is the CloudEvents source (``/farwatch/watch``)."""
        ...


@runtime_checkable
class LiveSink(Protocol):
    """A sink that takes what is told only where asked for: names in it the topics it wants."""

    @property
    def wants(self) -> frozenset[str]:
        """Topics of ``schemas.live``, ``analytics_data``; a flow works for none nobody wants."""
        ...


@runtime_checkable
class PartialSink(Protocol):
    """A sink that keeps some kinds of results only: names in it the topics that it passes over."""

    @property
    def leaves_out(self) -> frozenset[str]:
        """Topics of which nothing is kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version of a zone or a rule, as a store keeps it.

    ``body`` is what the user wrote, as JSON types; times are event time, microseconds since
    1970 UTC, None = unbounded.
    """

    id: str
    version: int
    body: dict[str, Any]
    effective_from_us: int | None = None
    effective_to_us: int | None = None


@runtime_checkable
class RegistryStore(Protocol):
    """A sink that also keeps the zones and rules its events were judged by."""

    def write_registry(self, zones: Iterable[Definition], rules: Iterable[Definition]) -> None:
        """Keep these versions; those already kept are left alone.

        Waits for a far side that is away, as the sink does at the end of an epoch.

        Raises:
            SettingsError: an (id, version) is already kept with another body.
            ConnectorError: the far side refuses, or stays away.
        """
        ...


class Publisher(Protocol):
    """Sends telemetry messages to a far side, outside any flow."""

    def publish(self, body: bytes, key: str) -> None:
        """Hand over one message of records of the vehicle ``key``; waits while too many are open.

        Raises:
            ConnectorError: the far side refuses, or does not answer for ``timeout_s``.
        """
        ...

    def flush(self) -> None:
        """Return when everything handed over is confirmed; raises as ``publish``."""
        ...

    def close(self) -> None:
        """Free what it holds; what is not confirmed may be lost."""
        ...


class Subscription(Protocol):
    """The messages of one topic as they come, outside any flow."""

    def bodies(self) -> Iterator[bytes | None]:
        """Each message's body, for ever; None about every tenth of a second with none."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """What a connector module offers: how its URLs are opened, None where it cannot be that.

    ``open_subscription`` is given URL, topic and settings; it tells what comes from now on.
    """

    open_source: Callable[[str, ConnectorSettings], Source] | None = None
    open_sink: Callable[[str, ConnectorSettings], Sink] | None = None
    open_publisher: Callable[[str, ConnectorSettings], Publisher] | None = None
    open_subscription: Callable[[str, str, ConnectorSettings], Subscription] | None = None
