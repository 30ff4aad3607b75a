"""`farwatch run FLOW`: one flow as a service, all settings from the environment and a TOML file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bytewax.dataflow import Dataflow

from connectors.contract import SettingsError
from flows.alerting import alerting
from flows.analytics import analytics
from flows.compliance import compliance
from flows.geofencing import geofencing
from flows.launch import launch, open_recovery
from flows.proximity import proximity
from flows.settings import Settings
from flows.telemetry import telemetry
from flows.watch import watch
from flows.wiring import Wiring, keep_registry, wire


@dataclass(frozen=True, slots=True)
class Service:
    """A flow and which definitions it judges by."""

    build: Callable[[Wiring], Dataflow]
    zones: bool
    rules: bool


FLOWS: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "watch": Service(watch, zones=True, rules=True),
        "telemetry": Service(telemetry, zones=False, rules=False),
        "geofencing": Service(geofencing, zones=True, rules=False),
        "proximity": Service(proximity, zones=False, rules=False),
        "compliance": Service(compliance, zones=True, rules=True),
        "analytics": Service(analytics, zones=False, rules=False),
        "alerting": Service(alerting, zones=False, rules=False),
    }
)


def run_flow(name: str, settings: Settings) -> None:
    """Run a flow until its input ends.

    Raises:
        SettingsError: there is no such flow, or the set-up cannot work.
        FlowError: it failed while running.
    """
    if name not in FLOWS:
        raise SettingsError(f"`{name}`: no such flow; give one of {', '.join(FLOWS)}")
    if settings.report:
        raise SettingsError("FARWATCH_REPORT: a service writes none; use `farwatch watch --report`")
    service = FLOWS[name]
    wiring = wire(settings, zones=service.zones, rules=service.rules)
    flow = service.build(wiring)
    recovery = open_recovery(name, settings, wiring.registry)
    keep_registry(wiring.registry, wiring.sinks.values())
    launch(flow, settings, recovery)
