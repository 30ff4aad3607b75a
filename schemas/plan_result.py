"""Plan results in: what became of a plan request, and commands to triggers."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.mission_plan import VehicleId, microseconds
from schemas.zone import Time

PLAN_RESULT: Final = "farwatch.plan.result.v1"
TRIGGER_REARMED: Final = "farwatch.trigger.rearmed.v1"


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    vehicle_id: VehicleId
    time: Time

    @property
    def time_us(self) -> int:
        """When, microseconds since 1970 UTC."""
        return microseconds(self.time)


class PlanResult(_Shape):
    """What a planner says of a request.

    ``accepted``: it works on it; ``answered``: there is a plan, ``plan_id``; ``rejected``: there
    will be none, ``reason`` says why.
    """

    request_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    status: Literal["accepted", "answered", "rejected"]
    plan_id: str = Field(default="", max_length=128)
    reason: str = Field(default="", max_length=1_000)


class Rearm(_Shape):
    """A command that arms a trigger of a vehicle again; no ``trigger_id``: all of them."""

    trigger_id: str = Field(default="", max_length=128)
    who: str = Field(default="", max_length=128)


Answer = PlanResult | Rearm
