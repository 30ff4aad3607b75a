"""What a source hands to the decoder, and what comes back when a record breaks the contract."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery from a source: one record, a JSON array of records, or many lines of NDJSON.

    ``origin`` names where it came from (``file:telemetry.ndjson``, ``amqp:auv_telemetry.3``);
    ``first_line`` is the line number of the first byte (counted from 1) where lines mean anything.
    """

    body: bytes
    origin: str
    first_line: int | None = None


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
