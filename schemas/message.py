"""What a source hands to the decoder, and what comes back when a record breaks the contract."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery from a source: one record, a JSON array of records, or many lines of NDJSON.

    ``origin`` names where it came from (``file:telemetry.ndjson``, ``amqp:auv_telemetry.3``);
    ``first_line`` is the line number of the first byte (counted from 1) where lines mean anything.
    ``trace`` is the trace context it came with, as ``traceparent``, "" = none.
    """

    body: bytes
    origin: str
    first_line: int | None = None
    trace: str = ""

    @property
    def part(self) -> str:
        """The part of the source it came from: a file, a queue, a partition of a topic."""
        if self.origin.startswith("kafka:"):
            return self.origin.rpartition("@")[0] or self.origin
        return self.origin


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that breaks the contract: a value on its own stream, never an exception.

    ``reason`` is one line that names field, value and limit; ``field`` is the field at fault or
    the empty string; ``raw`` are the bytes of this record alone; ``origin`` names source and place
    (``file:telemetry.ndjson:7``; records of an array: ``...[3]``).
    """

    reason: str
    field: str
    raw: bytes
    origin: str
