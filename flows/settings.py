"""Settings: FARWATCH_* in the environment and a TOML file, one model for every flow."""

import os
import tomllib
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
from rules.group import Policy
from rules.legs import Limits
from rules.proximity import limits as proximity
from rules.summary import Windowing
from schemas.event import identity
from schemas.frame import KINDS

PREFIX: Final = "FARWATCH_"
OTHER_VARIABLES: Final = {"FARWATCH_CONFIG", "FARWATCH_DATA", "FARWATCH_USER"}
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
    registry_poll_s: float = Field(
        2, ge=0, description="seconds between two looks for changed zones and rules, 0 = none"
    )
    warning_batch_s: float = Field(
        300, gt=0, description="seconds of event time whose warnings are told together"
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
    dead_letter_ratio: float = Field(
        0.5, ge=0, le=1, description="share of bad records that stops the flow"
    )
    dead_letter_run: int = Field(
        10_000, ge=1, description="bad records in a row that stop the flow"
    )
    recovery: Path | None = Field(None, description="folder of the recovery store")
    report: Path | None = Field(None, description="HTML file of the report")
    track_s: float = Field(30, gt=0, description="seconds between the fixes kept for the report")

    @field_validator("results", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

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

    def fingerprint(self) -> str:
        """What state depends on: the same fingerprint reads it, another must not."""
        return identity("key groups", self.key_groups)

    def limits(self) -> Limits:
        """What vehicles may do between two fixes."""
        return Limits.of(self.max_gap_s, self.max_speed_mps)

    def policy(self) -> Policy:
        """How results are told."""
        return Policy(
            limits=self.limits(),
            lateness_us=round(self.lateness_s * 1e6),
            warning_batch_us=round(self.warning_batch_s * 1e6),
            tally=self.report is not None,
        )

    def windowing(self) -> Windowing:
        """How analytics puts records in windows."""
        return Windowing(
            length_us=round(self.window_s * 1e6),
            gap_us=round(self.window_gap_s * 1e6),
            lateness_us=round(self.lateness_s * 1e6),
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
    return f"setting `{name}` {error['input']!r}: {error['msg'].lower()}"
