"""Zones and rules that change while a flow runs: looked at again and again, taken whole or not."""

import sys
import time
from collections.abc import Callable
from threading import Event as Signal
from typing import Final

from connectors.contract import ConnectorError, SettingsError
from connectors.documents import document_mark
from flows.steps.registry import load_registry
from rules.registry import Registry, broken_promise

PATIENCE_S: Final = 60.0
"""How long a process waits for zones and rules that another one has already."""
_LOOK_S: Final = 0.2


class Editions:
    """The registry in force in this process, and those before it.

    Every process looks for itself, every ``every_s`` seconds (0 = never); the store is the truth.
    What it holds counts from its effective times on, so it does not matter to results when exactly
    a process looks, as long as it is before those times, or within the allowed lateness of them.
    A document with a mistake is refused whole, told on standard error once, and the registry in
    force stays.
    """

    def __init__(
        self,
        registry: Registry,
        zones_url: str = "",
        rules_url: str = "",
        every_s: float = 0.0,
        on_change: Callable[[Registry], None] = lambda registry: None,
    ) -> None:
        self.registry = registry
        self._urls = (zones_url, rules_url)
        self._every_s = every_s
        self._on_change = on_change
        self._known = {registry.fingerprint}
        self._mark = self._looked_at() if every_s else None
        self._looked_s = time.monotonic()

    def newest(self) -> Registry:
        """The registry in force, after a look for another one if it is time."""
        if self._every_s and time.monotonic() - self._looked_s >= self._every_s:
            self._look()
        return self.registry

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
            registry = load_registry(*self._urls)
            _refuse_broken(self.registry, registry)
        except (SettingsError, ConnectorError) as exc:
            self._told(str(exc))
            return
        self._mark, self._complaint = mark, ""
        if registry.fingerprint != self.registry.fingerprint:
            self.registry = registry
            self._known.add(registry.fingerprint)
            self._on_change(registry)

    _complaint = ""

    def _told(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            lines = "; ".join(complaint.splitlines())
            sys.stderr.write(f"farwatch: zones and rules stay as they were: {lines}\n")

    def _looked_at(self) -> tuple[tuple[int, ...], ...]:
        zones_url, rules_url = self._urls
        marks = [document_mark(zones_url, "zones")] if zones_url else []
        marks += [document_mark(rules_url, "rules")] if rules_url else []
        return tuple(marks)


def _refuse_broken(old: Registry, new: Registry) -> None:
    if broken := broken_promise(old.contents(), new.contents()):
        raise SettingsError(broken)
