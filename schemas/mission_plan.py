"""Mission plans in: what a vehicle is to do, and what its triggers are held against.

A plan is in force for its vehicle from ``time`` on, until a later one; it says all there is to say,
what it leaves out is not planned. A step report changes one step of the plan in force then.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.frame import EPOCH
from schemas.zone import Time

MISSION_PLANNED: Final = "farwatch.mission.planned.v1"
MISSION_STEP_REPORTED: Final = "farwatch.mission.step_reported.v1"

VehicleId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
StepStatus = Literal["planned", "active", "done", "failed", "skipped"]
Longitude = Annotated[float, Field(ge=-180, le=360)]
Latitude = Annotated[float, Field(ge=-90, le=90)]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Waypoint(_Shape):
    """A point of the planned path: degrees; ``depth_m`` where it is planned."""

    longitude: Longitude
    latitude: Latitude
    depth_m: float | None = None


class Goal(_Shape):
    """Where the vehicle is to be, and by when: the end of the sol, the dive, the leg.

    Nearer than ``radius_m`` it is there.
    """

    longitude: Longitude
    latitude: Latitude
    by: Time | None = None
    radius_m: float = Field(default=0.0, ge=0)


class Window(_Shape):
    """A communication window."""

    opens: Time
    closes: Time

    @model_validator(mode="after")
    def _lasts(self) -> "Window":
        if self.opens >= self.closes:
            raise ValueError("`opens` is not before `closes`")
        return self


class Step(_Shape):
    """A step of the mission; ``time``: when it became what ``status`` says."""

    id: str = Field(min_length=1, max_length=128)
    status: StepStatus = "planned"
    time: Time | None = None
    due: Time | None = None


class MissionPlan(_Shape):
    """A vehicle's plan, in force from ``time`` on.

    ``reserve_pct``: charge it must keep; ``next_charge``: when it next charges. ``avoid``: ids of
    zones to keep out of. Of two plans of one time the one with the higher ``version`` counts.
    """

    vehicle_id: VehicleId
    time: Time
    plan_id: str = Field(default="", max_length=128)
    version: int = Field(default=1, ge=1)
    path: tuple[Waypoint, ...] = Field(default=(), max_length=1_000)
    goal: Goal | None = None
    reserve_pct: float | None = Field(default=None, ge=0, le=100)
    next_charge: Time | None = None
    max_temperature_c: float | None = None
    windows: tuple[Window, ...] = Field(default=(), max_length=1_000)
    steps: tuple[Step, ...] = Field(default=(), max_length=1_000)
    avoid: tuple[str, ...] = ()

    @property
    def time_us(self) -> int:
        """When it comes into force, microseconds since 1970 UTC."""
        return microseconds(self.time)


class StepReport(_Shape):
    """A step that became ``status`` at ``time``."""

    vehicle_id: VehicleId
    time: Time
    step_id: str = Field(min_length=1, max_length=128)
    status: StepStatus

    @property
    def time_us(self) -> int:
        """When, microseconds since 1970 UTC."""
        return microseconds(self.time)


Planned = MissionPlan | StepReport


@lru_cache(4096)
def microseconds(time: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (time - EPOCH) // timedelta(microseconds=1)
