"""Keys of a worker whose states move on together: one pass for all of them, kept each by itself."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

State = TypeVar("State")
Out = TypeVar("Out")


class Whole(Protocol):
    """What some keys have a share in; each gets its share in the same epoch."""

    @property
    def keys(self) -> Sequence[str]:
        """The keys."""
        ...

    def of(self, keys: Set[str]) -> Any:
        """What ``advance`` takes in for these keys."""
        ...


class Share(Protocol):
    """One key's share, an item of the dataflow; the whole is the same object within a process."""

    @property
    def key(self) -> str:
        """Whose share it is."""
        ...

    @property
    def whole(self) -> Whole:
        """What it is a share in."""
        ...


class Holding(Protocol):
    """What keys take in that waits for more of the same epoch; it is not stored."""

    @property
    def held(self) -> int:
        """How much waits."""
        ...

    def take(self, seen: Any) -> Iterable[Any]:
        """Take in what has come; what is to go on with, in order."""
        ...


@dataclass(frozen=True)
class Together(Generic[State, Out]):
    """How states of several keys become one, and what it is for each key.

    ``join`` makes one state of at least one, for what is taken in next, and what there is to tell
    of the newcomers; ``split`` tells the state of each of the keys. ``gather`` puts together, for
    storing, what has come in small pieces; it changes nothing of what the state means. ``waiting``
    makes what holds what has come until more has; all of an epoch comes before it ends. ``enter``
    makes of what was kept of a key the state that joins.
    """

    join: Callable[[Sequence[State], Any], tuple[State, list[Out]]]
    split: Callable[[State, Iterable[str]], Mapping[str, State]]
    gather: Callable[[State], State] = lambda state: state
    waiting: Callable[[], Holding] | None = None
    enter: Callable[[str, State], State] = lambda _, state: state


class Cohort(Generic[State, Out]):
    """The keys of one step that this worker has seen, and their state.

    A whole moves all its keys on when the first of their shares comes: what the others' shares are
    for is done then. They come in the same epoch, so each key is snapshotted at its end, with all
    that moved it.
    """

    def __init__(
        self,
        together: Together[State, Out],
        advance: Callable[[State, Any], tuple[State, list[Out]]],
        initial: State,
    ) -> None:
        self._together, self._advance, self._initial = together, advance, initial
        self._waiting = together.waiting() if together.waiting else None
        self._state: State | None = None
        self._keys: set[str] = set()
        # States of keys that have come since the last pass.
        self._newcomers: list[State] = []
        # The keys that each whole has moved on, as long as shares of it are about.
        self._moved: WeakKeyDictionary[Whole, set[str]] = WeakKeyDictionary()
        self._parts: Mapping[str, State] | None = None
        self._look: datetime | None = None

    @property
    def state(self) -> State:
        """The state of its keys as the last pass left it."""
        return self._initial if self._state is None else self._state

    def enter(self, key: str, state: State | None) -> None:
        """A key of this worker, and what its state was, if it had one."""
        self._keys.add(key)
        if state is not None:
            self._newcomers.append(self._together.enter(key, state))

    def advance(self, share: Share) -> list[Out]:
        """Take in a share, and with it those of all other keys; what to tell."""
        whole = share.whole
        moved = self._moved.setdefault(whole, set())
        if share.key in moved:
            return []
        mine = self._keys.intersection(whole.keys) - moved
        moved |= mine
        seen = whole.of(mine)
        told: list[Out] = []
        for ready in (seen,) if self._waiting is None else self._waiting.take(seen):
            before, news = self._joined(ready)
            self._state, more = self._advance(before, ready)
            self._parts = None
            told += news + more
        return told

    def move_on(self, by: Callable[[State], tuple[State, list[Out]]]) -> list[Out]:
        """Move the state on without taking in anything; what to tell."""
        self._refuse_held()
        if self._state is None:
            return []
        self._state, told = by(self._state)
        self._parts = None
        return told

    def next_look(self, last: datetime | None, proposed: datetime) -> datetime:
        """When the keys are to move on without items, the same for all, so that all are kept.

        ``last``: when a key's turn was, None = it is a new one.
        """
        if self._look is None or last == self._look:
            self._look = proposed
        return self._look

    def part(self, key: str) -> State:
        """The state of a key."""
        self._refuse_held()
        if self._parts is None:
            if self._state is None:
                return self._initial
            self._state = self._together.gather(self._state)
            self._parts = self._together.split(self._state, self._keys)
        return self._parts[key]

    def _refuse_held(self) -> None:
        # Stored without it the state would lack it after a restart.
        if self._waiting is not None and self._waiting.held:
            raise RuntimeError(
                f"{self._waiting.held} items still wait at the end of their epoch: please report it"
            )

    def _joined(self, seen: Any) -> tuple[State, list[Out]]:
        states = [*([] if self._state is None else [self._state]), *self._newcomers]
        if self._newcomers:
            self._newcomers = []
            return self._together.join(states, seen)
        return (self._initial if self._state is None else self._state), []


class Cohorts(threading.local, Generic[State, Out]):
    """The cohort of each worker: workers of one process are threads of it."""

    def __init__(self, make: Callable[[], Cohort[State, Out]]) -> None:
        self.here = make()
