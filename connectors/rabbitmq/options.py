"""What the query of an ``amqp:`` URL may say."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.contract import SettingsError
from connectors.rabbitmq.address import Address, one_of, read_url, whole
from connectors.rabbitmq.topology import shard_names

SOURCE_OPTIONS: Final = (
    *("exchange", "queues", "queue", "type", "prefetch", "since", "max_age", "until"),
)
SINK_OPTIONS: Final = ("keep",)
MOST_QUEUES: Final = 256
MOST_UNACKED: Final = 65_535  # The field of basic.qos has 16 bits.
MAX_AGE: Final = "7D"

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_AGE: Final = re.compile(r"[1-9][0-9]*[YMDhms]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What to read: the queues behind each of ``exchanges``, or ``queue`` alone.

    ``streams``: they are streams, read from ``since`` (None: the first message kept), kept for
    ``max_age``. ``prefetch``: un-acked messages a queue at most, None = found out by their size.
    ``ends``: once all that is there was read, else never.
    """

    exchanges: tuple[str, ...]
    queues: int
    queue: str | None
    streams: bool
    prefetch: int | None
    since: datetime | None
    max_age: str
    ends: bool

    def queue_names(self) -> list[str]:
        """The queues to read, which are the partitions."""
        if self.queue is not None:
            return [self.queue]
        return [
            name
            for exchange in self.exchanges
            for name in shard_names(exchange, self.queues, streams=self.streams)
        ]


def read_source_url(url: str) -> tuple[Address, SourceOptions]:
    """The address and options of a source.

    Raises:
        SettingsError: one is missing, wrong, or does not go with another.
    """
    address, given = read_url(url, SOURCE_OPTIONS)
    streams = one_of(given, "type", ("quorum", "stream")) == "stream"
    _refuse_mixed(address.name, given, streams=streams)
    exchanges = tuple(
        _name("exchange", name) for name in given.get("exchange", "").split(",") if name
    )
    if bool(exchanges) == ("queue" in given):
        raise SettingsError(
            f"`{address.name}`: says not what to read; add either `?exchange=auv_telemetry` or "
            "`?queue=NAME`"
        )
    return address, SourceOptions(
        exchanges=exchanges,
        queues=whole(given, "queues", 4, MOST_QUEUES),
        queue=_name("queue", given["queue"]) if "queue" in given else None,
        streams=streams,
        prefetch=whole(given, "prefetch", 0, MOST_UNACKED) or None,
        since=_since(given),
        max_age=_max_age(given),
        ends=one_of(given, "until", ("forever", "end")) == "end",
    )


def read_sink_url(url: str) -> tuple[Address, bool]:
    """The address of a sink, and whether a queue a topic is to keep its events.

    Raises:
        SettingsError: an option is unknown or wrong.
    """
    address, given = read_url(url, SINK_OPTIONS)
    return address, one_of(given, "keep", ("yes", "no")) == "yes"


def _refuse_mixed(name: str, given: dict[str, str], *, streams: bool) -> None:
    for option, fits, needs in (
        ("queues", "exchange" in given, "exchange=NAME"),
        ("since", streams, "type=stream"),
        ("max_age", streams and "exchange" in given, "type=stream&exchange=NAME"),
    ):
        if option in given and not fits:
            raise SettingsError(f"`{name}`: `{option}` goes with `{needs}` only; add that")


def _name(option: str, value: str) -> str:
    if not _NAME.fullmatch(value) or value.startswith("amq."):
        raise SettingsError(
            f"`{option}={value}`: is no name for us; use 1-200 of `A-Z a-z 0-9 _ . : -`, not `amq.`"
        )
    return value


def _since(given: dict[str, str]) -> datetime | None:
    value = given.get("since")
    if value is None:
        return None
    try:
        since = datetime.fromisoformat(value)
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        raise SettingsError(
            f"`since={value}`: is no time with a zone; write as `2026-01-31T00:00:00Z`"
        )
    return since.astimezone(UTC)


def _max_age(given: dict[str, str]) -> str:
    value = given.get("max_age", MAX_AGE)
    if not _AGE.fullmatch(value):
        raise SettingsError(f"`max_age={value}`: is no age; write as `7D` (units Y M D h m s)")
    return value
