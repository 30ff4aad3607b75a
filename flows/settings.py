"""Settings: FARWATCH_* in the environment and a TOML file, one model for every flow."""

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from connectors.contract import ConnectorSettings, SettingsError
from connectors.credentials import is_credential
from connectors.registry import masked
from flows.logs import Form, Level
from rules.alarms import Alerting, Handling
from rules.group import Policy
from rules.legs import Limits
from rules.planning import move as planning
from rules.proximity import limits as proximity
from rules.summary import Windowing
from schemas.decoding import TelemetryDecoder
from schemas.event import identity
from schemas.frame import KINDS
from schemas.rule import Flapping

PREFIX: Final = "FARWATCH_"
OTHER_VARIABLES: Final = {
    "FARWATCH_CONFIG",
    "FARWATCH_DATA",
    "FARWATCH_POLICY",
    "FARWATCH_SERVICES",
    "FARWATCH_USER",
}
"""Variables of that prefix that are no settings of a flow."""


ByKind = Annotated[dict[str, Annotated[float, Field(gt=0)]], NoDecode]
"""A limit a kind of vehicle; a kind that is not named keeps its own (``rules.legs``)."""


class Settings(BaseSettings):
    """What a flow is told from outside; every field is also an environment variable.

    The variable of ``frame_rows`` is ``FARWATCH_FRAME_ROWS``. What is given on the command line
    wins over the environment, and that over the TOML file that ``FARWATCH_CONFIG`` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True
    )

    telemetry: str = Field("", description="URL of the telemetry, `file:PATH`")
    zones: str = Field("", description="URL of the zones, a GeoJSON FeatureCollection")
    rules: str = Field("", description="URL of the rules, a YAML list")
    results: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="URLs of the results, separated by spaces"
    )
    format: str = Field("ndjson", description="format of telemetry files: a reader's name")
    frame_rows: int = Field(20_000, ge=1, le=1_000_000, description="records a frame, at most")
    key_groups: int = Field(
        16, ge=1, le=4096, description="groups vehicles hash to; never changes while state lives"
    )
    epoch_s: float = Field(0.5, gt=0, le=60, description="seconds between commits")
    epoch_rows: int = Field(400_000, ge=1, description="records a source hands out an epoch")
    lateness_s: float = Field(
        120,
        ge=0,
        le=31_536_000,
        description="seconds of event time a record may come late and still revise results",
    )
    max_gap_s: ByKind = Field(
        {},
        description="seconds between two fixes beyond which nothing is inferred, `KIND=S ...`",
    )
    max_speed_mps: ByKind = Field(
        {}, description="speed that two fixes may imply, m/s, `KIND=SPEED ...`"
    )
    skew_s: float = Field(
        120,
        ge=0,
        le=31_536_000,
        description="seconds of event time by which records of different vehicles may be out of"
        " order before one is silent",
    )
    idle_s: float = Field(
        0,
        ge=0,
        description="seconds without any record after which time goes on all the same, in live"
        " flows; 0 = never",
    )
    registry_poll_s: float = Field(
        2, ge=0, description="seconds between two looks for changed zones and rules, 0 = none"
    )
    warning_batch_s: float = Field(
        300, gt=0, description="seconds of event time whose warnings are told together"
    )
    commands: str = Field("", description="URL of commands on alarms, `alert_commands`")
    progress: str = Field(
        "", description="URL of `telemetry_progress`, for alerting that runs apart"
    )
    alarms: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether alarms are followed through their states; `auto`: where there are"
        " commands, or rules or `flapping` ask for it",
    )
    routes: Path | None = Field(None, description="YAML file of routes: who is notified of alerts")
    flapping: Annotated[Flapping | None, NoDecode] = Field(
        None, description="when an alarm flaps, `COUNT/DURATION`: `6/10m`"
    )
    analytics: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether the watch tells windows; `auto`: where a place of results asks for"
        " them",
    )
    window_s: float = Field(
        60, ge=0.001, le=604_800, description="seconds of event time in a window of analytics"
    )
    window_gap_s: float = Field(
        30,
        ge=0,
        le=604_800,
        description="records of a window further apart than this have a gap between them",
    )
    nearby_m: float = Field(
        100, gt=0, le=100_000, description="separation at which vehicles are near each other, m"
    )
    faraway_m: float = Field(
        150, gt=0, le=200_000, description="separation beyond which they no longer are, m"
    )
    proximity_every_s: float = Field(
        10, ge=0.1, le=3600, description="seconds of event time between two looks at separations"
    )
    max_fix_age_s: float = Field(
        300,
        gt=0,
        description="seconds between two fixes beyond which separations are unknown between",
    )
    triggers: str = Field("", description="URL of the triggers, a YAML list; none = no planning")
    mission_plans: str = Field(
        "", description="URL of mission plans: `file:PATH`, read at start, or a topic"
    )
    plan_results: str = Field(
        "", description="URL of plan results and commands: `file:PATH`, read at start, or a topic"
    )
    hazard_scores: str = Field(
        "", description="URL of hazard scores for planning, of `flows.hazard`: a file or a topic"
    )
    planning_every_s: float = Field(
        60,
        ge=0.1,
        le=86_400,
        description="seconds of event time of which one record of a vehicle is judged by triggers",
    )
    planning_fold_s: float = Field(
        300,
        ge=0,
        le=86_400,
        description="seconds after the first reason of a plan request that others are folded in",
    )
    hazard: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hazard profiles, by name or path, separated by spaces; none = no scores"
    )
    hazard_every_s: float = Field(
        300, ge=1, le=604_800, description="seconds of event time in which a score is told once"
    )
    terrain: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="paths of elevation models, the finest first, separated by spaces"
    )
    terrain_mb: float = Field(
        256, ge=1, le=1_000_000, description="memory for what is kept of elevation models, MB"
    )
    dead_letter_ratio: float = Field(
        0.5, ge=0, le=1, description="share of bad records that stops the flow"
    )
    dead_letter_run: int = Field(
        10_000, ge=1, description="bad records in a row that stop the flow"
    )
    processes: int = Field(
        1, ge=1, le=256, description="processes of `farwatch run` on this machine"
    )
    restarts: int = Field(
        10, ge=0, description="restarts in a row, of all processes together, until it gives up"
    )
    drain_s: float = Field(
        30, gt=0, le=3600, description="seconds that draining may take beyond an epoch"
    )
    max_message_bytes: int = Field(
        64 * 2**20, ge=1, description="bytes of a message; a longer one is one dead letter"
    )
    max_message_records: int = Field(
        1_000_000, ge=1, description="records in a message; one with more is one dead letter"
    )
    max_nesting: int = Field(
        64, ge=1, le=256, description="open objects and arrays in a record; else a dead letter"
    )
    max_zone_vertices: int = Field(
        1_000_000, ge=4, description="positions in a zone; a file with a larger zone is refused"
    )
    recovery: Path | None = Field(None, description="folder of the recovery store")
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="port of `/metrics` and the probes; process N of a machine answers at it + N",
    )
    metrics_host: str = Field("127.0.0.1", description="address that port is opened on")
    traces: str = Field(
        "", description="URL of an OTLP collector, `http://HOST:4318/v1/traces`; none = no traces"
    )
    trace_ratio: float = Field(
        1, ge=0, le=1, description="share of the traces that begin here that are told"
    )
    log: Form = Field("text", description="form of the log: `text`, or `json`, an object a line")
    log_level: Level = Field("warning", description="from which level on the log is written")
    stall_s: float = Field(
        5, ge=1, le=3600, description="seconds without progress until `/healthz` says no"
    )
    report: Path | None = Field(None, description="HTML file of the report")
    track_s: float = Field(30, gt=0, description="seconds between the fixes kept for the report")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """URLs without their secrets, for whoever prints the settings."""
        for name, value in super().__repr_args__():
            if isinstance(value, str):
                yield name, masked(value)
            elif isinstance(value, tuple):
                yield name, tuple(masked(str(one)) for one in value)
            else:
                yield name, value

    @field_validator("results", "hazard", "terrain", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("flapping", mode="before")
    @classmethod
    def _count_and_duration(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        count, slash, within = value.partition("/")
        if not slash:
            raise ValueError("give a count and a duration, such as 6/10m")
        return {"count": count, "within": within}

    @field_validator("max_gap_s", "max_speed_mps", mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [word.partition("=") for word in value.split()]
        return {kind: number for kind, _, number in pairs}

    @field_validator("max_gap_s", "max_speed_mps")
    @classmethod
    def _kinds_are_known(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(value.keys() - set(KINDS)):
            raise ValueError(f"no such kind `{unknown[0]}`; give one of {', '.join(KINDS)}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given values first, then the environment, then the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, config: Path | None = None, **given: Any) -> Self:
        """The settings from all places; ``given`` are those of the command line, None = not given.

        Raises:
            SettingsError: one line with every setting that is wrong or unknown.
        """
        if config is None and (named := os.environ.get("FARWATCH_CONFIG")):
            config = Path(named)
        if config is not None and not config.is_file():
            raise SettingsError(f"`{config}`: no such settings file; check --config")
        _refuse_unknown(cls)

        class Configured(cls):  # type: ignore[misc, valid-type]
            model_config = SettingsConfigDict(toml_file=config)

        try:
            found: Self = Configured(**{k: v for k, v in given.items() if v not in (None, ())})
        except ValidationError as exc:
            raise SettingsError("; ".join(map(_mistake, exc.errors()))) from exc
        except tomllib.TOMLDecodeError as exc:
            raise SettingsError(f"`{config}`: not TOML: {exc}") from exc
        return found

    def require(self, *names: str) -> None:
        """Raise ``SettingsError`` naming every setting of ``names`` that is not set."""
        missing = [name for name in names if not getattr(self, name)]
        if missing:
            wanted = ", ".join(f"FARWATCH_{name.upper()} (--{name})" for name in missing)
            raise SettingsError(f"not set: {wanted}; give a URL, see README.md, Configuration")

    def connector(self) -> ConnectorSettings:
        """What connectors are told."""
        return ConnectorSettings(
            format=self.format, batch_rows=self.frame_rows, epoch_rows=self.epoch_rows
        )

    @property
    def patience_s(self) -> float:
        """How long draining may take: what was read last is committed at the end of its epoch."""
        return self.epoch_s + self.drain_s

    def decoder(self) -> TelemetryDecoder:
        """A decoder of telemetry with the limits of these settings."""
        return TelemetryDecoder(
            max_message_bytes=self.max_message_bytes,
            max_records=self.max_message_records,
            max_nesting=self.max_nesting,
        )

    def fingerprint(self) -> str:
        """What state depends on: the same fingerprint reads it, another must not."""
        return identity("key groups", self.key_groups)

    def limits(self) -> Limits:
        """What vehicles may do between two fixes."""
        return Limits.of(self.max_gap_s, self.max_speed_mps)

    def skew_us(self) -> int:
        """By how much a watermark is behind the newest record."""
        return round(self.skew_s * 1e6)

    def policy(self) -> Policy:
        """How results are told."""
        return Policy(
            limits=self.limits(),
            lateness_us=round(self.lateness_s * 1e6),
            tally=self.report is not None,
        )

    def alerting(self, *, asked: bool) -> Alerting:
        """How the alarm stage works; ``asked``: whether rules want their alarms followed."""
        lateness_us, flapping = round(self.lateness_s * 1e6), self.flapping
        auto = bool(asked or self.commands or flapping)
        return Alerting(
            batch_us=round(self.warning_batch_s * 1e6),
            follow=auto if self.alarms == "auto" else self.alarms == "on",
            lateness_us=lateness_us,
            mark=self.routes is not None,
            handling=Handling(
                patience_us=lateness_us,
                flaps=flapping.count if flapping else 0,
                flaps_us=round(flapping.within * 1e6) if flapping else 0,
            ),
        )

    def windowing(self) -> Windowing:
        """How analytics puts records in windows."""
        return Windowing(
            length_us=round(self.window_s * 1e6),
            gap_us=round(self.window_gap_s * 1e6),
            lateness_us=round(self.lateness_s * 1e6),
        )

    def planning(self, *, tell_late: bool) -> planning.Policy:
        """How plans are asked for; ``tell_late``: records that come too late for it are told."""
        return planning.Policy(
            every_us=round(self.planning_every_s * 1e6),
            lateness_us=round(self.lateness_s * 1e6),
            fold_us=round(self.planning_fold_s * 1e6),
            tell_late=tell_late,
        )

    def proximity(self) -> proximity.Limits:
        """What counts as near.

        Raises:
            SettingsError: vehicles would be near and far at once.
        """
        if self.faraway_m <= self.nearby_m:
            raise SettingsError(
                f"setting `faraway_m` {self.faraway_m:g}: must be more than `nearby_m`"
                f" {self.nearby_m:g}; raise FARWATCH_FARAWAY_M"
            )
        return proximity.Limits(
            self.nearby_m,
            self.faraway_m,
            round(self.proximity_every_s * 1e6),
            round(self.max_fix_age_s * 1e6),
            round(self.lateness_s * 1e6),
        )


def _refuse_unknown(settings: type[Settings]) -> None:
    known = {PREFIX + name.upper() for name in settings.model_fields} | OTHER_VARIABLES
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known and not is_credential(name):
            close = get_close_matches(name, known, 1)
            remedy = f"did you mean {close[0]}?" if close else "remove it"
            raise SettingsError(f"unknown environment variable {name}; {remedy}")


def _mistake(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        close = get_close_matches(name, Settings.model_fields, 1)
        return f"unknown setting `{name}`; " + (
            f"did you mean `{close[0]}`?" if close else "remove it"
        )
    return f"setting `{name}` {masked(repr(error['input']))}: {error['msg'].lower()}"
