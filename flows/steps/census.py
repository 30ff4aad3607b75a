"""What the keyed steps of this process remember, counted when Prometheus asks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np

from connectors.metrics import Samples, Series, on_scrape
from rules.alarms import AlarmState
from rules.alarms.alarm import SHELVED
from rules.group import GroupState
from rules.history import Piece
from schemas.metrics import ALARMS, ALARMS_RAISED, STATE_BYTES, STATE_ROWS


class Stateful(Protocol):
    """What holds an immutable state that is replaced as it moves on."""

    @property
    def state(self) -> Any:
        """The state as it is now."""
        ...


def count_state(step_id: str, logic: Stateful) -> None:
    """Show rows, bytes and alarms of the state of ``logic`` as long as that lives."""
    # Chunks never change: what each takes is reckoned once.
    known: dict[int, int] = {}

    def read(logic: Stateful) -> Samples:
        nonlocal known
        state = logic.state
        chunks = getattr(state, "chunks", ())
        known = {one.number: known.get(one.number) or _bytes_of(one) for one in chunks}
        bare = state.with_chunks(()) if chunks else state
        samples: dict[Series, float] = {}
        samples[STATE_BYTES, (step_id,)] = _bytes_of(bare) + sum(known.values())
        for of, rows in _rows(state):
            samples[STATE_ROWS, (step_id, of)] = rows
        if isinstance(state, GroupState):
            samples |= _raised(state)
        elif isinstance(state, AlarmState):
            samples |= _followed(state)
        return samples

    on_scrape(logic, read)


def _rows(state: Any) -> Iterator[tuple[str, float]]:
    memory = getattr(state, "memory", state)
    for of, name in (("vehicles", "roster"), ("visits", "visits"), ("conditions", "conditions")):
        if (part := getattr(memory, name, None)) is not None:
            yield of, len(part)
    if isinstance(state, GroupState):
        yield "records", sum(len(c.frame) for c in state.chunks if isinstance(c, Piece))


def _raised(state: GroupState) -> Samples:
    conditions, registry = state.memory.conditions, state.registry
    if registry is None:  # Just resumed: what its places mean is known with the first frame.
        return {}
    raised = conditions.rule[conditions.alarm_id != ""]
    rules = [registry.book.rules[rule].rule for rule in raised.tolist()]
    severities = Counter(rule.severity for rule in rules if rule.mode == "active")
    return {(ALARMS_RAISED, (severity,)): float(n) for severity, n in severities.items()}


def _followed(state: AlarmState) -> Samples:
    found = Counter(
        (alarm.severity, SHELVED if alarm.point in tip.shelves else alarm.state)
        for tip in (watched.tip for watched in state.vehicles.values())
        for alarm in tip.alarms.values()
    )
    return {(ALARMS, labels): float(number) for labels, number in found.items()}


def _bytes_of(value: Any) -> int:
    """Bytes of all arrays that the value is made of; what is shared counts once."""
    found: dict[int, int] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, np.ndarray):
            found[id(one)] = one.nbytes
        elif isinstance(one, (tuple, list)):
            waiting += one if one and not isinstance(one[0], (str, int, float)) else ()
        elif isinstance(one, dict):
            waiting += [part for part in one.values() if not isinstance(part, (str, int, float))]
        elif is_dataclass(one) and type(one).__module__.partition(".")[0] in ("rules", "schemas"):
            waiting += [getattr(one, f.name) for f in fields(one) if f.name != "registry"]
    return sum(found.values())
