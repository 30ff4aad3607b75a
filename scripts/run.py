"""`farwatch run FLOW`: one flow as a service, all settings from the environment and a TOML file."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from connectors.contract import SettingsError
from flows.alerting import alerting
from flows.analytics import analytics
from flows.cluster import Cluster, cluster_of
from flows.compliance import compliance
from flows.geofencing import geofencing
from flows.hazard import hazard
from flows.launch import launch, open_recovery
from flows.planning import planning
from flows.proximity import proximity
from flows.registry import registry
from flows.settings import Settings
from flows.signals import drain_on_signals
from flows.steps.drain import Drain, Drained
from flows.telemetry import telemetry
from flows.watch import watch
from flows.wiring import Wiring, keep_registry, tell_slow_rules, wire
from scripts.exits import ended_by_signals
from scripts.processes import Plan, supervise


@dataclass(frozen=True, slots=True)
class Service:
    """A flow and which definitions it judges by; ``zones`` None: by those given, if any."""

    build: Callable[[Wiring], Dataflow]
    zones: bool | None
    rules: bool


FLOWS: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "watch": Service(watch, zones=True, rules=True),
        "telemetry": Service(telemetry, zones=False, rules=False),
        "geofencing": Service(geofencing, zones=True, rules=False),
        "proximity": Service(proximity, zones=False, rules=False),
        "compliance": Service(compliance, zones=True, rules=True),
        "hazard": Service(hazard, zones=False, rules=False),
        "analytics": Service(analytics, zones=False, rules=False),
        "registry": Service(registry, zones=False, rules=False),
        "planning": Service(planning, zones=None, rules=False),
        "alerting": Service(alerting, zones=False, rules=False),
    }
)


def service(name: str, settings: Settings) -> Service:
    """The flow of that name, for settings that are those of a service.

    Raises:
        SettingsError: there is no such flow, or the settings ask for what a service has not.
    """
    if name not in FLOWS:
        raise SettingsError(f"`{name}`: no such flow; give one of {', '.join(FLOWS)}")
    if settings.report:
        raise SettingsError("FARWATCH_REPORT: a service writes none; use `farwatch watch --report`")
    if settings.processes > settings.key_groups:
        raise SettingsError(
            f"setting `processes` {settings.processes}: {settings.key_groups} key groups leave some"
            " without work; take fewer, or raise FARWATCH_KEY_GROUPS before there is state"
        )
    return FLOWS[name]


def run_flow(name: str, settings: Settings, config: Path | None = None) -> None:
    """Run a flow until its input ends or a signal has it drained.

    Raises:
        SettingsError: there is no such flow, or the set-up cannot work.
        FlowError: it failed while running.
        ConnectorError: a far side does not answer.
    """
    service(name, settings)
    cluster = cluster_of()
    if settings.processes > 1:
        _run_together(name, settings, config, cluster)
        return
    drain = Drain()
    drain_on_signals(drain, settings.patience_s, leave=cluster is not None)
    with suppress(Drained):
        _launch(name, settings, cluster, drain)


def _run_together(
    name: str, settings: Settings, config: Path | None, cluster: Cluster | None
) -> None:
    if cluster is not None:
        raise SettingsError(
            f"setting `processes` {settings.processes}: BYTEWAX_* says that this is one process of"
            " a cluster; leave FARWATCH_PROCESSES out"
        )
    # Opened once here, so that what is wrong is told once.
    with ended_by_signals():
        _prepare(name, settings)
    plan = Plan(settings.processes, settings.restarts, settings.patience_s)
    supervise(partial(run_child, name, config, settings.processes), plan)


def run_child(
    name: str, config: Path | None, processes: int, cluster: Cluster, drain: Drain
) -> None:
    """One of several processes that a supervisor started; raises as ``run_flow``, and Drained."""
    _launch(name, Settings.load(config, processes=processes), cluster, drain)


def _launch(name: str, settings: Settings, cluster: Cluster | None, drain: Drain) -> None:
    flow, recovery = _prepare(name, settings, drain)
    launch(flow, settings, recovery, cluster)


def _prepare(
    name: str, settings: Settings, drain: Drain | None = None
) -> tuple[Dataflow, RecoveryConfig | None]:
    chosen = service(name, settings)
    wiring = wire(settings, zones=chosen.zones, rules=chosen.rules, drain=drain)
    flow = chosen.build(wiring)
    tell_slow_rules(settings, wiring.registry)
    recovery = open_recovery(name, settings, wiring.registry)
    keep_registry(wiring.registry, wiring.sinks.values())
    return flow, recovery
