"""`farwatch backup`."""

from pathlib import Path
from time import monotonic
from typing import Annotated, Final

import typer

from flows.settings import Settings
from scripts.exits import err, exits

backup_app: Final = typer.Typer(help="Copies to restore a flow from.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(help="Folder of the backup.")]
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.")]


@backup_app.command("create")
@exits
def create(
    folder: _Folder,
    *,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="Scheme of places that something else copies; may be repeated."),
    ] = None,
    config: _Config = None,
) -> None:
    """Copy the recovery folder, then results, zones and rules, while the flow runs or not.

    Settings are those of the flow, from FARWATCH_* and --config.
    """
    from scripts.backup.backups import create_backup  # noqa: PLC0415

    manifest = create_backup(Settings.load(config), folder, leave_out or ())
    for place in manifest.places:
        if place.why_not:
            err.print(f"not copied: {place.what} {place.url}: {place.why_not}")
    held_ms = manifest.held_s * 1e3
    err.print(f"{folder}: {len(manifest.files)} files; the flow was held for {held_ms:.0f} ms")


@backup_app.command("check")
@exits
def check(folder: _Folder) -> None:
    """See that a backup is whole and that every state in it can be read."""
    from scripts.backup.backups import check_backup  # noqa: PLC0415

    manifest, states = check_backup(folder)
    err.print(f"{folder}: of {manifest.made}, {len(manifest.files)} files, {states} states, whole")


@backup_app.command("restore")
@exits
def restore(folder: _Folder, *, config: _Config = None) -> None:
    """Put a backup back to where the settings say, where there is nothing yet."""
    from scripts.backup.backups import restore_backup  # noqa: PLC0415

    began = monotonic()
    restore_backup(Settings.load(config), folder)
    err.print(f"restored in {monotonic() - began:.1f} s; start the flow with the same settings")
