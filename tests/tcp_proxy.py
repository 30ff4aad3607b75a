"""What tests put between a client and a server: a line that can be cut, and TLS."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class TcpProxy:
    """Passes bytes between its port and a server until told to cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._away = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        """Lose all connections; new ones are possible."""
        opened, self._open = self._open, []
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def take_away(self) -> None:
        """Lose all connections and any that is tried."""
        self._away.set()
        self.cut()

    def bring_back(self) -> None:
        """Let connections through again."""
        self._away.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._away.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target, *args) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._away.is_set():
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._open += [client, server]
            self._start(self._pass_on, client, server)
            self._start(self._pass_back, server, client)

    def _pass_back(self, read: socket.socket, write: socket.socket) -> None:
        self._pass_on(read, write)

    @staticmethod
    def _pass_on(read: socket.socket, write: socket.socket) -> None:
        with closing(read), suppress(OSError):
            while data := read.recv(65_536):
                write.sendall(data)
            write.shutdown(socket.SHUT_RDWR)


class KafkaProxy(TcpProxy):
    """The same before a broker of Kafka, whose answers tell clients where to connect: to us.

    An address is a string with its length and four bytes of port, so that another port changes
    no length. The broker must give itself the host that the proxy was told.
    """

    def __init__(self, host: str, port: int) -> None:
        self._told = host.encode() + port.to_bytes(4, "big")
        self._host = host.encode()
        self.redirected = 0
        super().__init__(host, port)

    def _pass_back(self, read: socket.socket, write: socket.socket) -> None:
        ours = self._host + self.port.to_bytes(4, "big")
        with closing(read), suppress(OSError), read.makefile("rb") as answers:
            while size := answers.read(4):
                answer = answers.read(int.from_bytes(size, "big"))
                self.redirected += answer.count(self._told)
                write.sendall(size + answer.replace(self._told, ours))
            write.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(url: str) -> Iterator[tuple[TcpProxy, str]]:
    """A line to the server of a URL, and the URL that goes through it."""
    server = urlsplit(url)
    assert server.hostname is not None
    assert server.port is not None
    kind = KafkaProxy if server.scheme == "kafka" else TcpProxy
    with kind(server.hostname, server.port) as proxy:
        place = f"{server.hostname}:{server.port}"
        assert url.count(place) == 1
        yield proxy, url.replace(place, f"127.0.0.1:{proxy.port}")
        # Else the client has found a way around the line.
        assert not isinstance(proxy, KafkaProxy) or proxy.redirected


@contextmanager
def tls_front(folder: Path, host: str, port: int) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS before a server that does not, and the certificate to trust."""
    pem, key = folder / "ca.pem", folder / "key.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    made += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {pem}"
    subprocess.run(["openssl", *made.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    loop = asyncio.new_event_loop()

    async def pass_on(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        try:
            while data := await read.read(65_536):
                write.write(data)
                await write.drain()
        except OSError:
            pass  # Either side has gone: so does the other.
        finally:
            write.transport.abort()

    async def serve(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        their_read, their_write = await asyncio.open_connection(host, port)
        await asyncio.gather(pass_on(read, their_write), pass_on(their_read, write))

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], pem
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
