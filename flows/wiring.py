"""What a flow is wired to: opened from its settings, checked before anything runs."""

import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import bytewax.run
from bytewax.dataflow import Dataflow

from connectors.contract import (
    ConnectorError,
    ConnectorSettings,
    Progress,
    RefusedError,
    RegistryStore,
    SettingsError,
    Sink,
    Source,
)
from connectors.journal import Journal
from connectors.notify import read_routes
from connectors.policy import policy_in_force
from connectors.refused import RefusedItems
from connectors.registry import masked, open_sink, open_source
from flows.definitions import Definitions, bodies
from flows.launch import JOURNAL, TRIALS
from flows.logs import set_up_logs, tell
from flows.probes import start_probes
from flows.settings import Settings
from flows.signals import drain_on_signals
from flows.steps.backlog import Backlog
from flows.steps.drain import Drain
from flows.steps.editions import Editions
from flows.steps.registry import load_registry
from flows.steps.results import Told
from flows.tracing import start_tracing
from flows.uncommitted import hold_store
from flows.vitals import VITALS
from rules.registry import Registry
from rules.rulesets import slow_parts
from schemas.route import Routing


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The far sides of a flow and what it judges by.

    ``sinks``: by the step id of each, part of what keys the recovery state. ``refused``: what
    sinks could not write, item by item. ``drain``: how its intake is closed. ``journal``: for
    ``follow``, None without a recovery store. ``commands``: on alarms; ``progress``: of telemetry,
    for alerting; None where none come. ``backlog``: of the commands, which telemetry waits for.
    ``routing``: who is notified, if any. ``trials``: the folder that tells what the flow died of,
    None without a recovery store.
    """

    settings: Settings
    source: Source
    sinks: Mapping[str, Sink]
    registry: Registry
    told: Told = field(default_factory=Told)
    refused: RefusedItems = field(default_factory=RefusedItems)
    drain: Drain = field(default_factory=Drain)
    on_progress: Progress | None = None
    journal: Journal | None = None
    editions: Editions | None = None
    commands: Source | None = None
    progress: Source | None = None
    backlog: Backlog = field(default_factory=Backlog)
    routing: Routing | None = None
    trials: Path | None = None

    def judged_by(self) -> Editions:
        """The zones and rules in force, which may change while the flow runs."""
        return self.editions or Editions(self.registry)


def wire(
    settings: Settings,
    *,
    rules: bool = True,
    zones: bool | None = True,
    extra_results: Mapping[str, str] | None = None,
    drain: Drain | None = None,
    recovery: Path | None = None,
) -> Wiring:
    """Open and check everything the settings name, and ``extra_results``: URLs by step id.

    ``zones`` None: where there are any. ``drain`` is to close the intake, where one is there
    already. ``recovery``: the folder of the recovery store, where it is not that of the settings.

    Raises:
        SettingsError: something is missing, wrong, or cannot be read or written.
        ConnectorError: a far side does not answer.
    """
    zones = bool(settings.zones) if zones is None else zones
    needed = ["telemetry", "results"] + ["zones"] * zones + ["rules"] * rules
    settings.require(*needed)
    _refuse_idle_settings(settings)
    policy_in_force()
    set_up_logs(settings.log, settings.log_level)
    urls = (settings.zones if zones else "", settings.rules if rules else "")
    registry = load_registry(*urls, settings.max_zone_vertices)
    drain = drain or Drain()
    connector = replace(settings.connector(), intake=drain.intake)
    source = open_source(settings.telemetry, connector)
    source.check()
    # The order of the results names the steps: keep it while recovery state lives.
    results = {f"to_{i}": url for i, url in enumerate(settings.results)} | dict(extra_results or {})
    if settings.routes:
        results["notify"] = f"notify:{settings.routes}"
    sinks = {step_id: open_sink(url, connector) for step_id, url in results.items()}
    for sink in sinks.values():
        sink.check()
    _note_loaded(registry)
    folder = recovery or settings.recovery
    definitions = Definitions(folder) if folder else None
    return Wiring(
        settings=settings,
        source=source,
        commands=_beside(settings.commands, connector),
        progress=_beside(settings.progress, connector),
        routing=read_routes(settings.routes) if settings.routes else None,
        sinks=sinks,
        registry=registry,
        refused=connector.refused,
        trials=folder / TRIALS if folder else None,
        drain=drain,
        journal=Journal(settings.recovery / JOURNAL) if settings.recovery else None,
        editions=Editions(
            registry,
            urls,
            settings.registry_poll_s,
            lambda changed: _taken(changed, definitions, sinks.values()),
            settings.max_zone_vertices,
            definitions.edition if definitions else lambda edition: None,
        ),
    )


def _refuse_idle_settings(settings: Settings) -> None:
    """Raise where something is given that only what is not asked for would read."""
    # Hazard looks at terrain along planned paths.
    along_paths = bool(settings.hazard and settings.terrain)
    along_paths &= settings.mission_plans.startswith("file:")
    for name in ("mission_plans", "plan_results", "hazard_scores"):
        read = settings.triggers or (name == "mission_plans" and along_paths)
        if getattr(settings, name) and not read:
            raise SettingsError(
                f"FARWATCH_{name.upper()}: read by planning alone, which judges by triggers; name"
                " some with FARWATCH_TRIGGERS"
            )
    settings.proximity()


def _beside(url: str, connector: ConnectorSettings) -> Source | None:
    """The source of what is no telemetry: one JSON object a line or a message."""
    if not url:
        return None
    source = open_source(url, replace(connector, format="ndjson"))
    source.check()
    return source


def _taken(registry: Registry, definitions: Definitions | None, sinks: Iterable[Sink]) -> None:
    """What is to be done before changed zones and rules are taken; raises as ``keep_registry``.

    Noted last: what a sink refuses is not taken, so no later start may be held against it.
    """
    keep_registry(registry, sinks)
    if definitions:
        try:
            definitions.note(registry)
        except OSError as exc:
            raise RefusedError(
                f"recovery folder `{definitions.folder}`: {exc.strerror}; make room or allow it"
            ) from exc
    _note_loaded(registry)


def _note_loaded(registry: Registry) -> None:
    zones, rules = len(registry.fences.zones), len(registry.book.rules)
    VITALS.loaded = {"zones": zones, "rules": rules, "registry": registry.fingerprint}


def tell_slow_rules(settings: Settings, registry: Registry) -> None:
    """Say on standard error what of the rules is computed record by record."""
    name = masked(settings.rules).removeprefix("file:")
    for line in slow_parts(registry.book.rules, name):
        tell(line, logging.WARNING)


def keep_registry(registry: Registry, sinks: Iterable[Sink]) -> None:
    """Write the zones and rules to every sink that keeps them beside the events.

    A far side that is away is waited for, as at the end of an epoch.

    Raises:
        SettingsError: a sink keeps one of their versions with another body.
        ConnectorError: a far side refuses, or stays away.
    """
    stores = [sink for sink in sinks if isinstance(sink, RegistryStore)]
    # Of many zones the bodies alone take seconds.
    kept = bodies(registry) if stores else {}
    for store in stores:
        store.write_registry(kept["zones"], kept["rules"])


def _refuse_launcher_settings(settings: Settings) -> None:
    if settings.recovery:
        raise SettingsError("FARWATCH_RECOVERY: not used by bytewax.run; give it -r, -s and -b")
    if settings.report:
        raise SettingsError("FARWATCH_REPORT: not used by bytewax.run; use `farwatch watch`")
    if settings.processes > 1:
        raise SettingsError("FARWATCH_PROCESSES: not used by bytewax.run; give it -i and -a")


def _given_to_engine() -> Namespace | None:
    """What `bytewax.run` was told, None where this process is not run by it."""
    main = sys.modules["__main__"].__spec__
    if main is None or main.name != bytewax.run.__name__:
        return None
    given: Namespace = bytewax.run._parse_args()  # noqa: SLF001 (parsed before it asks for the flow)
    return given


def _with_engine_store(wiring: Wiring, given: Namespace | None) -> Wiring:
    """Take the recovery store that `bytewax.run` was given, for as long as this process lives."""
    if given is None or given.recovery_directory is None:
        return wiring
    folder = Path(given.recovery_directory)
    hold_store(folder, given.process_id or 0)
    definitions = Definitions(folder)
    definitions.refuse_broken(wiring.registry)
    definitions.note(wiring.registry)
    kept = given.backup_interval or timedelta(0)
    return replace(wiring, journal=Journal(folder / JOURNAL, keep_s=kept.total_seconds()))


def from_environment(
    build: Callable[[Wiring], Dataflow], *, zones: bool | None = True, rules: bool = True
) -> Dataflow:
    """The flow for `python -m bytewax.run`, all settings from the environment.

    Wrong settings end the process with status 2 and one line, a far side that does not answer
    with 1.
    """
    try:
        settings = Settings.load()
        _refuse_launcher_settings(settings)
        given = _given_to_engine()
        folder = Path(given.recovery_directory) if given and given.recovery_directory else None
        wiring = wire(settings, zones=zones, rules=rules, recovery=folder)
        tell_slow_rules(settings, wiring.registry)
        keep_registry(wiring.registry, wiring.sinks.values())
        drain_on_signals(wiring.drain, settings.patience_s, leave=True)
        start_tracing(settings, build.__name__)
        start_probes(settings, (given and given.process_id) or 0)
        return build(_with_engine_store(wiring, given))
    except (SettingsError, ConnectorError) as exc:
        tell(str(exc))
        raise SystemExit(2 if isinstance(exc, SettingsError) else 1) from exc
