"""`farwatch probe`: ask the processes of a flow how they are, for containers without a client."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Final

from connectors.contract import SettingsError, UnavailableError
from flows.settings import Settings

PROBES: Final = ("healthz", "livez", "readyz")
ANSWER_S: Final = 5.0


def ask_probe(name: str, settings: Settings) -> None:
    """Print what the probe says in each of FARWATCH_PROCESSES, a line each.

    Raises:
        SettingsError: there is no such probe, or no port is set.
        UnavailableError: some do not answer, or say no; a line each.
    """
    if name not in PROBES:
        raise SettingsError(f"`{name}`: no such probe; give one of {', '.join(PROBES)}")
    settings.require("metrics_port")
    assert settings.metrics_port is not None  # noqa: S101 (for mypy: it is required)
    # A pod of a cluster is one process, whatever the settings of all say.
    count = 1 if os.environ.get("BYTEWAX_POD_NAME") else settings.processes
    ports = range(settings.metrics_port, settings.metrics_port + count)
    with ThreadPoolExecutor(len(ports)) as threads:
        answers = list(threads.map(lambda port: _ask(name, settings.metrics_host, port), ports))
    if wrong := [said for well, said in answers if not well]:
        raise UnavailableError("\n".join(wrong))
    sys.stdout.writelines(f"{said}\n" for _, said in answers)


def _ask(name: str, address: str, port: int) -> tuple[bool, str]:
    """Whether the answer is yes, and what is said."""
    at = f"{address}:{port}/{name}"
    # An address that is listened on everywhere is reached here, too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    connection = HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException) as exc:
        return False, f"{at}: no answer ({exc}); see that the flow runs"
    finally:
        connection.close()
    return (True, said) if answer.status == 200 else (False, f"{at}: {said}")
