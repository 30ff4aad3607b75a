"""How much a source has handed out since the last epoch ended."""


class Intake:
    """Whether the sources of a flow may hand out more; closed once, for good, to drain it."""

    def __init__(self) -> None:
        self.closed = False


class EpochRows:
    """Rows handed out within one epoch by all partitions of a source in this process.

    Bytewax holds a source back only at the end of an epoch and queues without bound inside one,
    so a source that can outrun its flow has to count for itself.
    """

    def __init__(self, limit: int, intake: Intake) -> None:
        self.intake = intake
        self._limit = limit
        self._handed_out: dict[str, int] = {}

    def full(self) -> bool:
        """Whether partitions should hand out nothing more before their next snapshot."""
        return self.intake.closed or sum(self._handed_out.values()) >= self._limit

    def add(self, part: str, rows: int) -> None:
        """Count ``rows`` handed out by ``part``."""
        self._handed_out[part] = self._handed_out.get(part, 0) + rows

    def end(self, part: str) -> None:
        """The epoch of ``part`` has ended, or the partition has."""
        self._handed_out.pop(part, None)
