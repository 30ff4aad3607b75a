"""The zones in force, cached in Redis."""

from bisect import bisect
from collections.abc import Iterable

import msgspec

from connectors.contract import Definition
from connectors.redis.keys import TELL_ZONES, ZONES_KEY, ZONES_TIME_KEY
from connectors.redis.server import Server
from schemas.frame import rfc3339


class ZoneCache:
    """``zones:all``: of each zone the version in force at the newest event time told so far.

    The server remembers that time, so a replay puts no older version back. Before it knows any, the
    version that begins first counts. What is not in force or no longer among the zones is dropped.
    Flows without zones leave the cache alone; those that share a database share their zones.
    """

    def __init__(self) -> None:
        self._versions: list[str | bytes] = []
        # Sorted moments at which a version begins or ends, as RFC 3339: text order is time order.
        self._bounds: list[str] = []
        self._time = ""

    def take(self, zones: Iterable[Definition]) -> None:
        """From now on these are the zones, all versions of them."""
        in_order = sorted(
            zones, key=lambda zone: (zone.id, _time(zone.effective_from_us), zone.version)
        )
        spans = [(_time(zone.effective_from_us), _time(zone.effective_to_us)) for zone in in_order]
        self._bounds = sorted({bound for span in spans for bound in span if bound})
        self._versions = []
        for zone, span in zip(in_order, spans, strict=True):
            self._versions += [zone.id, *span, msgspec.json.encode(zone.body)]

    def tell(self, server: Server) -> None:
        """Bring the cache up to date; raises as ``Server.call``."""
        if self._versions:
            arguments = [ZONES_TIME_KEY, self._time, *self._versions]
            server.call(TELL_ZONES, [(ZONES_KEY, arguments)])

    def advance(self, server: Server, time: str) -> None:
        """As ``tell``, where versions begin or end on the way to an event time."""
        if time <= self._time:
            return
        known, self._time = self._time, time
        if not known or bisect(self._bounds, time) > bisect(self._bounds, known):
            try:
                self.tell(server)
            except BaseException:
                self._time = known
                raise


def _time(time_us: int | None) -> str:
    return "" if time_us is None else rfc3339(time_us)
