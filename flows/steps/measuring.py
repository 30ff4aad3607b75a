"""Steps and sinks that are measured: how long each call takes and what it took in.

The price is a few microseconds a call, of which there are some a frame; nothing is done a record.
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from prometheus_client import Counter

from connectors import metrics
from flows.steps.tracing import carried, span, traced
from flows.vitals import VITALS
from schemas.delivery import Delivery
from schemas.frame import NUMBER_FIELDS, TEXT_FIELDS, Frame
from schemas.message import Reject

Given = ParamSpec("Given")
Result = TypeVar("Result")
State = TypeVar("State")
Item = TypeVar("Item")
Out = TypeVar("Out")

FIELDS: Final = frozenset(
    {*NUMBER_FIELDS, *TEXT_FIELDS, "vehicle_id", "timestamp", "kind", "body", "sequence", "sensors"}
)
"""Fields at fault that are shown by name; others, which senders make up, count as `record`."""

_TALLIED: Final[Mapping[str, Counter]] = {
    "no_position": metrics.RECORDS_NO_POSITION,
    "unknown_depth": metrics.RECORDS_UNKNOWN_DEPTH,
    "rule_errors": metrics.RULE_ERRORS,
    "late": metrics.RECORDS_LATE.labels("too_late"),
    "revising": metrics.RECORDS_LATE.labels("revising"),
}
"""Tally of ``rules.group`` -> its meter."""


def timed(step: str, call: Callable[Given, Result]) -> Callable[Given, Result]:
    """``call``, no generator, whose time is measured under the name ``step``."""
    observe = metrics.STEP_S.labels(step).observe

    def measured(*given: Given.args, **named: Given.kwargs) -> Result:
        began_s = monotonic()
        VITALS.begin(step, began_s)
        try:
            return call(*given, **named)
        finally:
            ended_s = monotonic()
            VITALS.end(ended_s)
            observe(ended_s - began_s)

    return measured


def measured(
    step: str, advance: Callable[[State, Item], tuple[State, list[Out]]]
) -> Callable[[State, Item], tuple[State, list[Out]]]:
    """``advance`` that is timed, traced, and the tallies of its state counted."""

    def counted(state: State, item: Item) -> tuple[State, list[Out]]:
        with span(step, [carried(item)]) as trace:
            moved, told = advance(state, item)
            told = traced(told, trace)
        if after := getattr(moved, "tallies", None):
            for group, counts in after.items():
                _count_tallies(getattr(state, "tallies", {}).get(group, {}), counts)
        return moved, told

    return timed(step, counted)


def _count_tallies(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    if before is after:
        return
    for name, meter in _TALLIED.items():
        if more := after.get(name, 0) - before.get(name, 0):
            meter.inc(more)


def count_input(good: int, rejects: Iterable[Reject]) -> None:
    """Count records (or events of another flow) that were read, and those refused."""
    if good:
        metrics.RECORDS_IN.inc(good)
    for reject in rejects:
        metrics.RECORDS_REJECTED.labels(reject_reason(reject)).inc()


def count_frame(frame: Frame) -> None:
    """Count a frame and note how far event time has come."""
    metrics.FRAME_ROWS.observe(len(frame))
    newest_us = int(frame.time_us.max(initial=0))
    if newest_us > VITALS.newest_us:
        VITALS.newest_us = newest_us
        metrics.NEWEST_RECORD.set(newest_us / 1e6)


def reject_reason(reject: Reject) -> str:
    """What is at fault, one of few words: a field's name, `limit` or `record`."""
    if reject.field in FIELDS:
        return reject.field
    return "limit" if "more than" in reject.reason else "record"


class MeasuredSink(FixedPartitionedSink[Delivery, Any]):
    """A sink whose calls are timed under its name; all else is that of the sink within."""

    def __init__(self, name: str, inner: FixedPartitionedSink[Delivery, Any]) -> None:
        self.name = name
        self.inner = inner

    def list_parts(self) -> list[str]:
        """The parts of the sink within."""
        return self.inner.list_parts()

    def part_fn(self, item_key: str) -> int:
        """The part that the sink within chooses."""
        return self.inner.part_fn(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> "_MeasuredPart":
        """The part of the sink within, timed."""
        return _MeasuredPart(self.name, self.inner.build_part(step_id, for_part, resume_state))


class _MeasuredPart(StatefulSinkPartition[Delivery, Any]):
    def __init__(self, name: str, inner: StatefulSinkPartition[Delivery, Any]) -> None:
        self.inner = inner
        self._write = timed(f"{name} write", inner.write_batch)
        self._snapshot = timed(f"{name} commit", inner.snapshot)

    def write_batch(self, values: list[Delivery]) -> None:
        self._write(values)

    def snapshot(self) -> Any:
        return self._snapshot()

    def close(self) -> None:
        self.inner.close()
