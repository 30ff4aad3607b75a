"""What a process answers by HTTP: ``/metrics``, ``/healthz``, ``/livez``, ``/readyz``.

200 means yes, 503 no; the body of a probe is one JSON object that says why. The server has a
thread of its own and reads what the flow notes, so that it answers while the flow is stuck.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from connectors.backoff import far_sides
from connectors.contract import SettingsError
from flows.settings import Settings
from flows.vitals import VITALS

REQUEST_S: Final = 5.0
"""How long a client may take for its request."""


@contextmanager
def probes(settings: Settings, process: int = 0) -> Iterator[None]:
    """Answer at the port of the settings plus ``process`` meanwhile; nothing where none is set.

    Raises:
        SettingsError: the port cannot be had.
    """
    server = start_probes(settings, process)
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


def start_probes(settings: Settings, process: int = 0) -> ThreadingHTTPServer | None:
    """As ``probes``, until the process ends."""
    VITALS.epoch_s, VITALS.stall_s = settings.epoch_s, settings.stall_s
    if settings.metrics_port is None:
        return None
    # A pod has an address of its own: there every process answers at the same port.
    port = settings.metrics_port + (0 if os.environ.get("BYTEWAX_POD_NAME") else process)
    host = settings.metrics_host
    try:
        server = _Server((host, port), _Answers)
    except (OSError, OverflowError) as exc:
        raise SettingsError(
            f"metrics port {port} on `{host}`: {getattr(exc, 'strerror', None) or exc}; set another"
            " FARWATCH_METRICS_PORT or FARWATCH_METRICS_HOST"
        ) from exc
    Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # No other process may share the port unseen.
    allow_reuse_port = False


class _Answers(BaseHTTPRequestHandler):
    timeout = REQUEST_S
    server_version = "farwatch"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
        elif probe := _PROBES.get(path):
            why_not, more = probe()
            status = HTTPStatus.SERVICE_UNAVAILABLE if why_not else HTTPStatus.OK
            body = msgspec.json.encode({"ok": not why_not, "why": why_not or "", **more})
            self._answer(status, body + b"\n", "application/json")
        else:
            known = ", ".join(["/metrics", *_PROBES])
            self._answer(HTTPStatus.NOT_FOUND, f"known are {known}\n".encode(), "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the class)
        """Say nothing: probes come every few seconds."""


_Found = tuple[str | None, Mapping[str, Any]]
"""Why not, None = yes; what else there is to say."""


def _ready() -> _Found:
    sides = {name: side.state for name, side in sorted(far_sides().items())}
    return VITALS.not_ready(), {"far_sides": sides, **(VITALS.loaded or {})}


_PROBES: Final[Mapping[str, Callable[[], _Found]]] = {
    "/healthz": lambda: (VITALS.stalled(), {}),
    "/livez": lambda: (VITALS.hung(), {}),
    "/readyz": _ready,
}
