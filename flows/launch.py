"""The launcher: a recovery folder that fits, sub-second epochs, errors of one line."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Final

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from connectors.contract import ConnectorError, SettingsError
from connectors.registry import masked
from flows.settings import Settings
from flows.steps.dead_letter import DeadLetterLimitError
from flows.uncommitted import hold_store
from rules.registry import Registry, broken_promise

MARKER: Final = "farwatch.json"
DEFINITIONS: Final = "definitions.json"
JOURNAL: Final = "journal"
"""Folder of the journal, in that of the recovery store."""


class FlowError(Exception):
    """The flow failed while running; the message is one line."""


def launch(flow: Dataflow, settings: Settings, recovery: RecoveryConfig | None) -> None:
    """Run the flow in this process until its input ends.

    Raises:
        SettingsError: the set-up cannot work.
        FlowError: a far side failed, or the dead-letter limit stopped the flow.
    """
    with _held(settings.recovery), _engine_silenced(), _translated():
        cli_main(
            flow,
            workers_per_process=1,
            process_id=None,
            addresses=None,
            epoch_interval=timedelta(seconds=settings.epoch_s),
            recovery_config=recovery,
        )


@contextmanager
def _held(recovery: Path | None) -> Iterator[None]:
    if recovery is None:
        yield
        return
    lock = hold_store(recovery)
    try:
        yield
    finally:
        os.close(lock)


def open_recovery(flow_id: str, settings: Settings, registry: Registry) -> RecoveryConfig | None:
    """The recovery store in the folder of the settings, made where absent.

    Raises:
        SettingsError: the folder is not ours or belongs to a flow with other settings.
    """
    folder = settings.recovery
    if folder is None:
        return None
    belongs = {
        "flow": flow_id,
        "telemetry": masked(settings.telemetry),
        "format": settings.format,
        "results": [masked(url) for url in settings.results],
        "key_groups": settings.key_groups,
        "analytics": settings.analytics,
        "zones": masked(settings.zones),
        "rules": masked(settings.rules),
        "report": settings.report is not None,
    }
    try:
        _claim(folder, belongs)
        _refuse_broken(folder, registry)
        note_definitions(folder, registry)
    except OSError as exc:
        raise SettingsError(
            f"recovery folder `{folder}`: {exc.strerror}; name another with --recovery"
        ) from exc
    return RecoveryConfig(str(folder), timedelta(0))


def note_definitions(folder: Path, registry: Registry) -> None:
    """Note in a recovery folder which zones and rules its state was judged by."""
    new = folder / f"{DEFINITIONS}.new"
    new.write_text(json.dumps(registry.contents()))
    new.replace(folder / DEFINITIONS)


def _refuse_broken(folder: Path, registry: Registry) -> None:
    noted = folder / DEFINITIONS
    if not noted.is_file():
        return
    if broken := broken_promise(json.loads(noted.read_text()), registry.contents()):
        raise SettingsError(f"recovery folder `{folder}`: {broken}, or start with a new folder")


def _claim(folder: Path, belongs: dict[str, object]) -> None:
    marker = folder / MARKER
    if marker.is_file():
        found = _read_marker(marker)
        differ = sorted(name for name in belongs if found.get(name) != belongs[name])
        if differ:
            raise SettingsError(
                f"recovery folder `{folder}`: made with other {', '.join(differ)}; use the same"
                " settings or a new folder"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise SettingsError(
            f"recovery folder `{folder}`: holds something else; name an empty or a new folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside and moved into place, so that a kill leaves a whole folder or none.
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
        new = Path(made, folder.name)
        new.mkdir()
        init_db_dir(new, 1)
        Path(new, MARKER).write_text(json.dumps(belongs, indent=1))
        new.rename(folder)


def _read_marker(marker: Path) -> dict[str, object]:
    """What the folder belongs to; the store itself must at least look whole."""
    remedy = "restore it or start with a new folder"
    try:
        found: dict[str, object] = json.loads(marker.read_text())
    except ValueError as exc:
        raise SettingsError(
            f"recovery folder `{marker.parent}`: {marker.name} is torn; {remedy}"
        ) from exc
    store = marker.parent / "part-0.sqlite3"
    if not store.is_file() or store.read_bytes()[:16] != b"SQLite format 3\0":
        raise SettingsError(
            f"recovery folder `{marker.parent}`: {store.name} is not whole; {remedy}"
        )
    return found


@contextmanager
def _engine_silenced() -> Iterator[None]:
    """Keep back what the engine writes to standard error when a step raises.

    It prints a panic of its own before the exception reaches us. An error we know is told in one
    line instead; with one we do not know, what it wrote is shown. What Python code writes (a
    progress bar, the log) goes to standard error as ever.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with TemporaryFile() as kept, os.fdopen(os.dup(2), "w", buffering=1) as ours:
        os.dup2(kept.fileno(), 2)
        try:
            with redirect_stderr(ours):
                yield
        except (SettingsError, FlowError, KeyboardInterrupt):
            raise
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def _translated() -> Iterator[None]:
    """The engine wraps what a step raises in errors of its own: tell the cause."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        if _caused_by(exc, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        cause = _caused_by(exc, SettingsError, ConnectorError, DeadLetterLimitError)
        if cause is None:
            raise
        if isinstance(cause, SettingsError):
            raise cause from None
        raise FlowError(str(cause)) from exc


def _caused_by(exc: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    link: BaseException | None = exc
    while link is not None and not isinstance(link, kinds):
        link = link.__cause__ or link.__context__
    return link
