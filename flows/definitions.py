"""The zones and rules that states were judged by, kept in the folder of the recovery store.

A state names its registry by fingerprint. After a restart what it says is held against what the
zones and rules say now, so those of then must be known, even where their document has changed.
"""

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from connectors.contract import Definition, SettingsError
from connectors.definitions import Kind
from connectors.documents import written
from rules.registry import Registry, broken_promise
from rules.rulesets import load_rules
from schemas.zone_file import load_zones

DEFINITIONS: Final = "definitions.json"
"""What each version of a zone or rule says, as a hash: those that were taken last."""
EDITIONS: Final = "editions"
"""Folder of whole zones and rules, a file a fingerprint."""
KEPT_S: Final = 30 * 86_400
"""How long an edition is kept after the next has taken its place. Every group of a flow that reads
anything has taken the next one by then."""


class Definitions:
    """Zones and rules noted in a folder; all processes of a cluster note what they take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, registry: Registry) -> None:
        """Keep a registry, before any state is judged by it; raises OSError."""
        editions = self.folder / EDITIONS
        editions.mkdir(exist_ok=True)
        kept = {kind: [one.body for one in found] for kind, found in bodies(registry).items()}
        _write(editions / f"{registry.fingerprint}.json", kept)
        _write(self.folder / DEFINITIONS, registry.contents())
        _forget(editions)

    def refuse_broken(self, registry: Registry) -> None:
        """Raises SettingsError where a version says something else than when it was noted."""
        noted = self.folder / DEFINITIONS
        if not noted.is_file():
            return
        if broken := broken_promise(json.loads(noted.read_text()), registry.contents()):
            raise SettingsError(
                f"recovery folder `{self.folder}`: {broken}, or start with a new folder"
            )

    def edition(self, fingerprint: str) -> Registry | None:
        """The registry that was noted under a fingerprint, None where it is not there."""
        path = self.folder / EDITIONS / f"{fingerprint}.json"
        try:
            kept: Mapping[Kind, list[dict[str, object]]] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        zones = load_zones(written(kept["zones"], "zones"), str(path)) if kept["zones"] else ()
        rules = (
            load_rules(written(kept["rules"], "rules"), str(path)).rules if kept["rules"] else ()
        )
        return Registry.of(zones, rules)


def bodies(registry: Registry) -> dict[Kind, Sequence[Definition]]:
    """Zones and rules as a store keeps them."""
    zones = [
        Definition(
            id=zone.id,
            version=zone.version,
            body=zone.feature(),
            effective_from_us=zone.effective_from_us,
            effective_to_us=zone.effective_to_us,
        )
        for zone in registry.fences.zones
    ]
    rules = [
        Definition(
            id=compiled.rule.id,
            version=compiled.rule.version,
            body=compiled.rule.model_dump(mode="json", exclude_none=True),
            effective_from_us=compiled.rule.effective_from_us,
            effective_to_us=compiled.rule.effective_to_us,
        )
        for compiled in registry.book.rules
    ]
    return {"zones": zones, "rules": rules}


def _write(path: Path, content: object) -> None:
    """Whole or not at all, and on the disk before any state that needs it."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    with new.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _forget(editions: Path) -> None:
    """Delete what was replaced long ago."""
    # Another process of the cluster may be first.
    with suppress(FileNotFoundError):
        by_age = sorted((path.stat().st_mtime, path) for path in editions.glob("*.json"))
        for (_, path), (replaced_s, _) in pairwise(by_age):
            if time.time() - replaced_s > KEPT_S:
                path.unlink()
