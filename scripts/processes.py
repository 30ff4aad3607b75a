"""Several processes of one flow on this machine: started, drained and restarted together.

When one of a cluster dies, Bytewax's others die of it, and none can join again alone: so all are
ended and started anew from the last commit. Addresses are on the loopback interface, as what the
processes say to each other is pickled and unguarded.
"""

import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Event, Thread
from time import monotonic
from types import FrameType
from typing import Final, NamedTuple, TypeAlias

from connectors.backoff import delays_s
from connectors.contract import ConnectorError, SettingsError
from flows.cluster import Cluster
from flows.launch import ClusterLostError, FlowError
from flows.logs import tell
from flows.signals import not_drained, tell_draining
from flows.steps.drain import Drain, Drained
from scripts.exits import Interrupted

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""After so long a restart counts as one that has helped."""
_LOOK_S: Final = 0.2
_GRACE_S: Final = 2.0
"""How long the others may take to die of a process's death by themselves."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_API_PORT: Final = "BYTEWAX_DATAFLOW_API_PORT"

# What a process tells its supervisor, and is told.
_FAILED, _STOP, _DRAINED = "failed", "stop", "drained"
_DRAIN, _END = "drain", "end"

Run: TypeAlias = Callable[[Cluster, Drain], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many processes, how often in a row they may be restarted, how long draining may take."""

    processes: int
    restarts: int
    patience_s: float


class Failure(NamedTuple):
    """Why the processes ended: ``status`` as the exit status of one that says so, and its words."""

    status: int
    why: str


def supervise(run: Run, plan: Plan) -> None:
    """``run`` in every process until all have ended well or are drained.

    ``run`` must be picklable: each process calls it.

    Raises:
        SettingsError: a process says that the set-up cannot work.
        FlowError: they died too often in a row, or could not be drained.
    """
    pauses, failures = delays_s(FIRST_PAUSE_S, LONGEST_PAUSE_S), 0
    with _signals() as asked:
        while not asked.numbers:
            began = monotonic()
            failure = _Together(run, plan, asked).live()
            if failure is None:
                return
            if monotonic() - began >= STEADY_S:
                pauses, failures = delays_s(FIRST_PAUSE_S, LONGEST_PAUSE_S), 0
            failures += 1
            if failures > plan.restarts:
                raise FlowError(f"{failure.why}; gave up after {plan.restarts} restarts in a row")
            pause_s = next(pauses)
            tell(
                f"{failure.why}; all {plan.processes} start again in {pause_s:.1f} s"
                f" ({failures} of {plan.restarts} times in a row)",
                logging.WARNING,
            )
            asked.wait(pause_s)


@dataclass
class _Asked:
    """Signals that came, in order."""

    numbers: list[int] = field(default_factory=list)

    def wait(self, pause_s: float) -> None:
        """Wait, or until a signal comes."""
        until = monotonic() + pause_s
        while not self.numbers and (left_s := until - monotonic()) > 0:
            Event().wait(min(left_s, _LOOK_S))


@contextmanager
def _signals() -> Iterator[_Asked]:
    asked = _Asked()

    def note(number: int, _frame: FrameType | None) -> None:
        asked.numbers.append(number)

    before = [signal.signal(number, note) for number in _SIGNALS]
    try:
        yield asked
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _held_back() -> Iterator[None]:
    """Keep signals waiting, also in a process started meanwhile, until it can take them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Together:
    """All processes of a flow, from their start to their common end."""

    def __init__(self, run: Run, plan: Plan, asked: _Asked) -> None:
        self._plan = plan
        self._asked = asked
        self._drained: set[int] = set()
        self._said: dict[int, Failure] = {}
        self._give_up_at: float | None = None
        # Spawned and not forked: connectors and numpy have threads of their own.
        context = multiprocessing.get_context("spawn")
        addresses = tuple(f"127.0.0.1:{port}" for port in _unused_ports(plan.processes))
        self._pipes: dict[Connection, int] = {}
        self._processes: list[multiprocessing.context.SpawnProcess] = []
        # Begun first, as beginning it lets signals through again.
        resource_tracker.ensure_running()
        for number in range(plan.processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_live, args=(run, Cluster(number, addresses), theirs), name=f"flow-{number}"
            )
            with _held_back():
                process.start()
            theirs.close()
            self._pipes[ours] = number
            self._processes.append(process)

    def live(self) -> Failure | None:
        """Wait for the end; why it came, None where all is done or drained."""
        try:
            while True:
                sentinels = [p.sentinel for p in self._processes if p.exitcode is None]
                wait([*self._pipes, *sentinels], _LOOK_S)
                self._listen()
                self._obey()
                if len(self._drained) == self._plan.processes:
                    self._tell(_END)
                    self._wait_for_all()
                    return None
                ended = [p.exitcode for p in self._processes]
                if not any(status is None for status in ended) and not any(ended):
                    return None
                if any(ended):
                    return self._failure()
        finally:
            self._kill()

    def _listen(self) -> None:
        for pipe in wait(list(self._pipes), 0):
            assert isinstance(pipe, Connection)  # noqa: S101 (for mypy: it is one of ours)
            number = self._pipes[pipe]
            try:
                what, *more = pipe.recv()
            except (EOFError, OSError):
                del self._pipes[pipe]
                continue
            if what == _DRAINED:
                self._drained.add(number)
            elif what == _STOP:
                self._asked.numbers.append(signal.SIGTERM)
            elif what == _FAILED:
                self._said[number] = Failure(*more)

    def _obey(self) -> None:
        if not self._asked.numbers:
            return
        if self._give_up_at is None:
            self._give_up_at = monotonic() + self._plan.patience_s
            tell_draining()
            self._tell(_DRAIN)
        elif len(self._asked.numbers) > 1:
            raise Interrupted(128 + self._asked.numbers[-1])
        elif monotonic() > self._give_up_at:
            raise FlowError(not_drained(self._plan.patience_s))

    def _failure(self) -> Failure:
        # Before the rest is ended, which would look as if it had been the cause.
        unexplained = self._unexplained()
        self._wait_for_all()
        self._listen()
        said = sorted(self._said.values(), key=lambda failure: -failure.status)
        found = said[0] if said else unexplained
        if found.status == _WRONG:
            raise SettingsError(found.why)
        if self._give_up_at is not None:
            raise FlowError(f"{found.why}, while draining; what is not committed is read again")
        return found

    def _unexplained(self) -> Failure:
        """Of a process that says nothing; a signal is the cause, the rest died of it."""
        statuses = [p.exitcode or 0 for p in self._processes]
        dead = min(range(len(statuses)), key=statuses.__getitem__)
        dead = (
            dead if statuses[dead] < 0 else next(n for n, status in enumerate(statuses) if status)
        )
        return Failure(1, f"process {dead} of {len(statuses)} ended with status {statuses[dead]}")

    def _wait_for_all(self) -> None:
        until = monotonic() + _GRACE_S
        for process in self._processes:
            process.join(max(until - monotonic(), 0))
        self._kill()

    def _tell(self, what: str) -> None:
        for pipe in self._pipes:
            with suppress(OSError):  # It has just died.
                pipe.send(what)

    def _kill(self) -> None:
        # Loses nothing: what is not committed is read again.
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


_WRONG: Final = 2


def _live(run: Run, cluster: Cluster, supervisor: Connection) -> None:
    """What a process does; ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A terminal's Ctrl-C comes to all of them.
    signal.signal(signal.SIGTERM, lambda _number, _frame: supervisor.send((_STOP,)))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if _API_PORT in os.environ:
        os.environ[_API_PORT] = str(int(os.environ[_API_PORT]) + cluster.process)
    drain = Drain()
    drain.on_drained = lambda: supervisor.send((_DRAINED,))
    Thread(target=_obey, args=(supervisor, drain), daemon=True).start()
    try:
        run(cluster, drain)
    except Drained:
        return
    except ClusterLostError:
        raise SystemExit(1) from None
    except (SettingsError, FlowError, ConnectorError) as exc:
        status = _WRONG if isinstance(exc, SettingsError) else 1
        supervisor.send((_FAILED, status, str(exc)))
        raise SystemExit(status) from None


def _obey(supervisor: Connection, drain: Drain) -> None:
    while True:
        try:
            what = supervisor.recv()
        except (EOFError, OSError):
            os._exit(1)  # The supervisor is gone; so is what would restart us.
        if what == _DRAIN:
            drain.request()
        elif what == _END:
            os._exit(0)


def _unused_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
