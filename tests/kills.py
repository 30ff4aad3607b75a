"""A watch in processes of its own that is killed, with its servers, until its input is read.

Processes are forked from one that has imported everything: a life costs a fraction of a second, so
that the moments of kills fall into its work and not into Python's imports.
"""

import faulthandler
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

import flows.watch
from connectors.journal import Journal
from flows.launch import JOURNAL
from flows.uncommitted import hold_store
from flows.wiring import Wiring, from_environment
from scripts import cli
from tests.services import ServiceControl
from tests.watching import ROOT

FLOW = "flow"
SETTLED_S = 8.0
"""A quorum queue declared shortly before its broker is killed may come back without a leader: 3 s
before on a quiet machine."""
AT_START = 0.2
"""The share of the flow's kills that may come before it has told anything."""
START_S = 1.0
PATIENCE_S = 600.0

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(
    [
        *("__main__", "tests.kills", "scripts.watch"),
        *(f"connectors.{name}" for name in ("kafka", "rabbitmq", "postgres", "redis", "influxdb")),
    ]
)


class Lives:
    """The same watch again and again, in one process or in a cluster; results below ``out``.

    One process is `farwatch watch`. A cluster of the engine has a process an address; its epochs
    last ``epoch_s``, where the engine's own command line knows whole seconds only.
    """

    def __init__(
        self,
        env: dict[str, str],
        out: Path,
        addresses: Sequence[str] = (),
        epoch_s: float = 0.1,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.out = out
        self.started = 0
        self._processes: list[multiprocessing.process.BaseProcess] = []
        recovery = out / "recovery"
        out.mkdir(parents=True, exist_ok=True)
        if addresses:
            recovery.mkdir()
            init_db_dir(recovery, len(addresses))
            self._mains = [
                (_cluster, addresses, number, recovery, epoch_s) for number in range(len(addresses))
            ]
        else:
            env = env | {"FARWATCH_RECOVERY": str(recovery), "FARWATCH_EPOCH_S": str(epoch_s)}
            self._mains = [(_alone,)]
        self._env = env
        self._prepare = prepare

    def start(self) -> None:
        """Begin a new life unless one is running."""
        if self.running:
            return
        self.started += 1
        self._processes = [
            _fork.Process(target=_live, args=(self._env, self.out / "log", self._prepare, *main))
            for main in self._mains
        ]
        for process in self._processes:
            process.start()

    @property
    def running(self) -> bool:
        """Whether any of its processes runs."""
        return any(process.is_alive() for process in self._processes)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.pid is not None]

    def kill(self, pause_s: float = 0.0) -> None:
        """kill -9 of all processes, the others ``pause_s`` after the first."""
        for number, process in enumerate(self._processes):
            if number:
                wait_until(lambda: not self.running, pause_s)
            process.kill()
        for process in self._processes:
            process.join(60)
        # One of two may have died of the other's death before it was killed, and all may have come
        # to the end of their input.
        ended = not any(self.statuses)
        assert ended or -signal.SIGKILL in self.statuses, (self.statuses, self.log())

    @property
    def statuses(self) -> list[int | None]:
        return [process.exitcode for process in self._processes]

    def well_ended(self) -> bool:
        """Whether this life has read its input to the end; asserts that it did not fail."""
        if self.running:
            return False
        assert not any(self.statuses), (self.statuses, self.log())
        return True

    def told_bytes(self) -> int:
        """How much all lives have told the folder ``topics`` of ``out``."""
        return sum(path.stat().st_size for path in (self.out / "topics").glob("*.ndjson"))

    def log(self) -> str:
        return (self.out / "log").read_text()[-4000:]

    def end(self) -> None:
        """Leave nothing running."""
        for process in self._processes:
            process.kill()
            process.join(60)


@dataclass
class Kills:
    """Kills at moments drawn from ``rng``, each of the names in one of ``victims``.

    Every life of the flow gets up to ``longest_s`` after it has told something. A server comes back
    at once, and the flow, where it is no victim itself, must have waited for it. ``share`` sends
    the flow some more to read, False where nothing is left: called before each kill, and whenever
    a life has read all there was before its moment came.
    """

    lives: Lives
    victims: Iterable[Sequence[str]]
    rng: random.Random
    longest_s: float
    servers: dict[str, ServiceControl] = field(default_factory=dict)
    share: Callable[[], bool] = lambda: False
    done: list[Sequence[str]] = field(default_factory=list)
    _told_first_s: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def run(self, rest: Callable[[], None] = lambda: None) -> None:
        """Kill all victims, call ``rest``, and let the flow read to the end of its input."""
        try:
            for victims in self.victims:
                self.share()
                while not self._lived_until_its_moment(victims):
                    assert self.lives.well_ended()
                    assert self.share(), f"read all before the {len(self.done) + 1}th kill"
                self._strike(victims)
                self.done.append(victims)
            running = self.lives.running
            rest()
            if running:  # It may have come to the end before ``rest`` moved that.
                self._live_to_the_end()
            self.lives.start()
            self._live_to_the_end()
        finally:
            self.lives.end()

    def of(self, name: str) -> int:
        """How many kills had this victim."""
        return sum(name in victims for victims in self.done)

    def summary(self) -> str:
        """The figures of a run."""
        counts = Counter(" and ".join(victims) for victims in self.done)
        took_s = time.monotonic() - self._began
        return f"{len(self.done)} kills in {self.lives.started} lives, {took_s:.0f} s: {counts}"

    def _live_to_the_end(self) -> None:
        assert wait_until(self.lives.well_ended, PATIENCE_S), "still running"

    def _lived_until_its_moment(self, victims: Sequence[str]) -> bool:
        before, lives = self.lives.told_bytes(), self.lives
        lives.start()
        if tuple(victims) == (FLOW,) and self.rng.random() < AT_START:
            return not wait_until(lambda: not lives.running, self.rng.uniform(0, START_S))
        wait_until(lambda: not lives.running or lives.told_bytes() > before, 60)
        if self._told_first_s is None:
            self._told_first_s = time.monotonic()
        if "rabbitmq" in victims:
            wait_until(lambda: time.monotonic() - (self._told_first_s or 0) > SETTLED_S, SETTLED_S)
        return not wait_until(lambda: not lives.running, self.rng.uniform(0, self.longest_s))

    def _strike(self, victims: Sequence[str]) -> None:
        servers = [self.servers[name] for name in victims if name != FLOW]
        for server in servers:
            server.kill9()
        if FLOW in victims:
            self.lives.kill(pause_s=self.rng.choice([0.0, 0.2]))
        for server in servers:
            server.start()
        assert FLOW in victims or not any(self.lives.statuses), self.lives.log()


def in_turn(kills: int, servers: Sequence[str], every: int) -> list[tuple[str, ...]]:
    """The flow, and each ``every``-th time a server: each in turn, alone and with the flow."""
    found: list[tuple[str, ...]] = []
    for number in range(kills):
        turn, rest = divmod(number, every)
        if rest < every - 1 or not servers:
            found.append((FLOW,))
        else:
            server = servers[turn % len(servers)]
            together = (turn + turn // len(servers)) % 2
            found.append((server, FLOW) if together else (server,))
    return found


def wait_until(done: Callable[[], bool], patience_s: float) -> bool:
    """Look every 5 ms; False when it is not so after ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)  # noqa: TID251 (a test that waits for other processes)
    return True


def _live(
    env: dict[str, str],
    log: Path,
    prepare: Callable[[], None] | None,
    main: Callable[..., None],
    *args: object,
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    if prepare is not None:
        prepare()
    main(*args)


def _alone() -> None:
    sys.argv = ["farwatch", "watch", "--quiet"]
    cli.main()


def _cluster(addresses: Sequence[str], number: int, recovery: Path, epoch_s: float) -> None:
    def build(wiring: Wiring) -> Dataflow:
        hold_store(recovery, number)
        return flows.watch.watch(replace(wiring, journal=Journal(recovery / JOURNAL)))

    flow = from_environment(build)
    cli_main(
        flow,
        process_id=number,
        addresses=list(addresses),
        epoch_interval=timedelta(seconds=epoch_s),
        recovery_config=RecoveryConfig(str(recovery), timedelta(0)),
    )
