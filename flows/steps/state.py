"""A keyed step whose state moves on by a pure function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic

from connectors.contract import SettingsError

State = TypeVar("State")
Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Keyed(Generic[State, Item, Out]):
    """What a keyed step does.

    ``advance`` takes in one item: the state after it, what to tell. ``release`` tells what the
    state holds back; it runs at the end of the input and about every ``release_after_s`` of wall
    time, so it may choose only when something is told, never what. ``finish`` runs in its place at
    the end of the input alone. All are pure; states are immutable. ``fingerprint`` is that of the
    settings which a recovered state must have.
    """

    initial: State
    advance: Callable[[State, Item], tuple[State, list[Out]]]
    fingerprint: str
    release: Callable[[State], tuple[State, list[Out]]] | None = None
    release_after_s: float = 300
    finish: Callable[[State], tuple[State, list[Out]]] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[State]):
    """A key's state as the recovery store keeps it; the class path is persisted with it."""

    fingerprint: str
    state: State


def follow(step_id: str, up: KeyedStream[Item], keyed: Keyed[State, Item, Out]) -> Stream[Out]:
    """Each key's items in order through ``keyed.advance``."""

    def build(resumed: Snapshot[State] | None) -> _Logic[State, Item, Out]:
        if resumed is None:
            return _Logic(keyed, keyed.initial)
        if resumed.fingerprint != keyed.fingerprint:
            raise SettingsError(
                "the recovery folder belongs to other zones, rules, key groups or distances;"
                " start again with those or with a new folder"
            )
        return _Logic(keyed, resumed.state)

    told = op.stateful_batch(step_id, up, build)
    return op.flat_map_batch("told", told, lambda pairs: [item for _, item in pairs])


class _Logic(StatefulBatchLogic[Item, Out, Snapshot[State]], Generic[State, Item, Out]):
    def __init__(self, keyed: Keyed[State, Item, Out], state: State) -> None:
        self.keyed = keyed
        self.state = state
        self.due = self._next_due()

    def on_batch(self, values: list[Item]) -> tuple[Iterable[Out], bool]:
        out: list[Out] = []
        for value in values:
            self.state, told = self.keyed.advance(self.state, value)
            out += told
        return out, StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[Iterable[Out], bool]:
        self.due = self._next_due()
        return self._moved_on(self.keyed.release)

    def on_eof(self) -> tuple[Iterable[Out], bool]:
        return self._moved_on(self.keyed.finish or self.keyed.release)

    def notify_at(self) -> datetime | None:
        return self.due if self.keyed.release else None

    def snapshot(self) -> Snapshot[State]:
        return Snapshot(self.keyed.fingerprint, self.state)

    def _moved_on(
        self, by: Callable[[State], tuple[State, list[Out]]] | None
    ) -> tuple[Iterable[Out], bool]:
        if by is None:
            return [], StatefulBatchLogic.RETAIN
        self.state, told = by(self.state)
        return told, StatefulBatchLogic.RETAIN

    def _next_due(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.keyed.release_after_s)
