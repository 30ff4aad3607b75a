"""Payloads about requests for plans and what became of them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads.payload import Identity, Payload, Time


class PlanPayload(Payload):
    """What is told of a plan request, by ``request_id``: what planners answer with."""

    request_id: Identity
    trigger_id: str
    trigger_version: int
    time: Time


class PlanDecision(BaseModel):
    """Why a trigger fired; as ``Decision``, and a silence has the ``limit`` of it in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any]
    limit: float | int | str | None
    margin: float | None
    since: Time
    fixes: list[str]


class PlanReason(BaseModel):
    """A trigger that fired at ``time``.

    ``forecasts``: by the trigger's names what was asked (``of method look_back_s horizon_s until
    confidence limit``) and found (``value low high`` at the horizon, ``per_h``, ``reaches_s``;
    null = not known, or not before the horizon).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    trigger_id: str
    trigger_version: int
    priority: int = Field(ge=1, le=9)
    time: Time
    message: str
    decision: PlanDecision
    forecasts: dict[str, dict[str, Any]]


class PlanConstraints(BaseModel):
    """What a new plan has to mind: as far as it is known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    energy: dict[str, float | str | None]
    thermal: dict[str, float | None]
    goal: dict[str, float | str | None] | None
    time_windows: list[dict[str, str]]
    zones_to_avoid: list[dict[str, Any]]
    hazards_ahead: list[dict[str, float | None]]


class PlanContext(BaseModel):
    """The vehicle's ``state``, its last record; the plan it was held against; constraints."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: dict[str, Any]
    plan: dict[str, Any] | None
    constraints: PlanConstraints


class PlanRequested(PlanPayload):
    """A new plan is needed, by ``deadline``.

    ``trigger_id``: of the most urgent of the ``reasons``; further ones come with higher versions.
    ``mode`` shadow: nobody is asked.
    """

    state: Literal["requested"]
    mode: Literal["active", "shadow"]
    priority: int = Field(ge=1, le=9)
    deadline: Time
    reasons: list[PlanReason] = Field(min_length=1)
    context: PlanContext


class PlanAccepted(PlanPayload):
    """A planner works on a request; ``late``: the deadline had passed."""

    state: Literal["accepted"]
    plan_id: str
    reason: str
    late: bool


class PlanAnswered(PlanAccepted):
    """There is a new plan, ``plan_id``."""

    state: Literal["answered"]  # type: ignore[assignment]


class PlanRejected(PlanAccepted):
    """There will be no new plan; ``reason`` says why."""

    state: Literal["rejected"]  # type: ignore[assignment]


class PlanExpired(PlanPayload):
    """Nobody had answered or rejected a request by its deadline, which is ``time``."""

    state: Literal["expired"]
