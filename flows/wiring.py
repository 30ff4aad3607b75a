"""What a flow is wired to: opened from its settings, checked before anything runs."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import bytewax.run
from bytewax.dataflow import Dataflow

from connectors.contract import (
    ConnectorError,
    Definition,
    Progress,
    RegistryStore,
    SettingsError,
    Sink,
    Source,
)
from connectors.journal import Journal
from connectors.refused import RefusedItems
from connectors.registry import open_sink, open_source
from flows.launch import JOURNAL, note_definitions
from flows.settings import Settings
from flows.steps.editions import Editions
from flows.steps.registry import load_registry
from flows.steps.results import Told
from flows.uncommitted import hold_store
from rules.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The far sides of a flow and what it judges by.

    ``sinks``: by the step id of each, part of what keys the recovery state. ``refused``: what
    sinks could not write, item by item. ``journal``: for ``follow``, None without a recovery store.
    """

    settings: Settings
    source: Source
    sinks: Mapping[str, Sink]
    registry: Registry
    told: Told = field(default_factory=Told)
    refused: RefusedItems = field(default_factory=RefusedItems)
    on_progress: Progress | None = None
    journal: Journal | None = None
    editions: Editions | None = None

    def judged_by(self) -> Editions:
        """The zones and rules in force, which may change while the flow runs."""
        return self.editions or Editions(self.registry)


def wire(
    settings: Settings,
    *,
    rules: bool = True,
    zones: bool = True,
    extra_results: Mapping[str, str] | None = None,
) -> Wiring:
    """Open and check everything the settings name, and ``extra_results``: URLs by step id.

    Raises:
        SettingsError: something is missing, wrong, or cannot be read or written.
        ConnectorError: a far side does not answer.
    """
    needed = ["telemetry", "results"] + ["zones"] * zones + ["rules"] * rules
    settings.require(*needed)
    registry = load_registry(settings.zones if zones else "", settings.rules if rules else "")
    connector = settings.connector()
    source = open_source(settings.telemetry, connector)
    source.check()
    # The order of the results names the steps: keep it while recovery state lives.
    urls = {f"to_{i}": url for i, url in enumerate(settings.results)} | dict(extra_results or {})
    sinks = {step_id: open_sink(url, connector) for step_id, url in urls.items()}
    for sink in sinks.values():
        sink.check()
    return Wiring(
        settings=settings,
        source=source,
        sinks=sinks,
        registry=registry,
        refused=connector.refused,
        journal=Journal(settings.recovery / JOURNAL) if settings.recovery else None,
        editions=Editions(
            registry,
            settings.zones if zones else "",
            settings.rules if rules else "",
            settings.registry_poll_s,
            lambda changed: _taken(changed, settings, sinks.values()),
        ),
    )


def _taken(registry: Registry, settings: Settings, sinks: Iterable[Sink]) -> None:
    """What is to be done when changed zones and rules are taken."""
    keep_registry(registry, sinks)
    if settings.recovery:
        note_definitions(settings.recovery, registry)


def keep_registry(registry: Registry, sinks: Iterable[Sink]) -> None:
    """Write the zones and rules to every sink that keeps them beside the events."""
    zones = [
        Definition(
            id=zone.id,
            version=zone.version,
            body=zone.feature(),
            effective_from_us=zone.effective_from_us,
            effective_to_us=zone.effective_to_us,
        )
        for zone in registry.fences.zones
    ]
    rules = [
        Definition(
            id=compiled.rule.id,
            version=compiled.rule.version,
            body=compiled.rule.model_dump(mode="json", exclude_none=True),
            effective_from_us=compiled.rule.effective_from_us,
            effective_to_us=compiled.rule.effective_to_us,
        )
        for compiled in registry.book.rules
    ]
    for sink in sinks:
        if isinstance(sink, RegistryStore):
            sink.write_registry(zones, rules)


def _refuse_launcher_settings(settings: Settings) -> None:
    if settings.recovery:
        raise SettingsError("FARWATCH_RECOVERY: not used by bytewax.run; give it -r, -s and -b")
    if settings.report:
        raise SettingsError("FARWATCH_REPORT: not used by bytewax.run; use `farwatch watch`")


def _with_engine_store(wiring: Wiring) -> Wiring:
    """Take the recovery store that `bytewax.run` was given, for as long as this process lives."""
    main = sys.modules["__main__"].__spec__
    if main is None or main.name != bytewax.run.__name__:
        return wiring
    given = bytewax.run._parse_args()  # noqa: SLF001 (what it has parsed before it asks for the flow)
    if given.recovery_directory is None:
        return wiring
    folder = Path(given.recovery_directory)
    hold_store(folder, given.process_id or 0)
    kept = given.backup_interval or timedelta(0)
    return replace(wiring, journal=Journal(folder / JOURNAL, keep_s=kept.total_seconds()))


def from_environment(
    build: Callable[[Wiring], Dataflow], *, zones: bool = True, rules: bool = True
) -> Dataflow:
    """The flow for `python -m bytewax.run`, all settings from the environment.

    Wrong settings end the process with status 2 and one line, a far side that does not answer
    with 1.
    """
    try:
        settings = Settings.load()
        _refuse_launcher_settings(settings)
        wiring = wire(settings, zones=zones, rules=rules)
        keep_registry(wiring.registry, wiring.sinks.values())
        return build(_with_engine_store(wiring))
    except (SettingsError, ConnectorError) as exc:
        sys.stderr.write(f"farwatch: {exc}\n")
        raise SystemExit(2 if isinstance(exc, SettingsError) else 1) from exc
