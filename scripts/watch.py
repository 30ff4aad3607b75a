"""`farwatch watch`: check the set-up, run the watch with a progress bar, say what was found."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.contract import Progress as OnProgress
from connectors.contract import SettingsError
from connectors.paths import check_folder
from connectors.registry import masked
from flows import hazard
from flows.launch import launch, open_recovery
from flows.settings import Settings
from flows.steps.results import Told
from flows.watch import watch
from flows.wiring import keep_registry, tell_slow_rules, wire
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ZONE_ENTERED, ZONE_EXITED
from schemas.topics import COMPLIANCE_VIOLATIONS, DEAD_LETTERS, GEOFENCING_EVENTS, LATE_TELEMETRY
from scripts.report.from_store import Background, write_report

REPORT_STORE = "report.sqlite"


def run_watch(settings: Settings, *, background: Background, quiet: bool) -> None:
    """Run the watch over its telemetry to the end; raises SettingsError or FlowError."""
    with ExitStack() as stack:
        extra = {}
        if settings.report:
            _check_report(settings.report)
            store = stack.enter_context(_report_store(settings))
            extra["report"] = f"sqlite:{store}"
        wiring = wire(settings, extra_results=extra)
        if not quiet:
            tell_slow_rules(settings, wiring.registry)
        recovery = open_recovery("watch", settings, wiring.registry)
        keep_registry(wiring.registry, wiring.sinks.values())
        with _progress(quiet=quiet, total=wiring.source.total_bytes) as on_progress:
            launch(watch(replace(wiring, on_progress=on_progress)), settings, recovery)
        if settings.report:
            names = ("telemetry", "zones", "rules")
            inputs = {name: masked(getattr(settings, name)) for name in names}
            zones = wiring.judged_by().registry.fences.zones
            # Opened anew: what the flow held of it is let go with the flow.
            background = replace(background, terrain=hazard.load_terrain(settings))
            write_report(settings.report, store, zones, inputs, background)
    if not quiet:
        _summary(settings, wiring.told)


def _check_report(target: Path) -> None:
    check_folder(f"--report {target}", target.parent)
    if target.is_dir():
        raise SettingsError(f"--report `{target}`: is a folder; name a file in it")


@contextmanager
def _report_store(settings: Settings) -> Iterator[Path]:
    if settings.recovery:
        yield settings.recovery / REPORT_STORE
        return
    with TemporaryDirectory() as folder:
        yield Path(folder, REPORT_STORE)


@contextmanager
def _progress(*, quiet: bool, total: int | None) -> Iterator[OnProgress | None]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("telemetry"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("telemetry", total=total)
        done: dict[str, int] = {}

        def on_progress(part: str, bytes_done: int, _total: int) -> None:
            done[part] = bytes_done
            bar.update(task, completed=sum(done.values()))

        yield on_progress


def _summary(settings: Settings, told: Told) -> None:
    table = Table(title="what was found", title_justify="left")
    table.add_column("what")
    table.add_column("events", justify="right")
    for label, topic, kind in (
        ("zones entered", GEOFENCING_EVENTS, ZONE_ENTERED),
        ("zones left", GEOFENCING_EVENTS, ZONE_EXITED),
        ("alarms raised", COMPLIANCE_VIOLATIONS, ALARM_RAISED),
        ("alarms cleared", COMPLIANCE_VIOLATIONS, ALARM_CLEARED),
    ):
        table.add_row(label, str(told.of(topic, kind)))
    table.add_row("records rejected", str(told.of(DEAD_LETTERS)))
    table.add_row("records late", str(told.of(LATE_TELEMETRY)))
    console = Console(stderr=True)
    console.print(table)
    for url in settings.results:
        console.print(f"results: {masked(url)}", highlight=False, soft_wrap=True)
    if settings.report:
        console.print(f"report: {settings.report}", highlight=False, soft_wrap=True)
