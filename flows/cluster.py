"""Which processes run a flow together, as Bytewax and its Helm chart tell it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.contract import SettingsError

VARIABLES: Final = (
    "BYTEWAX_PROCESS_ID",
    "BYTEWAX_POD_NAME",
    "BYTEWAX_STATEFULSET_NAME",
    "BYTEWAX_ADDRESSES",
    "BYTEWAX_HOSTFILE_PATH",
)
"""Variables of ``python -m bytewax.run`` that say which process this is, and of which cluster."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """All processes of a flow, ``HOST:PORT`` each, and which of them this one is, from 0."""

    process: int
    addresses: tuple[str, ...]


def cluster_of(env: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that the variables name, None where they name none; as ``bytewax.run`` reads.

    Raises:
        SettingsError: they do not fit together.
    """
    process = _process(env)
    if process is None:
        return None
    addresses = _addresses(env)
    if not 0 <= process < len(addresses):
        raise SettingsError(
            f"process {process} of {len(addresses)} addresses: there is none for it; make"
            " BYTEWAX_ADDRESSES, or the file of BYTEWAX_HOSTFILE_PATH, name one a process"
        )
    return Cluster(process, addresses)


def _process(env: Mapping[str, str]) -> int | None:
    if number := env.get("BYTEWAX_PROCESS_ID"):
        return _number(number, f"BYTEWAX_PROCESS_ID `{number}`")
    pod, stateful_set = env.get("BYTEWAX_POD_NAME"), env.get("BYTEWAX_STATEFULSET_NAME")
    if pod is None or stateful_set is None:
        return None
    return _number(
        pod.removeprefix(f"{stateful_set}-"),
        f"BYTEWAX_POD_NAME `{pod}` of BYTEWAX_STATEFULSET_NAME `{stateful_set}`",
    )


def _number(text: str, what: str) -> int:
    if not text.isdecimal():
        raise SettingsError(f"{what}: gives no number of a process; write one from 0 on")
    return int(text)


def _addresses(env: Mapping[str, str]) -> tuple[str, ...]:
    if text := env.get("BYTEWAX_ADDRESSES"):
        return tuple(text.split(";"))
    hosts = env.get("BYTEWAX_HOSTFILE_PATH")
    if not hosts:
        raise SettingsError(
            "not set: BYTEWAX_ADDRESSES or BYTEWAX_HOSTFILE_PATH; a process of a cluster needs"
            " the addresses of all"
        )
    try:
        lines = Path(hosts).read_text().splitlines()
    except OSError as exc:
        raise SettingsError(f"BYTEWAX_HOSTFILE_PATH `{hosts}`: {exc.strerror}; write it") from exc
    return tuple(line.strip() for line in lines if line.strip())
