"""How the flow of this process is getting on: what its probes answer from.

Steps, sources and sinks say here when they begin and end something; whoever asks gets a reason in
words, or none. Wall time (the monotonic clock) alone: nothing here reaches a result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import get_ident
from time import monotonic
from typing import Final

from connectors.backoff import FarSide, far_sides
from connectors.metrics import on_scrape
from schemas.metrics import STALLED

COMMIT_LIMIT_S: Final = 60.0
"""How long an epoch may take beyond its length before the flow counts as stalled."""
SHARED_OUT_S: Final = 2.0
"""How long the engine may take to share out the parts of the input, more than it does."""
HUNG_S: Final = 60.0
"""How long nothing may move, with no far side to wait for, before a restart is the remedy."""


@dataclass(slots=True)
class Part:
    """A part of the input that is read here, and when an epoch of it was committed last."""

    opened_s: float
    committed_s: float | None = None


@dataclass(slots=True, weakref_slot=True, eq=False)
class Vitals:
    """Signs of life of one process.

    ``loaded``: zones, rules and far sides passed their checks, as words for people; None before.
    ``newest_us``: the newest event time of a record, 0 = none yet. ``epoch_s``, ``stall_s``: the
    settings. Times are of the monotonic clock, seconds.
    """

    epoch_s: float = 0.5
    stall_s: float = 5.0
    loaded: Mapping[str, object] | None = None
    newest_us: int = 0
    _parts: dict[str, Part] = field(default_factory=dict)
    # Thread -> what it is doing, since when: one step at a time.
    _busy: dict[int, tuple[str, float]] = field(default_factory=dict)
    _moved_s: float = field(default_factory=monotonic)
    _started_s: float | None = None

    def begin(self, what: str, now_s: float) -> None:
        """This thread begins a piece of work."""
        self._busy[get_ident()] = (what, now_s)

    def end(self, now_s: float) -> None:
        """This thread has ended it."""
        self._busy.pop(get_ident(), None)
        self._moved_s = now_s

    def started(self, now_s: float) -> None:
        """The engine runs, and is about to share out the parts of the input."""
        self._started_s = now_s

    def open_part(self, name: str) -> None:
        """A part of the input is read here from now on."""
        self._parts[name] = Part(monotonic())

    def moved(self, now_s: float) -> None:
        """A part of the input was asked for more."""
        self._moved_s = now_s

    def committed(self, name: str, now_s: float) -> None:
        """An epoch of a part is committed."""
        if name in self._parts:
            self._parts[name].committed_s = now_s

    def close_part(self, name: str) -> None:
        """A part has come to its end."""
        self._parts.pop(name, None)

    def stalled(self, now_s: float | None = None) -> str | None:
        """Why the flow does not get on, None where it does."""
        now_s = monotonic() if now_s is None else now_s
        for target, side in far_sides().items():
            if side.state != "up" and now_s - side.since_s >= self.stall_s:
                return f"waiting for `{target}` ({side.state}) for {now_s - side.since_s:.1f} s"
        return self._stuck(now_s, self.stall_s) or self._uncommitted(now_s)

    def hung(self, now_s: float | None = None) -> str | None:
        """Why only a restart would help, None where waiting is right or all is well."""
        now_s = monotonic() if now_s is None else now_s
        if any(side.state != "up" for side in far_sides().values()):
            return None
        return self._stuck(now_s, max(HUNG_S, self.stall_s))

    def not_ready(self, now_s: float | None = None) -> str | None:
        """Why the flow takes in nothing yet, or not now; None where it does."""
        now_s = monotonic() if now_s is None else now_s
        if self.loaded is None:
            return "starting: zones, rules and far sides are being checked"
        parts = list(self._parts.values())
        # A process may have no part of the input, and be none the worse for it.
        shared_out = self._started_s is not None and now_s - self._started_s >= SHARED_OUT_S
        if any(part.committed_s is None for part in parts) or not (parts or shared_out):
            return "starting: no epoch is committed yet"
        away = {name: side for name, side in far_sides().items() if side.state != "up"}
        return _named(away)

    def _stuck(self, now_s: float, limit_s: float) -> str | None:
        for what, since_s in list(self._busy.values()):
            if now_s - since_s >= limit_s:
                return f"`{what}` has not ended for {now_s - since_s:.1f} s"
        if self._parts and not self._busy and now_s - self._moved_s >= limit_s:
            return f"nothing has moved for {now_s - self._moved_s:.1f} s"
        return None

    def _uncommitted(self, now_s: float) -> str | None:
        limit_s = self.epoch_s + COMMIT_LIMIT_S
        for name, part in list(self._parts.items()):
            since_s = part.opened_s if part.committed_s is None else part.committed_s
            if now_s - since_s >= limit_s:
                return f"no epoch of `{name}` is committed for {now_s - since_s:.1f} s"
        return None


def _named(away: Mapping[str, FarSide]) -> str | None:
    if not away:
        return None
    return "; ".join(f"`{name}` is {side.state}" for name, side in sorted(away.items()))


VITALS: Final = Vitals()
"""Those of this process."""
on_scrape(VITALS, lambda vitals: {(STALLED, ()): float(vitals.stalled() is not None)})
