"""What every server can do: start, tell when it is ready, stop, be killed, name its address."""

import fcntl
import os
import shutil
import signal
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar

from scripts.servers import processes
from scripts.servers.authority import Authority
from scripts.servers.errors import ServerError

HOST = "127.0.0.1"
# Another checkout on this machine may run its own servers: each next try is this much further.
_PORT_STEP = 100
_PORT_TRIES = 20


class Server(ABC):
    """One server on the loopback address, in a folder of its own; what it stores stays there.

    A subclass names its ports and programs, starts them in ``launch`` and asks the server
    something real in ``answers``.
    """

    name: ClassVar[str]
    # What listens -> the port it takes unless another checkout has it.
    preferred_ports: ClassVar[Mapping[str, int]]
    # Its processes in the order they start; they end in the opposite order.
    programs: ClassVar[tuple[str, ...]]
    stop_signal: ClassVar[int] = signal.SIGTERM

    def __init__(self, services: Path) -> None:
        self.folder = services / self.name
        self.log = self.folder / "log"
        self._shift = self.folder / "shift"  # of its ports from the preferred ones

    @property
    def authority(self) -> Authority:
        """Who signed its certificate and those it asks of clients; one a checkout."""
        return Authority(self.folder.parent / "authority")

    @property
    @abstractmethod
    def url(self) -> str:
        """Address as farwatch's settings take it."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Further addresses worth knowing, by what they are for."""
        return {}

    @abstractmethod
    def packages(self) -> Mapping[str, bool]:
        """Debian packages it runs from -> whether what it needs of them is there."""

    @abstractmethod
    def launch(self) -> None:
        """Write its settings and start those of its programs that are not running."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server, whose port is open, does what a client asks."""

    @property
    def missing(self) -> list[str]:
        """Debian packages that must be installed first."""
        return [package for package, present in self.packages().items() if not present]

    @property
    def ports(self) -> dict[str, int]:
        """What listens -> its port: those of the last start, else the preferred ones."""
        try:
            shift = int(self._shift.read_text())
        except (FileNotFoundError, ValueError):
            shift = 0
        return {what: port + shift for what, port in self.preferred_ports.items()}

    @property
    def port(self) -> int:
        """The port clients use."""
        return next(iter(self.ports.values()))

    def start(self, patience_s: float = 90) -> bool:
        """Start and wait until ready; False when it was up already.

        Raises:
            ServerError: packages are missing, or it is not ready in time; the end of its log
                is in the message.
        """
        with self._alone():
            if self.ready():
                return False
            if not Path("/proc/self/stat").exists():
                raise ServerError(f"{self.name}: these servers are for Linux")
            if self.missing:
                raise ServerError(f"{self.name}: install {' '.join(self.missing)} first")
            with self._alone_on_this_machine(patience_s):
                if not self._alive():
                    self._choose_ports()
                self.launch()
                processes.wait_until(lambda: self.ready() or not self._all_alive(), patience_s)
            if not self.ready():
                raise ServerError(f"{self.name} does not come up; the end of {self._log_end()}")
            return True

    def ready(self) -> bool:
        """Whether its processes run and it does what a client asks."""
        return self._all_alive() and _accepts(self.port) and self.answers()

    def stop(self) -> None:
        """End it in good order."""
        with self._alone():
            for program in reversed(self.programs):
                processes.stop(self._pid_file(program), self.stop_signal, patience_s=30)

    def kill(self) -> None:
        """End all its processes at once (SIGKILL)."""
        with self._alone():
            for program in reversed(self.programs):
                processes.kill(self._pid_file(program))

    def signal(self, number: int) -> None:
        """Send a signal to all its processes, such as SIGSTOP and SIGCONT."""
        for program in self.programs:
            if process := processes.running(self._pid_file(program)):
                os.kill(process.pid, number)

    def forget_ports(self) -> None:
        """Prefer the preferred ports at the next start."""
        self._shift.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete what it stored, once it is stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(
        self, program: str, words: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start one of ``programs`` unless it is running; the first word is its path."""
        if processes.running(self._pid_file(program)) is None:
            processes.spawn(words, self._pid_file(program), self.log, environment)

    def _pid_file(self, program: str) -> Path:
        return self.folder / f"{program}.pid"

    def _alive(self) -> list[str]:
        return [name for name in self.programs if processes.running(self._pid_file(name))]

    def _all_alive(self) -> bool:
        return len(self._alive()) == len(self.programs)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No two commands start or stop one server at the same time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _alone_on_this_machine(self, patience_s: float) -> Iterator[None]:
        """No two checkouts start this server at the same time, else both take one free port.

        A lock that others hold for too long, or that is not ours to open, is not waited for.
        """
        with ExitStack() as stack:
            path = Path(tempfile.gettempdir(), f"farwatch-services-{self.name}.lock")
            with suppress(PermissionError):
                lock = stack.enter_context(path.open("a"))
                processes.wait_until(lambda: _locked(lock), patience_s)
            yield

    def _choose_ports(self) -> None:
        """Keep the ports of the last start where they are free, else take the next free ones."""
        ports = self.ports.values()
        if processes.wait_until(lambda: all(map(_is_free, ports)), patience_s=2):
            return
        for shift in range(0, _PORT_STEP * _PORT_TRIES, _PORT_STEP):
            if all(_is_free(port + shift) for port in self.preferred_ports.values()):
                self._shift.write_text(f"{shift}\n")
                return
        raise ServerError(f"{self.name}: every port it may take is in use: {self.ports}")

    def _log_end(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([f"{self.log}:", *text.splitlines()[-lines:]])


def drop_rights(user: str) -> list[str]:
    """Words before a command that make root run it as ``user``; none for other users."""
    if os.getuid() != 0:
        return []
    setpriv = processes.find_program("setpriv") or "setpriv"
    return [setpriv, f"--reuid={user}", f"--regid={user}", "--init-groups"]


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _accepts(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        # As servers do: connections that have just ended do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
