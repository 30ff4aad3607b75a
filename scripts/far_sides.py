"""`farwatch run FLOW --check`: every far side tried, a table of what each says, nothing run."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rich.console import Console
from rich.table import Table

from connectors.contract import ConnectorError, ConnectorSettings, SettingsError
from connectors.notify import read_routes
from connectors.policy import VARIABLE as POLICY
from connectors.policy import policy_in_force
from connectors.registry import masked, open_sink, open_source
from flows.hazard import load_profiles, load_terrain
from flows.launch import check_recovery
from flows.settings import Settings
from flows.steps.mission import load_trigger_file, read_given
from flows.steps.registry import load_registry, load_rule_file
from scripts.run import service

_READ_AT_START: Final = ("mission_plans", "plan_results")


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one try: ``status`` as an exit status, ``says`` why it is not 0."""

    what: str
    where: str
    status: int
    says: str


def check_far_sides(flow: str, settings: Settings) -> int:
    """Print what each far side of a flow says; the exit status of them all.

    Raises:
        SettingsError: there is no such flow, or a setting that it needs is not set.
    """
    findings = list(_findings(flow, settings))
    table = Table(title=f"far sides of {flow}", title_justify="left")
    for column in ("what", "where", "says"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.what, finding.where, finding.says or "ok")
    Console(markup=False, highlight=False).print(table)
    return max(finding.status for finding in findings)


def _findings(flow: str, settings: Settings) -> Iterator[Finding]:
    chosen = service(flow, settings)
    zones = bool(settings.zones) if chosen.zones is None else chosen.zones
    rules = chosen.rules
    settings.require("telemetry", "results", *["zones"] * zones, *["rules"] * rules)
    told = settings.connector()
    yield _tried("telemetry", settings.telemetry, partial(_check_source, settings.telemetry, told))
    yield from _definitions(settings, zones=zones, rules=rules)
    for what in ("commands", "progress", "hazard_scores", *_READ_AT_START):
        if url := getattr(settings, what):
            yield _tried(what.replace("_", " "), url, _check_beside(what, url, told))
    for what, where, attempt in _read_at_start(settings):
        yield _tried(what, where, attempt)
    for url in settings.results:
        yield _tried("results", url, partial(_check_sink, url, told))
    if settings.recovery:
        recovery = partial(_check_recovery, flow, settings, zones=zones, rules=rules)
        yield _tried("recovery", str(settings.recovery), recovery)


def _read_at_start(settings: Settings) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Files that flows read before they start."""
    if settings.triggers:
        yield "triggers", settings.triggers, partial(load_trigger_file, settings.triggers)
    if settings.routes:
        yield "routes", str(settings.routes), partial(read_routes, settings.routes)
    for name in settings.hazard:
        yield "hazard", name, partial(load_profiles, (name,))
    if settings.terrain:
        yield "terrain", " ".join(settings.terrain), partial(load_terrain, settings)
    if policy := os.environ.get(POLICY):
        yield "policy", policy, policy_in_force


def _definitions(settings: Settings, *, zones: bool, rules: bool) -> Iterator[Finding]:
    """Zones, and rules: with the zones that they name where those can be read."""
    load = partial(load_registry, max_zone_vertices=settings.max_zone_vertices)
    check_rules: Callable[[], object] = partial(load_rule_file, settings.rules)
    if zones:
        found = _tried("zones", settings.zones, partial(load, settings.zones))
        yield found
        if not found.status:
            check_rules = partial(load, settings.zones, settings.rules)
    if rules:
        yield _tried("rules", settings.rules, check_rules)


def _tried(what: str, url: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except (SettingsError, ConnectorError) as exc:
        return Finding(what, masked(url), 2 if isinstance(exc, SettingsError) else 1, str(exc))
    return Finding(what, masked(url), 0, "")


def _check_source(url: str, told: ConnectorSettings) -> None:
    open_source(url, told).check()


def _check_beside(what: str, url: str, told: ConnectorSettings) -> Callable[[], object]:
    if url.startswith("file:") and what in _READ_AT_START:
        return partial(read_given, *(url if what == one else "" for one in _READ_AT_START))
    # What is beside telemetry is JSON, whatever the format of that.
    return partial(_check_source, url, replace(told, format="ndjson"))


def _check_sink(url: str, told: ConnectorSettings) -> None:
    open_sink(url, told).check()


def _check_recovery(flow: str, settings: Settings, *, zones: bool, rules: bool) -> None:
    urls = (settings.zones if zones else "", settings.rules if rules else "")
    registry = load_registry(*urls, settings.max_zone_vertices)
    check_recovery(flow, settings, registry)
