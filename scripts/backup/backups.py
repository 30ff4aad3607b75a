"""A backup made, and put back where there is nothing."""

import json
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from connectors.contract import SettingsError
from connectors.registry import masked
from flows.launch import MARKER
from flows.settings import Settings
from flows.store_copy import check_store, copy_store
from flows.uncommitted import OURS_ALONE
from scripts.backup.manifest import (
    PLACES,
    RECOVERY,
    Manifest,
    Place,
    digests,
    read_manifest,
    write_manifest,
)
from scripts.backup.places import copy_place, restore_place

LEFT_OUT: Final = "left out as asked for"


def create_backup(settings: Settings, folder: Path, leave_out: Collection[str] = ()) -> Manifest:
    """Copy the recovery folder first: what is told after that moment is told again, the same.

    ``leave_out``: schemes of places that something else copies.

    Raises:
        SettingsError, RefusedError: something cannot be read; nothing is left behind then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"`{folder}`: holds something; name an empty or a new folder")
    new = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(OURS_ALONE, parents=True)
    try:
        held_s = copy_store(settings.recovery, new / RECOVERY) if settings.recovery else 0.0
        places = tuple(_copied(settings, new, leave_out))
        made = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(version("farwatch"), made, held_s, places, digests(new))
        write_manifest(new, manifest)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return manifest


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every place the settings name: what it is, its URL."""
    for number, url in enumerate(settings.results):
        yield f"results {number}", url
    for what in ("zones", "rules"):
        if url := getattr(settings, what):
            yield what, url


def _copied(settings: Settings, new: Path, leave_out: Collection[str]) -> Iterator[Place]:
    folders: dict[str, Place] = {}
    for what, url in _named(settings):
        if url not in folders:
            name = f"{PLACES}/{len(folders)}"
            left_out = url.partition(":")[0] in leave_out
            why_not = LEFT_OUT if left_out else copy_place(url, new / name)
            folders[url] = Place(what, masked(url), "" if why_not else name, why_not)
        known = folders[url]
        yield Place(what, known.url, known.folder, known.why_not)


def check_backup(folder: Path) -> tuple[Manifest, int]:
    """What a backup says of itself, and how many states it holds; all of it can be read.

    Raises:
        SettingsError: it is not whole.
    """
    manifest = read_manifest(folder)
    recovery = folder / RECOVERY
    return manifest, check_store(recovery) if recovery.is_dir() else 0


def restore_backup(settings: Settings, folder: Path) -> None:
    """Put everything back, the recovery folder last: a flow starts with all of it or none.

    Raises:
        SettingsError: the backup is not whole, the settings name other places, or there is
            something already.
        RefusedError: a database says no.
    """
    manifest = read_manifest(folder)
    named = dict(_named(settings))
    kinds = {place.what: place.url.partition(":")[0] for place in manifest.places}
    now = {what: url.partition(":")[0] for what, url in named.items()}
    if kinds != now:
        raise SettingsError(
            f"backup `{folder}`: is of {_told(kinds)}; the settings name {_told(now)}"
        )
    recovery = folder / RECOVERY
    if recovery.is_dir():
        _refuse_recovery(settings.recovery, folder)
    done: set[str] = set()
    for place in manifest.places:
        if place.folder and named[place.what] not in done:
            done.add(named[place.what])
            restore_place(named[place.what], folder / place.folder)
    if recovery.is_dir() and settings.recovery:
        _restore_recovery(settings, settings.recovery, recovery)


def _told(kinds: dict[str, str]) -> str:
    return ", ".join(f"{what} `{kind}:`" for what, kind in kinds.items())


def _refuse_recovery(target: Path | None, folder: Path) -> None:
    if target is None:
        raise SettingsError(f"backup `{folder}`: holds a recovery folder; set FARWATCH_RECOVERY")
    if target.exists() and any(target.iterdir()):
        raise SettingsError(f"`{target}`: is there; restore to where there is nothing")


def _restore_recovery(settings: Settings, target: Path, source: Path) -> None:
    """The store in its place, marked as that of these settings: places may have moved."""
    new = target.with_name(f"{target.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(source, new)
    new.chmod(OURS_ALONE)  # However the backup came here.
    marker = json.loads((new / MARKER).read_text())
    marker |= {
        "results": [masked(url) for url in settings.results],
        "zones": masked(settings.zones),
        "rules": masked(settings.rules),
    }
    (new / MARKER).write_text(json.dumps(marker, indent=1))
    if target.exists():
        target.rmdir()
    new.rename(target)
