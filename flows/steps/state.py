"""A keyed step whose state moves on by a pure function."""

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Protocol, Self, TypeVar, runtime_checkable

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic

from connectors.contract import SettingsError
from connectors.journal import Journal, Kept, Lane, Place
from flows.steps.census import count_state
from flows.steps.measuring import measured
from flows.steps.together import Cohort, Cohorts, Share, Together

State = TypeVar("State")
Item = TypeVar("Item")
Out = TypeVar("Out")
_PROTOCOL: Final = pickle.HIGHEST_PROTOCOL


class Chunk(Protocol):
    """A piece of history: numbers are unique and ascend in a key, a number's content stays."""

    @property
    def number(self) -> int:
        """What names the chunk within its key."""
        ...


@runtime_checkable
class Chunked(Protocol):
    """A state with a history in immutable chunks, each persisted once where there is a journal."""

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The history, oldest first."""
        ...

    def with_chunks(self, chunks: tuple[Any, ...]) -> Self:
        """The same state with another history."""
        ...


@dataclass(frozen=True)
class Keyed(Generic[State, Item, Out]):
    """What a keyed step does.

    ``advance`` takes in one item: the state after it, what to tell. ``release`` tells what the
    state holds back; it runs at the end of the input and about every ``release_after_s`` of wall
    time, so it may choose only when something is told, never what. ``finish`` runs in its place at
    the end of the input alone. These are pure; states are immutable. ``idle`` runs about every
    ``idle_after_s`` of wall time: it is for what the silence of a live source says.
    ``fingerprint`` is that of the settings which a recovered state must have.
    """

    initial: State
    advance: Callable[[State, Item], tuple[State, list[Out]]]
    fingerprint: str
    release: Callable[[State], tuple[State, list[Out]]] | None = None
    release_after_s: float = 300
    finish: Callable[[State], tuple[State, list[Out]]] | None = None
    idle: Callable[[State], tuple[State, list[Out]]] | None = None
    idle_after_s: float = 1


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[State]):
    """A key's state as the recovery store keeps it; the class path is persisted with it."""

    fingerprint: str
    state: State


@dataclass(frozen=True, slots=True)
class Journaled(Generic[State]):
    """As ``Snapshot``, of a state whose chunks are in the journal's lane ``key``.

    ``kept``: by number, oldest first. Pickled only when they are durable: ``sync`` waits for that.
    """

    fingerprint: str
    state: State
    key: str
    kept: Mapping[int, Kept]
    sync: Callable[[], None] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.sync is not None:
            self.sync()
        # Plain tuples of the places: named ones take five times as long.
        kept = {n: r if isinstance(r, bytes) else tuple(r) for n, r in self.kept.items()}
        return Journaled, (self.fingerprint, self.state, self.key, kept)


def follow(
    step_id: str,
    up: KeyedStream[Item],
    keyed: Keyed[State, Item, Out],
    journal: Journal | None = None,
) -> Stream[Out]:
    """Each key's items in order through ``keyed.advance``.

    ``journal`` takes the chunks of a ``Chunked`` state, each once; without one they are part of
    the state that is stored whole at every epoch.
    """
    keyed = replace(keyed, advance=measured(step_id, keyed.advance))

    def counted(*given: Any) -> _Logic[State, Item, Out]:
        logic = _Logic[State, Item, Out](*given)
        count_state(step_id, logic)
        return logic

    return _follow(step_id, up, keyed, journal, counted)


def follow_together(
    step_id: str,
    up: KeyedStream[Share],
    keyed: Keyed[State, Any, Out],
    together: Together[State, Out],
    journal: Journal | None = None,
) -> Stream[Out]:
    """As ``follow``, but all keys of a worker advance at once, by what they have a share in.

    States that hold back something to ``release`` are not for this: others' keys would not be kept.
    """
    keyed = replace(keyed, advance=measured(step_id, keyed.advance))

    def cohort() -> Cohort[State, Out]:
        made = Cohort(together, keyed.advance, keyed.initial)
        count_state(step_id, made)
        return made

    cohorts = Cohorts(cohort)

    def member(
        of: Keyed[State, Share, Out],
        state: State,
        lane_of: Callable[[str], Lane | None],
        lane: Lane | None,
    ) -> _Logic[State, Share, Out]:
        return _Member(cohorts.here, of, state, lane_of, lane)

    return _follow(step_id, up, keyed, journal, member)


def _follow(
    step_id: str,
    up: KeyedStream[Item],
    keyed: Keyed[State, Item, Out],
    journal: Journal | None,
    logic_of: Callable[..., "_Logic[State, Item, Out]"],
) -> Stream[Out]:
    def lane_of(key: str) -> Lane | None:
        return None if journal is None else journal.lane(step_id, key)

    def build(resumed: Snapshot[State] | Journaled[State] | None) -> _Logic[State, Item, Out]:
        if resumed is None:
            return logic_of(keyed, keyed.initial, lane_of, None)
        if resumed.fingerprint != keyed.fingerprint:
            raise SettingsError(
                "the recovery folder belongs to other zones, rules, key groups or distances;"
                " start again with those or with a new folder"
            )
        if isinstance(resumed, Snapshot):
            return logic_of(keyed, resumed.state, lane_of, None)
        lane = lane_of(resumed.key)
        return logic_of(keyed, _with_history(resumed, lane), lane_of, lane)

    # The engine tells a logic neither its key nor its step.
    with_keys = op.map(f"{step_id}_keys", up, lambda pair: (pair[0], pair))
    told = op.stateful_batch(step_id, with_keys, build)
    return op.flat_map_batch(f"{step_id}_told", told, lambda pairs: [item for _, item in pairs])


def _pickled(chunk: Chunk) -> bytes:
    return pickle.dumps(chunk, _PROTOCOL)


def _with_history(resumed: Journaled[State], lane: Lane | None) -> State:
    if lane is None:
        raise SettingsError(
            "the recovery folder lacks its journal: this flow was started without one; start it"
            " as the run that wrote the folder"
        )
    kept = {n: r if isinstance(r, bytes) else Place(*r) for n, r in resumed.kept.items()}
    # Trusted as the state itself is, which the engine unpickles from the same folder.
    chunks = tuple(map(pickle.loads, lane.read(kept)))
    return resumed.state.with_chunks(chunks)  # type: ignore[attr-defined, no-any-return]


class _Logic(
    StatefulBatchLogic[tuple[str, Item], Out, Snapshot[State] | Journaled[State]],
    Generic[State, Item, Out],
):
    def __init__(
        self,
        keyed: Keyed[State, Item, Out],
        state: State,
        lane_of: Callable[[str], Lane | None],
        lane: Lane | None = None,
    ) -> None:
        self.keyed = keyed
        self.state = state
        self.lane_of = lane_of
        self.lane = lane
        self.chunked = isinstance(keyed.initial, Chunked)  # It takes as long as a small pickle.
        self.due = self._next_due()
        self.idle_due = self._next_idle(None)

    def on_batch(self, values: list[tuple[str, Item]]) -> tuple[Iterable[Out], bool]:
        if self.lane is None:
            self.lane = self.lane_of(values[0][0])
        out: list[Out] = []
        for _, value in values:
            self.state, told = self.keyed.advance(self.state, value)
            out += told
        return out, StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[Iterable[Out], bool]:
        now = datetime.now(UTC)
        told: list[Out] = []
        if self.keyed.release and now >= self.due:
            self.due = self._next_due()
            told += self._moved_on(self.keyed.release)[0]
        if self.keyed.idle and now >= self.idle_due:
            self.idle_due = self._next_idle(self.idle_due)
            told += self._moved_on(self.keyed.idle)[0]
        return told, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[Out], bool]:
        return self._moved_on(self.keyed.finish or self.keyed.release)

    def notify_at(self) -> datetime | None:
        due = [self.due] if self.keyed.release else []
        return min(due + ([self.idle_due] if self.keyed.idle else []), default=None)

    def snapshot(self) -> Snapshot[State] | Journaled[State]:
        """The state as it is to be stored."""
        if self.lane is None or not self.chunked:
            return Snapshot(self.keyed.fingerprint, self.state)
        state: Any = self.state
        written = self.lane.write({c.number: c for c in state.chunks}, _pickled)
        bare = state.with_chunks(())
        return Journaled(self.keyed.fingerprint, bare, self.lane.key, written.kept, written.sync)

    def _moved_on(
        self, by: Callable[[State], tuple[State, list[Out]]] | None
    ) -> tuple[Iterable[Out], bool]:
        if by is None:
            return [], StatefulBatchLogic.RETAIN
        self.state, told = by(self.state)
        return told, StatefulBatchLogic.RETAIN

    def _next_due(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.keyed.release_after_s)

    def _next_idle(self, last: datetime | None) -> datetime:
        """When ``idle`` is to run; ``last``: when it was to before."""
        return datetime.now(UTC) + timedelta(seconds=self.keyed.idle_after_s)


class _Member(_Logic[State, Share, Out]):
    """A key that moves on with the others of its worker, from the first of its items on."""

    def __init__(
        self,
        cohort: Cohort[State, Out],
        keyed: Keyed[State, Share, Out],
        state: State,
        lane_of: Callable[[str], Lane | None],
        lane: Lane | None,
    ) -> None:
        self.cohort = cohort
        self.key = ""
        super().__init__(keyed, state, lane_of, lane)

    def on_batch(self, values: list[tuple[str, Share]]) -> tuple[Iterable[Out], bool]:
        if not self.key:
            self.key = values[0][0]
            self.lane = self.lane or self.lane_of(self.key)
            self.cohort.enter(self.key, None if self.state is self.keyed.initial else self.state)
        out: list[Out] = []
        for _, share in values:
            out += self.cohort.advance(share)
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> Snapshot[State] | Journaled[State]:
        if self.key:
            self.state = self.cohort.part(self.key)
        return super().snapshot()

    def _moved_on(
        self, by: Callable[[State], tuple[State, list[Out]]] | None
    ) -> tuple[Iterable[Out], bool]:
        if not self.key or by is None:
            return super()._moved_on(by)
        return self.cohort.move_on(by), StatefulBatchLogic.RETAIN

    def _next_idle(self, last: datetime | None) -> datetime:
        return self.cohort.next_look(last, super()._next_idle(last))
