"""`farwatch alerts`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from connectors.contract import SettingsError
from connectors.registry import masked
from flows.settings import Settings
from scripts.exits import err, exits

alerts_app: Final = typer.Typer(help="Alarms and commands on them.", no_args_is_help=True)

_Alarm = Annotated[str, typer.Argument(metavar="ALARM", help="Id of the alarm, or its beginning.")]
_From = Annotated[
    str | None,
    typer.Option("--from", help="URL: sqlite:PATH or postgresql://; else of FARWATCH_RESULTS."),
]
_To = Annotated[
    str | None,
    typer.Option("--to", help="URL: amqp://, kafka:// or file:PATH; else FARWATCH_COMMANDS."),
]
_Vehicle = Annotated[
    str | None, typer.Option(help="Its vehicle, so that the alarm need not be looked up.")
]
_Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
_At = Annotated[str | None, typer.Option(help="When it counts from, RFC 3339; now if not given.")]
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.")]


@alerts_app.command("list")
@exits
def list_alarms(  # noqa: PLR0913 (the options of the command)
    *,
    from_: _From = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    severity: Annotated[str | None, typer.Option(help="Only those of this severity.")] = None,
    vehicle: Annotated[str | None, typer.Option(help="Only those of this vehicle.")] = None,
    zone: Annotated[str | None, typer.Option(help="Only those in this zone.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Those that are normal again, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON object an alarm, a line.")] = False,
    config: _Config = None,
) -> None:
    """List the alarms that are not normal."""
    from scripts import alerts  # noqa: PLC0415 (slow imports, only where needed)

    url = from_ or alerts.store_of(Settings.load(config))
    chosen = alerts.Chosen(state, severity, vehicle, zone, all_)
    alerts.show_alarms(url, chosen, as_json=json)


@alerts_app.command("ack")
@exits
def acknowledge(
    alarm: _Alarm,
    *,
    to: _To = None,
    from_: _From = None,
    vehicle: _Vehicle = None,
    reason: _Reason = "",
    at: _At = None,
) -> None:
    """Acknowledge an alarm."""
    _send(alarm, "acknowledge", to, from_, vehicle, reason=reason, at=at)


@alerts_app.command("shelve")
@exits
def shelve(  # noqa: PLR0913 (the options of the command)
    alarm: _Alarm,
    *,
    for_: Annotated[str | None, typer.Option("--for", help="How long: 30m, 8h, 1d.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, RFC 3339.")] = None,
    to: _To = None,
    from_: _From = None,
    vehicle: _Vehicle = None,
    reason: _Reason = "",
    at: _At = None,
) -> None:
    """Put an alarm aside, and those that its rule raises for the vehicle there, for a time."""
    if (for_ is None) == (until is None):
        raise SettingsError("say how long to shelve: give one of --for and --until")
    given = {"reason": reason, "at": at, "for_": for_, "until": until}
    _send(alarm, "shelve", to, from_, vehicle, **given)


@alerts_app.command("unshelve")
@exits
def unshelve(
    alarm: _Alarm,
    *,
    to: _To = None,
    from_: _From = None,
    vehicle: _Vehicle = None,
    reason: _Reason = "",
    at: _At = None,
) -> None:
    """Take a shelved alarm back."""
    _send(alarm, "unshelve", to, from_, vehicle, reason=reason, at=at)


@alerts_app.command("clear")
@exits
def clear(
    alarm: _Alarm,
    *,
    to: _To = None,
    from_: _From = None,
    vehicle: _Vehicle = None,
    reason: _Reason = "",
    at: _At = None,
) -> None:
    """Reset a latched alarm whose condition no longer holds."""
    _send(alarm, "clear", to, from_, vehicle, reason=reason, at=at)


@alerts_app.command("explain")
@exits
def explain(  # noqa: PLR0913 (the options of the command)
    alarm: _Alarm,
    *,
    from_: _From = None,
    telemetry: Annotated[str | None, typer.Option(help="URL of the telemetry.")] = None,
    zones: Annotated[str | None, typer.Option(help="URL of the zones.")] = None,
    rules: Annotated[str | None, typer.Option(help="URL of the rules.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Format of telemetry.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: _Config = None,
) -> None:
    """Recompute an alarm from telemetry; status 1 where that gives another answer."""
    from scripts import alerts  # noqa: PLC0415 (slow imports, only where needed)
    from scripts.explain import explain  # noqa: PLC0415

    settings = Settings.load(config, telemetry=telemetry, zones=zones, rules=rules, format=format_)
    if not explain(alarm, from_ or alerts.store_of(settings), settings, as_json=json):
        raise typer.Exit(1)


def _send(
    alarm: str,
    action: str,
    to: str | None,
    source: str | None,
    vehicle: str | None,
    **given: str | None,
) -> None:
    from scripts import alerts  # noqa: PLC0415 (slow imports, only where needed)

    settings = Settings.load()
    if not (to := to or settings.commands):
        raise SettingsError("nowhere to send commands; give --to or set FARWATCH_COMMANDS")
    store = "" if vehicle else source or alerts.store_of(settings)
    command = alerts.send_command(alarm, alerts.Given(action, **given), to, store, vehicle)  # type: ignore[arg-type]
    err.print(f"{action} {command.alarm_id} of {command.vehicle_id} sent to {masked(to)}")
