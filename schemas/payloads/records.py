"""Payloads about records: refused, late, summed up, as columns between flows."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads.payload import Payload, Time


class ProgressMade(Payload):
    """Records have come as far as ``time``."""

    time: Time


class TelemetryRejected(Payload):
    """A record that breaks the contract; ``raw`` in base64, ``raw_text`` readable."""

    reason: str
    field: str
    raw: str
    raw_text: str
    origin: str


class TelemetryLate(Payload):
    """A record older than what its vehicle had: judged on its own, by zones and rules."""

    time: Time
    newest: Time
    behind_s: float
    zones: list[str]
    rules: list[str]
    record: dict[str, Any]


class Figures(BaseModel):
    """Of one numeric field in a window.

    ``last``: at the latest time, of equal times the greatest; ``mean`` is null where a value is
    beyond 1e18 either way.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(ge=1)
    min: float
    mean: float | None
    max: float
    last: float


class AnalyticsWindowed(Payload):
    """What a vehicle's telemetry was like in a window of event time that begins at ``time``.

    ``version`` is ``count`` and ``too_late`` together. ``too_late``: records that came in this
    window's time for windows too far back to be revised. ``gaps``: silences of more than ``gap_s``
    between two records of the window, the longest of ``longest_gap_s`` (0 = none). ``last``: the
    last longitude, latitude and heading, which have no mean. Kind and body are those of the last
    record.
    """

    time: Time
    length_s: float = Field(gt=0)
    kind: Literal["auv", "glider", "rover", "vessel", "vehicle"]
    body: Literal["earth", "mars", "moon"]
    count: int = Field(ge=1)
    too_late: int = Field(ge=0)
    first_time: Time
    last_time: Time
    gap_s: float = Field(ge=0)
    gaps: int = Field(ge=0)
    longest_gap_s: float = Field(ge=0)
    figures: dict[str, Figures]
    last: dict[str, float]


class FrameChecked(Payload):
    """Records that passed the contract, as columns."""

    columns: dict[str, Any]


class FrameEnriched(FrameChecked):
    """Records of one key group as columns, and the zones that hold each."""

    group: str
    zones: list[dict[str, Any]]
