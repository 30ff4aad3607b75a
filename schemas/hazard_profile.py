"""Hazard profiles: what endangers a kind of vehicle, with limits, weights and where each is from.

``schemas.hazard_file`` reads files of them.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["auv", "glider", "rover", "vessel", "vehicle"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
CLASSES: tuple[str, ...] = ("low", "moderate", "high", "extreme")
"""From the least to the worst."""


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Part(_Shape):
    """One thing that endangers a vehicle.

    ``reads``: a quantity of ``rules.hazard.quantities`` or ``sensors.NAME``; default: the name of
    the part. From ``safe`` on (contribution 0) to ``limit`` (contribution ``weight``) the
    contribution grows linearly; where ``safe`` is more than ``limit`` little is bad. A reading is
    stale after ``max_age_s``. ``optional``: a vehicle that never told what the part reads has none,
    and the part is left out; else it is unknown.
    """

    reads: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,63}|sensors\..{1,64})?$")
    safe: float
    limit: float
    weight: float = Field(gt=0, le=1)
    max_age_s: float | None = Field(default=None, gt=0, le=1e9)
    optional: bool = False
    source: str = Field(min_length=1, description="where the limit comes from")

    @model_validator(mode="after")
    def _has_a_direction(self) -> Self:
        if self.safe == self.limit:
            raise ValueError("`safe` is `limit`: give a value that is safe and one that is not")
        return self


class Thresholds(_Shape):
    """The scores at which each class begins."""

    moderate: Share = 0.3
    high: Share = 0.6
    extreme: Share = 0.85

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if not 0 < self.moderate < self.high < self.extreme:
            raise ValueError("give 0 < `moderate` < `high` < `extreme`")
        return self


class Vehicle(_Shape):
    """What the quantities need to know of the vehicle; None = not known.

    ``max_cell_m``: of an elevation model with larger cells only the heights count, for slopes and
    steps between them are not what the vehicle stands on.
    """

    battery_capacity_wh: float | None = Field(default=None, gt=0)
    battery_reserve_pct: float = Field(default=0.0, ge=0, lt=100)
    max_depth_m: float | None = Field(default=None, gt=0)
    ascent_speed_mps: float | None = Field(default=None, gt=0)
    ascent_power_w: float | None = Field(default=None, gt=0)
    slip_min_drive_m: float = Field(default=0.5, gt=0)
    slip_max_drive_m: float = Field(default=20.0, gt=0)
    stuck_slip: float = Field(default=0.9, gt=0, le=1)
    max_rate_gap_s: float = Field(default=600.0, gt=0)
    corridor_m: float = Field(default=100.0, gt=0, le=100_000)
    corridor_width_m: float = Field(default=0.0, ge=0, le=1_000)
    max_slope_deg: float | None = Field(default=None, gt=0, lt=90)
    max_step_m: float | None = Field(default=None, gt=0)
    max_cell_m: float = Field(default=5.0, gt=0)


class Vision(_Shape):
    """How results of a vision model count.

    ``danger``: of each terrain class, by the number under which it comes. A result counts within
    ``max_age_s`` and ``max_distance_m`` of where the vehicle was, and from ``min_confidence`` on.
    """

    danger: dict[int, Share] = Field(default_factory=dict)
    min_confidence: Share = 0.5
    max_age_s: float = Field(default=3600.0, gt=0)
    max_distance_m: float = Field(default=20.0, gt=0)


class Profile(_Shape):
    """How hazards are scored for the vehicles of ``kinds`` whose id matches one of ``vehicles``.

    ``vehicles`` are patterns as in a shell, none = all. ``hysteresis``: how far a score must fall
    below a class's threshold before the class is left.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    version: int = Field(default=1, ge=1)
    kinds: tuple[Kind, ...] = Field(min_length=1)
    vehicles: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()
    classes: Thresholds = Thresholds()
    hysteresis: float = Field(default=0.05, ge=0, le=0.5)
    max_age_s: float = Field(default=3600.0, gt=0, le=1e9)
    vehicle: Vehicle = Vehicle()
    vision: Vision = Vision()
    parts: dict[Name, Part] = Field(min_length=1)

    def reads(self, name: str) -> str:
        """What the part ``name`` reads."""
        return self.parts[name].reads or name

    def age_us(self, name: str) -> float:
        """After how many microseconds what the part ``name`` reads is stale."""
        age_s = self.parts[name].max_age_s
        return (self.max_age_s if age_s is None else age_s) * 1e6
