"""`scripts/services`: starts, stops and shows the servers for development and tests."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypedDict

import typer
from rich.console import Console

from scripts.servers import SERVERS
from scripts.servers.contract import Server
from scripts.servers.errors import ServerError
from scripts.servers.influxdb import InfluxdbServer
from scripts.servers.packages import can_install, install

app = typer.Typer(
    name="scripts/services",
    help=(
        "Servers for development and tests: by Docker Compose where an engine runs, else from this "
        "machine's packages (Debian's, and Kafka from Maven Central).\n\nThey listen on the "
        "loopback address only; data and logs lie in .services/. FARWATCH_TEST_<NAME>=URL makes "
        "tests use a server of your own."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class _State(TypedDict):
    up: bool
    url: str
    addresses: dict[str, str]
    log: str
    missing: list[str]


Names = Annotated[list[str] | None, typer.Argument(help=f"Among {', '.join(SERVERS)}; else all.")]


@app.command()
def up(
    names: Names = None,
    *,
    optional: Annotated[
        bool, typer.Option("--optional", help="Install nothing; leave out what is not here.")
    ] = False,
) -> None:
    """Start servers and wait until they answer; those it started are named on standard output.

    Missing packages are installed where this is root on Debian and they are not optional.
    """
    servers = _chosen(names)
    failures = _install_missing(servers, allowed=can_install() and not optional)
    startable = [server for server in servers if server.name not in failures]
    with ThreadPoolExecutor(len(SERVERS)) as together:
        for server, failure in zip(startable, together.map(_start, startable), strict=True):
            if failure:
                failures[server.name] = failure
    for failure in failures.values():
        err.print(f"left out: {failure}" if optional else failure)
    if failures and not optional:
        raise typer.Exit(1)


@app.command()
def down(
    names: Names = None,
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what they stored too.")] = False,
) -> None:
    """Stop servers; what they stored stays for the next start."""
    servers = _chosen(names)
    with ThreadPoolExecutor(len(SERVERS)) as together:
        list(together.map(Server.stop, servers))
    for server in servers:
        server.forget_ports()
        if delete:
            server.delete()


@app.command()
def build_influxdb() -> None:
    """Build InfluxDB 1.8 with Go (some minutes); `up influxdb` runs it from then on."""
    server = SERVERS[InfluxdbServer.name]
    if not isinstance(server, InfluxdbServer):
        err.print("influxdb: its image is 1.8 already, nothing to build")
        return
    try:
        server.build()
    except ServerError as exc:
        err.print(str(exc))
        raise typer.Exit(1) from exc


@app.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False
) -> None:
    """Show which servers are up, and where."""
    with ThreadPoolExecutor(len(SERVERS)) as together:
        shown = dict(zip(SERVERS, together.map(_state, SERVERS.values()), strict=True))
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, state in shown.items():
        missing = f"  (install {' '.join(state['missing'])})" if state["missing"] else ""
        out.print(f"{name:<10}  {'up' if state['up'] else 'down':<4}  {state['url']}{missing}")
        for what, address in state["addresses"].items():
            out.print(f"{'':<10}  {'':<4}  {address}  ({what})")


def _chosen(names: Sequence[str] | None) -> list[Server]:
    unknown = sorted(set(names or ()) - SERVERS.keys())
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not among {', '.join(SERVERS)}")
    return [server for name, server in SERVERS.items() if not names or name in names]


def _install_missing(servers: Sequence[Server], *, allowed: bool) -> dict[str, str]:
    """Install what they lack; server -> why it cannot be started."""
    lacking = {server.name: server.missing for server in servers if server.missing}
    if not lacking:
        return {}
    if not allowed:
        return {
            name: f"{name}: install {' '.join(packages)} first"
            for name, packages in lacking.items()
        }
    wanted = sorted({package for packages in lacking.values() for package in packages})
    err.print(f"installing {' '.join(wanted)}")
    try:
        install(wanted)
    except ServerError as exc:
        return dict.fromkeys(lacking, str(exc))
    return {}


def _start(server: Server) -> str | None:
    """Start a server; why it failed, or None."""
    try:
        if server.start():
            typer.echo(server.name)
    except ServerError as exc:
        return str(exc)
    return None


def _state(server: Server) -> _State:
    return _State(
        up=server.ready(),
        url=server.url,
        addresses=dict(server.addresses),
        log=str(server.log),
        missing=server.missing,
    )


if __name__ == "__main__":
    app(prog_name="scripts/services")
