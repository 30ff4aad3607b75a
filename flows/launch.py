"""The launcher: a recovery folder that fits, sub-second epochs, errors of one line."""

import gc
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
from connectors.paths import check_folder
from connectors.registry import masked
from flows.cluster import Cluster
from flows.definitions import Definitions
from flows.probes import probes
from flows.settings import Settings
from flows.state_format import state_format
from flows.steps.dead_letter import DeadLetterLimitError
from flows.steps.drain import Drained
from flows.tracing import start_tracing
from flows.uncommitted import OURS_ALONE, hold_store
from rules.registry import Registry

MARKER: Final = "farwatch.json"
_PANIC: Final = "PanicException"
"""What the engine dies of when it loses a process of its cluster; it exports no such class."""
_ALLOCATED_AT_LEAST: Final = 10_000
"""So many more objects may be alive before the garbage collector looks for cycles among them."""
JOURNAL: Final = "journal"
"""Folder of the journal, in that of the recovery store."""
TRIALS: Final = "trials"
"""Folder of what was handed out and not committed yet, in that of the recovery store."""


class FlowError(Exception):
    """The flow failed while running; the message is one line."""


class ClusterLostError(FlowError):
    """Another process of the cluster ended, and this one with it."""


def launch(
    flow: Dataflow,
    settings: Settings,
    recovery: RecoveryConfig | None,
    cluster: Cluster | None = None,
) -> None:
    """Run the flow in this process until its input ends; ``cluster`` where it is one of several.

    Raises:
        SettingsError: the set-up cannot work.
        FlowError: a far side failed, another process of the cluster ended, or the dead-letter
            limit stopped the flow.
        Drained: it was drained.
    """
    start_tracing(settings, flow.flow_id)
    process = cluster.process if cluster else 0
    held, answering = _held(settings.recovery, process), probes(settings, process)
    with held, answering, _engine_silenced(), _translated(cluster), _loaded_for_good():
        cli_main(
            flow,
            workers_per_process=1,
            process_id=cluster.process if cluster else None,
            addresses=list(cluster.addresses) if cluster else None,
            epoch_interval=timedelta(seconds=settings.epoch_s),
            recovery_config=recovery,
        )


@contextmanager
def _loaded_for_good() -> Iterator[None]:
    """Spares the garbage collector what is loaded by now: zones, rules, the programs themselves.

    They stay as long as the flow runs, and a look at all of it, which comes now and then, holds up
    the records that come meanwhile: 60 ms with 500 zones, seconds with 50,000. Records leave no
    cycles behind: to look for some at each 700 objects more took 2 % of a run.
    """
    gc.freeze()
    first, *others = gc.get_threshold()
    if first:
        gc.set_threshold(max(first, _ALLOCATED_AT_LEAST), *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
        gc.unfreeze()


@contextmanager
def _held(recovery: Path | None, process: int) -> Iterator[None]:
    if recovery is None:
        yield
        return
    lock = hold_store(recovery, process)
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
    belongs = _belongs(flow_id, settings)
    try:
        _claim(folder, belongs)
        definitions = Definitions(folder)
        definitions.refuse_broken(registry)
        definitions.note(registry)
    except OSError as exc:
        raise SettingsError(
            f"recovery folder `{folder}`: {exc.strerror}; name another with --recovery"
        ) from exc
    return RecoveryConfig(str(folder), timedelta(0))


def check_recovery(flow_id: str, settings: Settings, registry: Registry) -> None:
    """Do nothing if the recovery folder fits or can be made; raises as ``open_recovery``."""
    folder = settings.recovery
    if folder is None:
        return
    if (folder / MARKER).is_file():
        _refuse_others(folder, _belongs(flow_id, settings))
        Definitions(folder).refuse_broken(registry)
        return
    check_folder(f"recovery folder `{folder}`", folder.parent)
    if folder.exists() and any(folder.iterdir()):
        raise _holds_something_else(folder)


def _holds_something_else(folder: Path) -> SettingsError:
    return SettingsError(
        f"recovery folder `{folder}`: holds something else; name an empty or a new folder"
    )


def _belongs(flow_id: str, settings: Settings) -> dict[str, object]:
    """What a recovery folder is for: with other settings its state would not fit."""
    belongs = {
        "flow": flow_id,
        "telemetry": masked(settings.telemetry),
        "format": settings.format,
        "results": [masked(url) for url in settings.results],
        "key_groups": settings.key_groups,
        "analytics": settings.analytics,
        "hazard": list(settings.hazard) or None,
        "zones": masked(settings.zones),
        "rules": masked(settings.rules),
        "report": settings.report is not None,
        "state": state_format(settings.telemetry),
    }
    if settings.commands:
        belongs["commands"] = masked(settings.commands)
    if settings.triggers:
        belongs["triggers"] = masked(settings.triggers)
    return belongs


def _claim(folder: Path, belongs: dict[str, object]) -> None:
    if (folder / MARKER).is_file():
        _refuse_others(folder, belongs)
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise _holds_something_else(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside and moved into place, so that a kill leaves a whole folder or none.
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
        new = Path(made, folder.name)
        new.mkdir(OURS_ALONE)
        init_db_dir(new, 1)
        Path(new, MARKER).write_text(json.dumps(belongs, indent=1))
        try:
            new.rename(folder)
        except OSError:
            # Another process of the cluster was first.
            if not (folder / MARKER).is_file():
                raise
            _refuse_others(folder, belongs)


def _refuse_others(folder: Path, belongs: dict[str, object]) -> None:
    found = _read_marker(folder / MARKER)
    names = belongs.keys() | found.keys()
    differ = sorted(name for name in names if found.get(name) != belongs.get(name))
    if "state" in differ:
        raise SettingsError(
            f"recovery folder `{folder}`: its state was written by a farwatch that this one cannot"
            " read after; go back to that, or start with a new folder: see deploy/README.md,"
            " Upgrade"
        )
    if differ:
        raise SettingsError(
            f"recovery folder `{folder}`: made with other {', '.join(differ)}; use the same"
            " settings or a new folder"
        )


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
        except (SettingsError, FlowError, Drained, KeyboardInterrupt):
            raise
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def _translated(cluster: Cluster | None) -> Iterator[None]:
    """The engine wraps what a step raises in errors of its own: tell the cause."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        if _caused_by(exc, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        cause = _caused_by(exc, SettingsError, ConnectorError, DeadLetterLimitError, Drained)
        if cause is None:
            if cluster is not None and type(exc).__name__ == _PANIC:
                raise ClusterLostError(
                    f"process {cluster.process}: another of its cluster ended"
                ) from exc
            raise
        if isinstance(cause, SettingsError | Drained):
            raise cause from None
        raise FlowError(str(cause)) from exc


def _caused_by(exc: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    link: BaseException | None = exc
    while link is not None and not isinstance(link, kinds):
        link = link.__cause__ or link.__context__
    return link
