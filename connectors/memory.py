"""``memory:NAME``: telemetry and results inside the process, for tests."""

from dataclasses import dataclass, field
from typing import Final

from bytewax.inputs import AbortExecution, FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import Connector, ConnectorSettings, Progress, SettingsError
from connectors.epoch import EpochRows
from schemas.delivery import Delivery
from schemas.message import Message, Reject


class Abort:
    """In a channel's telemetry: the run is aborted here, the first time it gets here."""

    def __init__(self) -> None:
        self.done = False


class End:
    """In a channel's telemetry: the run ends here; the next one goes on behind it."""


@dataclass(slots=True)
class Channel:
    """What a name stands for as long as the process lives.

    ``telemetry`` is what a source hands out, one item a batch; ``deliveries`` what a sink was
    given and an epoch has committed, in order.
    """

    telemetry: list[Message | Reject | Abort | End] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)


_channels: Final[dict[str, Channel]] = {}


def channel(name: str) -> Channel:
    """The channel of ``memory:NAME``, empty when first asked for."""
    return _channels.setdefault(name, Channel())


class MemorySource:
    """The telemetry of a channel.

    Unit of parallelism: none. After a restart it goes on behind the last committed epoch, so every
    item is handed out once. Acknowledges nothing: the position is part of the recovery state.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._channel = channel(_name(url))
        self._settings = settings

    def check(self) -> None:
        """Memory can always be read."""

    def build(
        self, on_progress: Progress | None = None
    ) -> FixedPartitionedSource[Message | Reject, int]:
        """The Bytewax source; its state is how many items were handed out."""
        epoch = EpochRows(self._settings.epoch_rows, self._settings.intake)
        return _Telemetry(self._channel.telemetry, epoch, on_progress)

    @property
    def total_bytes(self) -> int:
        """The size of all messages."""
        return sum(map(_size, self._channel.telemetry))


class MemorySink:
    """The deliveries of a channel.

    Unit of parallelism: none. After a restart it is cut back to the last committed epoch; a
    delivery whose topic, event id and version are there is not taken again. Acknowledges at the
    end of the epoch.
    """

    def __init__(self, url: str) -> None:
        self._channel = channel(_name(url))

    def check(self) -> None:
        """Memory can always be written."""

    def build(self, source: str) -> FixedPartitionedSink[Delivery, int]:
        """The Bytewax sink; ``source`` is not kept: deliveries stay what they are."""
        del source
        return _Deliveries(self._channel.deliveries)


class _Telemetry(FixedPartitionedSource[Message | Reject, int]):
    def __init__(
        self,
        items: list[Message | Reject | Abort | End],
        epoch: EpochRows,
        on_progress: Progress | None,
    ) -> None:
        self._items = items
        self._epoch = epoch
        self._on_progress = on_progress

    def list_parts(self) -> list[str]:
        return ["memory"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_Position":
        return _Position(self._items, resume_state or 0, self._epoch, self._on_progress)


class _Position(StatefulSourcePartition[Message | Reject, int]):
    def __init__(
        self,
        items: list[Message | Reject | Abort | End],
        at: int,
        epoch: EpochRows,
        on_progress: Progress | None,
    ) -> None:
        self._items = items
        self._at = at
        self._epoch = epoch
        self._on_progress = on_progress

    def next_batch(self) -> list[Message | Reject]:
        if self._epoch.full():
            return []
        if self._at == len(self._items):
            raise StopIteration
        item = self._items[self._at]
        if isinstance(item, Abort) and not item.done:
            item.done = True
            raise AbortExecution
        self._at += 1
        if isinstance(item, End):
            raise StopIteration
        if isinstance(item, Abort):
            return []
        self._epoch.add("memory", 1)
        if self._on_progress is not None:
            done, total = sum(map(_size, self._items[: self._at])), sum(map(_size, self._items))
            self._on_progress("memory", done, total)
        return [item]

    def snapshot(self) -> int:
        self._epoch.end("memory")
        return self._at


class _Deliveries(FixedPartitionedSink[Delivery, int]):
    def __init__(self, kept: list[Delivery]) -> None:
        self._kept = kept

    def list_parts(self) -> list[str]:
        return ["memory"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_Kept":
        del self._kept[len(self._kept) if resume_state is None else resume_state :]
        return _Kept(self._kept)


class _Kept(StatefulSinkPartition[Delivery, int]):
    def __init__(self, kept: list[Delivery]) -> None:
        self._kept = kept
        self._seen = {_identity(delivery) for delivery in kept}
        self._open: list[Delivery] = []

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            if _identity(value) not in self._seen:
                self._seen.add(_identity(value))
                self._open.append(value)

    def snapshot(self) -> int:
        self._kept += self._open
        self._open = []
        return len(self._kept)


def _identity(delivery: Delivery) -> tuple[str, str]:
    return delivery.topic, delivery.event.message_id


def _size(item: Message | Reject | Abort | End) -> int:
    return len(item.body) if isinstance(item, Message) else 0


def _name(url: str) -> str:
    name = url.partition(":")[2]
    if not name:
        raise SettingsError(f"`{url}`: names no channel; write `memory:NAME`")
    return name


def _open_source(url: str, settings: ConnectorSettings) -> MemorySource:
    return MemorySource(url, settings)


def _open_sink(url: str, _settings: ConnectorSettings) -> MemorySink:
    return MemorySink(url)


CONNECTOR: Final = Connector(open_source=_open_source, open_sink=_open_sink)
