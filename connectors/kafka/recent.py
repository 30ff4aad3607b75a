"""The message ids written last: a bounded memory for a sink that runs for months."""

from typing import Final

MOST: Final = 100_000


class RecentIds:
    """Remembers at least the last ``MOST`` ids, at most twice as many."""

    def __init__(self) -> None:
        # Python's own 64-bit hashes, good for one process: two ids share one with 1e-9.
        self._older: set[int] = set()
        self._newer: set[int] = set()

    def __len__(self) -> int:
        return len(self._older) + len(self._newer)

    def add(self, topic: str, message_id: str) -> bool:
        """Whether the id is new in this topic, as far as is remembered; it is not any more."""
        known = hash((topic, message_id))
        if known in self._newer or known in self._older:
            return False
        self._newer.add(known)
        if len(self._newer) >= MOST:
            self._older, self._newer = self._newer, set()
        return True
