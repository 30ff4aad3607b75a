"""Which form the state in a recovery folder has: what an upgrade can read, and what it cannot.

State is pickled: a class is found by its path, a field by its place. Another path, another field,
another order, and what an earlier version wrote cannot be read, or is read wrongly.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, Final, get_args, get_type_hints

from flows.steps.state import Journaled, Snapshot
from rules.alarms import AlarmState
from rules.analytics import AnalyticsState
from rules.group import GroupState
from rules.hazard.group import HazardState
from rules.planning.state import PlanningState
from rules.proximity.body import BodyState
from rules.routing import RoutingState
from schemas.event import identity

MEANING: Final = 1
"""Raised where a field means something else than before under its old name and place."""
CLASSES: Final = (
    Snapshot,
    Journaled,
    GroupState,
    AlarmState,
    AnalyticsState,
    BodyState,
    HazardState,
    PlanningState,
    RoutingState,
)
"""What is pickled of every flow; what these hold is found by their annotations."""
POSITIONS: Final = {
    "file": ("connectors.files", "FilePosition"),
    "kafka": ("connectors.kafka.partition", "Position"),
    "amqp": ("connectors.rabbitmq.marks", "Position"),
    "amqps": ("connectors.rabbitmq.marks", "Position"),
}
"""Scheme of a source -> what it pickles; imported for flows that read from there only."""


def state_format(telemetry: str) -> str:
    """The same for versions that read each other's state; ``telemetry``: URL of the source."""
    return identity(MEANING, *sorted(shapes(telemetry)))


def shapes(telemetry: str) -> set[str]:
    """Every class that state is made of, with its fields in order."""
    found: dict[type, str] = {}
    for one in CLASSES:
        _visit(one, found)
    if position := POSITIONS.get(telemetry.partition(":")[0]):
        module, name = position
        _visit(getattr(import_module(module), name), found)
    return set(found.values())


def _visit(kind: type, found: dict[type, str]) -> None:
    names = _field_names(kind)
    if kind in found or names is None:
        return
    found[kind] = f"{kind.__module__}.{kind.__qualname__}({', '.join(names)})"
    hints = get_type_hints(kind)
    for name in names:
        for part in _parts(hints.get(name)):
            _visit(part, found)


def _field_names(kind: type) -> list[str] | None:
    """The fields in the order they are pickled in, None for a class that has none of its own."""
    if is_dataclass(kind):
        return [each.name for each in fields(kind)]
    named: tuple[str, ...] | None = getattr(
        kind, "_fields", getattr(kind, "__struct_fields__", None)
    )
    return None if named is None else list(named)


def _parts(hint: Any) -> Iterator[type]:
    """The classes an annotation is made of."""
    if isinstance(hint, type):
        yield hint
    for part in get_args(hint):
        yield from _parts(part)
