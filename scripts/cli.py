"""The `farwatch` command."""

from pathlib import Path
from typing import Annotated

import typer

from connectors.readers import FORMATS
from connectors.registry import masked
from flows.settings import Settings
from scripts.alerts_commands import alerts_app
from scripts.backup_commands import backup_app
from scripts.exits import ended_by_signals, err, exits
from scripts.registry_commands import rules_app, triggers_app, zones_app
from scripts.terrain import terrain_app

app = typer.Typer(
    name="farwatch",
    help="Watch vehicles nobody can reach: telemetry in, zone events and alarms out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(zones_app, name="zones")
app.add_typer(rules_app, name="rules")
app.add_typer(triggers_app, name="triggers")
app.add_typer(backup_app, name="backup")
app.add_typer(alerts_app, name="alerts")
app.add_typer(terrain_app, name="terrain")
letters_app = typer.Typer(help="Rejected records.", no_args_is_help=True)
app.add_typer(letters_app, name="dead-letters")

_FORMAT_HELP = "Format of telemetry files: " + "; ".join(
    f"{name} ({what})" for name, what in FORMATS.items()
)


def main() -> None:
    """Run the command; exit status 0 done, 1 failed while running, 2 wrong input or settings."""
    app()


@app.command()
@exits
def watch(  # noqa: PLR0913 (the options of the command)
    *,
    telemetry: Annotated[str | None, typer.Option(help="URL of the telemetry, file:PATH")] = None,
    zones: Annotated[str | None, typer.Option(help="URL of the zones, file:PATH (GeoJSON)")] = None,
    rules: Annotated[str | None, typer.Option(help="URL of the rules, file:PATH (YAML)")] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(help="URL of results, may be repeated: dir:PATH, sqlite:PATH, stdout:"),
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    basemap: Annotated[
        Path | None, typer.Option(help="GeoJSON of land or coastlines for the report's map.")
    ] = None,
    relief: Annotated[
        Path | None,
        typer.Option(help="Elevation grid under the report's map: JSON with a .bin beside it."),
    ] = None,
    recovery: Annotated[
        Path | None, typer.Option(help="Folder of the recovery store: makes the run resumable.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with more settings.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar, no table.")] = False,
) -> None:
    """Hold telemetry against zones and rules; write zone events and alarms."""
    from scripts.report.from_store import (  # noqa: PLC0415 (slow imports, only where needed)
        read_background,
    )
    from scripts.watch import run_watch  # noqa: PLC0415

    settings = Settings.load(
        config,
        telemetry=telemetry,
        zones=zones,
        rules=rules,
        results=tuple(results or ()),
        format=format_,
        report=report,
        recovery=recovery,
    )
    run_watch(settings, background=read_background(basemap, relief), quiet=quiet)


@app.command()
@exits
def run(
    flow: Annotated[
        str,
        typer.Argument(
            help="watch, telemetry, geofencing, proximity, compliance, hazard, analytics, planning,"
            " alerting or registry.",
        ),
    ],
    *,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    processes: Annotated[
        int | None, typer.Option(help="So many processes on this machine, restarted together.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Try every far side, print a table, run nothing.")
    ] = False,
) -> None:
    """Run one flow as a service; settings from FARWATCH_* and --config.

    SIGTERM and Ctrl-C drain it: what was read is committed, then it ends with status 0.
    """
    with ended_by_signals():
        from scripts.run import run_flow  # noqa: PLC0415 (slow imports, only where needed)

        settings = Settings.load(config, processes=processes)
    if check:
        from scripts.far_sides import check_far_sides  # noqa: PLC0415

        raise typer.Exit(check_far_sides(flow, settings))
    run_flow(flow, settings, config)


@app.command()
@exits
def tables(
    to: Annotated[str, typer.Option("--to", help="URL of the store: postgresql://, sqlite:PATH")],
) -> None:
    """Make the tables of results, or bring them up to date, so that flows need no right to."""
    from scripts.tables import make_tables  # noqa: PLC0415 (slow imports, only where needed)

    make_tables(to)
    err.print(f"{masked(to)}: the tables are there")


@app.command()
@exits
def probe(
    name: Annotated[str, typer.Argument(help="healthz, livez or readyz.")] = "healthz",
    *,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Ask a running flow at FARWATCH_METRICS_PORT how it is; exit status 0 well, 1 not well."""
    from scripts.probe import ask_probe  # noqa: PLC0415 (not needed elsewhere)

    ask_probe(name, Settings.load(config))


@app.command()
@exits
def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that it writes.")] = Path(
        "farwatch-demo"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Folder of real files to run on instead; see README.md.")
    ] = None,
    basemap: Annotated[
        Path | None, typer.Option(help="GeoJSON of land or coastlines for the report's map.")
    ] = None,
) -> None:
    """Run the shipped scenario (or real files) through the watch and write a report."""
    from scripts.demonstration import run_demo  # noqa: PLC0415

    run_demo(out, data, basemap)


@app.command()
@exits
def publish(  # noqa: PLR0913 (the options of the command)
    file: Annotated[Path, typer.Argument(help="File of telemetry.")],
    *,
    to: Annotated[str, typer.Option(help="URL: amqp://, kafka:// or file:PATH")],
    format_: Annotated[str, typer.Option("--format", help=_FORMAT_HELP)] = "ndjson",
    rate: Annotated[float | None, typer.Option(help="Records a second.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Times as fast as it happened; 1 is real time.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Records of a vehicle in one message, at most.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar, no summary.")] = False,
) -> None:
    """Publish the records of a file; at full speed unless --rate or --speed is given."""
    from scripts.publish import Pace, run_publish  # noqa: PLC0415

    pace = Pace(rate=rate, speed=speed)
    try:
        run_publish(file, to, format_=format_, pace=pace, batch=batch, quiet=quiet)
    except KeyboardInterrupt as exc:
        err.print("farwatch: interrupted; what was published until then is confirmed")
        raise typer.Exit(130) from exc


@app.command()
@exits
def subscribe(
    topic: Annotated[str, typer.Argument(help="Topic, such as critical_alerts.")],
    *,
    from_: Annotated[str, typer.Option("--from", help="URL: amqp://, kafka:// or dir:PATH")],
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="field=value, or CEL over `data` and `event`; may be repeated: all must hold.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Messages as they are, one a line.")] = False,
) -> None:
    """Print what comes on a topic until Ctrl-C; of a folder, first what is there."""
    from scripts.subscribe import run_subscribe  # noqa: PLC0415

    run_subscribe(topic, from_, filters=filter_ or (), as_json=json)


@app.command()
@exits
def status(
    vehicle: Annotated[
        str | None, typer.Argument(help="Id of a vehicle; all if not given.")
    ] = None,
    *,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="URL: sqlite:PATH, postgresql:// or redis://; else of FARWATCH_RESULTS.",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Only vehicles that are in it, or may be.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="A JSON object a vehicle, one a line.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Tell where vehicles are, in which zones, and since when."""
    from scripts.status import show_status, states_url  # noqa: PLC0415

    url = from_ or states_url(Settings.load(config))
    show_status(url, vehicle, zone, as_json=json)


@app.command("audit")
@exits
def audit(
    source: Annotated[
        str, typer.Option("--from", help="URL of the store: postgresql://..., sqlite:PATH")
    ],
    *,
    subject: Annotated[str, typer.Option(help="Only of this zone, rule or alarm.")] = "",
    by: Annotated[str, typer.Option(help="Only by this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show the latest so many.")] = 50,
) -> None:
    """Tell who changed what: versions of zones and rules, and commands on alarms."""
    from scripts.audit import show_audit  # noqa: PLC0415

    err.print(f"{show_audit(source, subject, by, limit)} entries shown")


@app.command("bench", context_settings={"ignore_unknown_options": True}, add_help_option=False)
def bench(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Measure the watch against the per-message way; `farwatch bench --help` tells more."""
    from scripts.benchmark import main as measure  # noqa: PLC0415
    from scripts.benchmark.peers.command import main as measure_peers  # noqa: PLC0415
    from scripts.benchmark.rules.command import main as measure_rules  # noqa: PLC0415
    from scripts.benchmark.services.command import main as measure_services  # noqa: PLC0415

    words, name = words or [], "farwatch bench"
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    if "--services" in words:
        words, name = [word for word in words if word != "--services"], f"{name} --services"
        command.command()(measure_services)
    elif "--peers" in words:
        words, name = [word for word in words if word != "--peers"], f"{name} --peers"
        command.command()(measure_peers)
    elif "--rules" in words:
        words, name = [word for word in words if word != "--rules"], f"{name} --rules"
        command.command()(measure_rules)
    else:
        command.command()(measure)
    command(words, prog_name=name)


_Letters = Annotated[
    str, typer.Option("--from", help="URL of results: dir:PATH, sqlite:PATH, postgresql://...")
]
_Reason = Annotated[str, typer.Option(help="Only those whose reason holds this text.")]


@letters_app.command("list")
@exits
def list_letters(
    source: _Letters,
    limit: Annotated[int, typer.Option(min=1, help="Show the latest so many.")] = 20,
    reason: _Reason = "",
) -> None:
    """Show rejected records: where each came from, why it was rejected, its bytes."""
    from scripts.dead_letters import show_dead_letters  # noqa: PLC0415

    err.print(f"{show_dead_letters(source, reason, limit)} dead letters shown")


@letters_app.command("retry")
@exits
def retry_letters(
    source: _Letters,
    to: Annotated[str, typer.Option(help="URL to publish to: file:PATH, amqp://, kafka://")],
    reason: _Reason = "",
) -> None:
    """Publish the bytes of rejected records again; the dead letters stay where they are."""
    from scripts.dead_letters import retry_dead_letters  # noqa: PLC0415

    err.print(f"{retry_dead_letters(source, to, reason)} records published to {masked(to)}")


if __name__ == "__main__":
    main()
