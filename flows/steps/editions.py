"""Zones and rules that change while a flow runs: looked at again and again, taken whole or not."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import islice
from threading import Event as Signal
from typing import Final

from connectors.contract import ConnectorError, SettingsError
from connectors.documents import document_mark, listeners
from connectors.listener import Listener
from connectors.metrics import REGISTRY_REFUSED, Samples, Series, on_scrape
from flows.logs import tell
from flows.steps.registry import MAX_ZONE_VERTICES, load_registry
from flows.vitals import VITALS
from rules.registry import Registry, broken_promise
from schemas.effective import Versioned
from schemas.metrics import DEFINITIONS, VERSION_IN_FORCE

PATIENCE_S: Final = 60.0
"""How long a process waits for zones and rules that another one has already."""
_LOOK_S: Final = 0.2
MOST_SHOWN: Final = 1_000
"""Zones, and rules, whose version the metrics show."""


class Editions:
    """The registry in force in this process, and those before it.

    ``urls``: of the zones and of the rules. ``noted`` knows those that earlier runs have judged by.
    Every process looks for itself, every ``every_s`` seconds (0 = never), and at once when a store
    that can tell of changes does; what the store holds is the truth.
    What it holds counts from its effective times on, so it does not matter to results when exactly
    a process looks, as long as it is before those times, or within the allowed lateness of them.
    A document with a mistake is refused whole, told on standard error once, and the registry in
    force stays. ``on_change`` keeps a changed registry before anything is judged by it; what it
    refuses by SettingsError is such a mistake, any other error ends the flow.
    """

    def __init__(
        self,
        registry: Registry,
        urls: tuple[str, str] = ("", ""),
        every_s: float = 0.0,
        on_change: Callable[[Registry], None] = lambda registry: None,
        max_zone_vertices: int = MAX_ZONE_VERTICES,
        noted: Callable[[str], Registry | None] = lambda edition: None,
    ) -> None:
        self.registry = registry
        self._urls = urls
        self._every_s = every_s
        self._on_change = on_change
        self._max_zone_vertices = max_zone_vertices
        self._known = {registry.fingerprint}
        self._noted = noted
        # Those that states of an earlier run name, by what they call them.
        self._earlier: dict[str, Registry] = {}
        self._mark = self._looked_at() if every_s else None
        self._looked_s = time.monotonic()
        self._heard = Signal()
        # None until something is judged: a flow that is only put together listens to nobody.
        self._listeners: list[Listener] | None = None
        on_scrape(self, _versions)

    def newest(self) -> Registry:
        """The registry in force, after a look for another one if it is time."""
        if not self._every_s:
            return self.registry
        if self._listeners is None:
            self._listeners = listeners(self._urls, self._heard)
        if self._heard.is_set() or time.monotonic() - self._looked_s >= self._every_s:
            # Before the look: what is heard meanwhile asks for another.
            self._heard.clear()
            self._look()
        return self.registry

    def of(self, edition: str) -> Registry:
        """The registry with that fingerprint, by which an earlier run has judged."""
        if edition == self.registry.fingerprint:
            return self.registry
        if edition not in self._earlier:
            found = self._noted(edition)
            if found is None:
                tell(
                    "the zones and rules of before the restart are not in the recovery folder:"
                    " what they have changed since then is not held against what was told",
                    logging.WARNING,
                )
            self._earlier[edition] = found or self.registry
        return self._earlier[edition]

    def at_least(self, edition: str) -> Registry:
        """The registry in force, which is not older than the one with that fingerprint.

        Raises:
            ConnectorError: another process has zones and rules that are not to be found here.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while edition not in self._known:
            self._look()
            if edition in self._known:
                break
            if time.monotonic() > deadline_s:
                raise ConnectorError(
                    "another process of this flow has other zones or rules; let all read the same"
                )
            Signal().wait(_LOOK_S)
        return self.registry

    def _look(self) -> None:
        self._looked_s = time.monotonic()
        try:
            mark = self._looked_at()
            if mark == self._mark:
                return
            registry = load_registry(*self._urls, self._max_zone_vertices)
            _refuse_broken(self.registry, registry)
        except (SettingsError, ConnectorError) as exc:
            self._told(str(exc))
            return
        if registry.fingerprint != self.registry.fingerprint:
            try:
                self._on_change(registry)
            except SettingsError as exc:
                self._told(str(exc))
                return
            self.registry = registry
            self._known.add(registry.fingerprint)
        self._mark, self._complaint = mark, ""
        REGISTRY_REFUSED.set(0)

    _complaint = ""

    def _told(self, complaint: str) -> None:
        REGISTRY_REFUSED.set(1)
        if complaint != self._complaint:
            self._complaint = complaint
            lines = "; ".join(complaint.splitlines())
            tell(f"zones and rules stay as they were: {lines}", logging.WARNING)

    def _looked_at(self) -> tuple[tuple[int, ...], ...]:
        zones_url, rules_url = self._urls
        marks = [document_mark(zones_url, "zones")] if zones_url else []
        marks += [document_mark(rules_url, "rules")] if rules_url else []
        return tuple(marks)


def _refuse_broken(old: Registry, new: Registry) -> None:
    if broken := broken_promise(old.contents(), new.contents()):
        raise SettingsError(broken)


def _versions(editions: Editions) -> Samples:
    registry, at_us = editions.registry, VITALS.newest_us
    rules = [compiled.rule for compiled in registry.book.rules]
    samples: dict[Series, float] = {}
    known: dict[str, Sequence[Versioned]] = {"zone": registry.fences.zones, "rule": rules}
    for what, versions in known.items():
        samples[DEFINITIONS, (what,)] = len(versions)
        in_force = {one.id: one.version for one in versions if _is_in_force(one, at_us)}
        for name, version in islice(in_force.items(), MOST_SHOWN):
            samples[VERSION_IN_FORCE, (what, name)] = version
    return samples


def _is_in_force(one: Versioned, at_us: int) -> bool:
    """Whether a version is in force at an event time, 0 = nobody knows the time yet."""
    begins, ends = one.effective_from_us, one.effective_to_us
    if not at_us:
        return True
    return (begins is None or begins <= at_us) and (ends is None or at_us < ends)
