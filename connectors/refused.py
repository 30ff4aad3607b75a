"""Single items a far side refused, on their way from a sink back to the dead letters.

A sink is the end of its stream. What it cannot get rid of travels through this box to the guarded
source of the same process, which hands it out as rejects: so it is told on the dead-letter topic,
to every sink, and counts for the dead-letter limit. A sink that puts items here during its
snapshot makes ``waiting`` part of that snapshot and gives it back on resume, so that a kill
between two epochs loses none.
"""

from schemas.message import Reject


class RefusedItems:
    """A box of rejects, filled by sinks and emptied by the source of one process."""

    def __init__(self) -> None:
        self._waiting: list[Reject] = []

    def put(self, rejects: list[Reject]) -> None:
        """Add rejects in order."""
        self._waiting += rejects

    def waiting(self) -> list[Reject]:
        """What nobody has taken yet; it stays."""
        return self._waiting.copy()

    def take(self) -> list[Reject]:
        """What nobody has taken yet; the box is empty then."""
        taken, self._waiting = self._waiting, []
        return taken
