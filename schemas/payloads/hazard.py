"""The payload of a hazard score."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads.payload import Payload, Time


class HazardPart(BaseModel):
    """One part of a score: ``reads`` a quantity or sensor, ``limit`` from the profile.

    ``state``: ``known``; ``held``: the last value, which is stale; ``unknown``: none was ever told.
    ``value`` is null where it is unknown, and where it is known to be infinite: no such danger.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    reads: str
    value: float | None
    limit: float
    contribution: float = Field(ge=0, le=1)
    state: Literal["known", "held", "unknown"]


class SeenTerrain(BaseModel):
    """The last result of a vision model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    terrain_class: float
    confidence: float
    model_version: float | None


class HazardScored(Payload):
    """How endangered a vehicle is at ``time``, in [0, 1].

    ``lower``, ``upper``: what it is at least and at most, whatever the unknown parts are.
    ``class_before`` is null for a vehicle's first record.
    """

    model_config = ConfigDict(extra="forbid", strict=True, validate_by_name=True)

    time: Time
    score: float = Field(ge=0, le=1)
    lower: float = Field(ge=0, le=1)
    upper: float = Field(ge=0, le=1)
    grade: Literal["low", "moderate", "high", "extreme"] = Field(alias="class")
    class_before: Literal["low", "moderate", "high", "extreme"] | None
    profile_id: str
    profile_version: int = Field(ge=1)
    longitude: float | None
    latitude: float | None
    vision: SeenTerrain | None = None
    parts: list[HazardPart]
