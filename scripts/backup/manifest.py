"""What a backup says of itself, and whether it is whole."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from connectors.contract import SettingsError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
RECOVERY: Final = "recovery"
PLACES: Final = "places"


@dataclass(frozen=True, slots=True)
class Place:
    """A place of results, zones or rules. ``folder``: in the backup, empty = none was made.

    ``what``: `results 0`, `zones`, ...; ``why_not`` says why there is no copy.
    """

    what: str
    url: str
    folder: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``made``: RFC 3339; ``held_s``: for how long the flow could not commit; files: SHA-256."""

    farwatch: str
    made: str
    held_s: float
    places: tuple[Place, ...]
    files: dict[str, str]
    format: int = FORMAT


def digests(folder: Path) -> dict[str, str]:
    """Path in the folder -> SHA-256, of every file but the manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, last of all."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are all as they were.

    Raises:
        SettingsError: it is no backup, of another format, or not whole.
    """
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if found["format"] != FORMAT:
            raise SettingsError(
                f"backup `{folder}`: has format {found['format']}, this farwatch reads {FORMAT};"
                f" restore it with farwatch {found['farwatch']}"
            )
        places = tuple(Place(**place) for place in found.pop("places"))
        manifest = Manifest(places=places, **found)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, SettingsError):
            raise
        raise SettingsError(f"`{folder}`: is no whole backup ({MANIFEST}: {exc})") from exc
    now = digests(folder)
    if differ := sorted(
        name for name in now.keys() | manifest.files if _differ(name, now, manifest)
    ):
        raise SettingsError(
            f"backup `{folder}`: {len(differ)} files are not as they were, such as `{differ[0]}`;"
            " take another backup"
        )
    return manifest


def _differ(name: str, now: dict[str, str], manifest: Manifest) -> bool:
    return now.get(name) != manifest.files.get(name)
