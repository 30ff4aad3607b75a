"""Telemetry from a Kafka topic."""

from difflib import get_close_matches
from threading import Lock

from bytewax.inputs import FixedPartitionedSource

from connectors.contract import ConnectorError, ConnectorSettings, Progress, SettingsError
from connectors.epoch import EpochRows
from connectors.kafka.address import Address
from connectors.kafka.cluster import group_offsets, topics
from connectors.kafka.lane import LANES, Lane, Positions, Shared, name
from connectors.kafka.reader import START, UNTIL, Reader
from schemas.message import Message, Reject


class KafkaSource:
    """The records of a Kafka topic, for ever, or to its present end (``until=end``).

    A message holds one record, an array or NDJSON. Unit of parallelism: the Kafka partition, whose
    records keep their order; the partitions are spread over 32 lanes and those over the workers.
    The offsets are part of the recovery state: after a restart from a recovery folder each
    partition goes on behind the last committed epoch, so every record is handed out once. Without
    recovery state it begins where the ``group`` has committed, else at ``start``: ``earliest``, or
    ``latest``, which becomes an offset when the flow first starts and is kept, so that no downtime
    skips a record. Partitions that are added to the topic are found within 30 s and read from
    their beginning. Acknowledges to the group (``group=NAME``) once an epoch is committed: for
    tools that show the lag, and for a start without recovery state.

    Records that the topic's retention deleted before they were read are told by a dead letter; a
    topic made anew under its old name is refused. While no broker answers, the source waits.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._address = Address.of(url, ("group", "start", "until"))
        if not self._address.name:
            raise self._address.wrong("names no topic", "write `kafka://BROKERS/TOPIC`")
        self._address.choice("start", START)
        self._address.choice("until", UNTIL)
        self._settings = settings

    def check(self) -> None:
        """Refuse brokers that do not answer or let us in, and a topic or group we may not use."""
        found = topics(self._address, self._settings.timeout_s)
        topic = self._address.name
        if topic not in found:
            close = get_close_matches(topic, found, 1)
            hint = f"did you mean `{close[0]}`?" if close else "create it, or allow us to see it"
            raise self._address.wrong(f"there is no topic `{topic}`", hint)
        try:
            group = self._address.options.get("group", "")
            group_offsets(self._address, group, found[topic], self._settings.timeout_s)
        except ConnectorError as exc:
            raise SettingsError(str(exc)) from exc

    def build(
        self, on_progress: Progress | None = None
    ) -> FixedPartitionedSource[Message | Reject, Positions]:
        """The Bytewax source; its state is the position in each partition of a lane."""
        return _Lanes(self._address, self._settings, on_progress)

    @property
    def total_bytes(self) -> None:
        """Nobody can know."""
        return


class _Lanes(FixedPartitionedSource[Message | Reject, Positions]):
    def __init__(
        self, address: Address, settings: ConnectorSettings, on_progress: Progress | None
    ) -> None:
        self._address = address
        self._settings = settings
        self._on_progress = on_progress
        self._shared: Shared | None = None
        self._lock = Lock()

    def list_parts(self) -> list[str]:
        # Bytewax can neither resume a partition that is gone nor find a new one while it runs:
        # so its partitions are always the same, and those of Kafka come and go behind them.
        return [name(self._address.name, number) for number in range(LANES)]

    def build_part(self, step_id: str, for_part: str, resume_state: Positions | None) -> Lane:
        with self._lock:
            if self._shared is None:
                self._shared = Shared(
                    Reader(self._address, self._settings.timeout_s, self._settings.patience_s),
                    EpochRows(self._settings.epoch_rows, self._settings.intake),
                    self._settings.batch_rows,
                    self._on_progress,
                )
        return Lane(self._shared, int(for_part.rpartition(":")[2]), resume_state)
