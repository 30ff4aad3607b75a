"""Telemetry in: the one definition of a record's names, types, limits and units.

The JSON Schema and the fast decoder (``schemas/decoding.py``) are derived from ``Telemetry``.
"""

import math
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, NoReturn, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from schemas.frame import EPOCH
from schemas.timestamps import time_us

KNOT_MPS: Final = 1852 / 3600
SPEED_TOLERANCE_MPS: Final = 0.01
MAX_SENSORS: Final = 256

# The name an id came under says the kind where `kind` does not; the first one present counts.
KIND_OF_ID: Final = {"auv_id": "auv", "rover_id": "rover", "vessel_id": "vessel"}
DEFAULT_KIND: Final = "vehicle"

_NO_NUL: Final = r"^[^\x00]*$"  # U+0000 is the one character that PostgreSQL text cannot hold
_SENSOR_NAME: Final = re.compile(r"[^\x00\ud800-\udfff]{1,64}")


class Turn:
    """Brings angles of at most one turn outside into [low, low + 360) degrees."""

    def __init__(self, low: float) -> None:
        self.low = low

    def __call__(self, angle: Any) -> Any:
        """The angle, or the column of angles, inside the turn; None and NaN stay."""
        if angle is None:
            return None
        # A comparison counts 0 or 1, so that numbers and columns share one arithmetic. The second
        # step also takes what rounding brought to the upper end (-1e-20 + 360 = 360).
        angle = angle + 360.0 * (angle < self.low)
        return angle - 360.0 * (angle >= self.low + 360.0)


def default_body(kind: object) -> str:
    """The body that a vehicle of this kind is on where the record does not say."""
    return "mars" if kind == "rover" else "earth"


def _event_time(value: object) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=time_us(value))
    except ValueError as error:
        raise PydanticCustomError("timestamp", "{why}", {"why": str(error)}) from None


def _number(description: str, low: float, high: float, *names: str) -> Any:
    return Field(
        default=None,
        ge=low,
        le=high,
        description=description,
        validation_alias=AliasChoices(*names) if names else None,
    )


def _text(description: str) -> Any:
    return Field(default=None, max_length=256, pattern=_NO_NUL, description=description)


class Telemetry(BaseModel):
    """One telemetry record of one vehicle.

    Accepts every name that ``field_names`` lists; null counts as absent; an unknown field is kept
    under ``sensors`` if its value is a finite number and dropped otherwise. A boolean or a numeric
    string is no number.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    vehicle_id: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._:-]+$",
        validation_alias=AliasChoices("vehicle_id", *KIND_OF_ID),
        description="the vehicle; the name it comes under is the default of `kind`",
    )
    timestamp: Annotated[
        datetime,
        BeforeValidator(_event_time),
        WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}),
    ] = Field(description="event time: RFC 3339 with a zone, or epoch seconds; 1970 to 2200")
    latitude: float | None = _number("deg, + north, planetocentric on other bodies", -90, 90)
    longitude: Annotated[float | None, AfterValidator(Turn(-180.0))] = _number(
        "deg, + east, -180..180 or 0..360", -180, 360
    )
    # Real pressure sensors read a little negative at the surface.
    depth_m: float | None = _number(
        "m below the surface, + down; absent = unknown", -50, 12_000, "depth_m", "depth"
    )
    altitude_m: float | None = _number("m above the body's reference surface", -20_000, 1e6)
    height_above_bottom_m: float | None = _number("m above the bottom", 0, 12_000)
    speed_mps: float | None = _number("m/s", 0, 1000, "speed_mps", "speed")
    speed_kn: float | None = _number("kn; becomes speed_mps", 0, 1000 / KNOT_MPS)
    heading_deg: Annotated[float | None, AfterValidator(Turn(0.0))] = _number(
        "deg, clockwise from north", -360, 360
    )
    pitch_deg: float | None = _number("deg, + nose up", -90, 90)
    roll_deg: float | None = _number("deg, + starboard down", -180, 180)
    position_accuracy_m: float | None = _number("m, 1 sigma", 0, 1e7)
    battery_pct: float | None = _number(
        "percent of full", 0, 100, "battery_pct", "battery", "battery_level"
    )
    power_generation_w: float | None = _number("W", 0, 1e9)
    power_consumption_w: float | None = _number("W", 0, 1e9)
    temperature_c: float | None = _number("degrees Celsius", -273.15, 2000)
    kind: Literal["auv", "glider", "rover", "vessel", "vehicle"] = Field(
        description="default: from the name of the id, else `vehicle`"
    )
    body: Literal["earth", "mars", "moon"] = Field(
        description="default: `mars` for kind `rover`, else `earth`"
    )
    status: str | None = _text("the vehicle's own word for what it does")
    mission_id: str | None = _text("the mission")
    source: str | None = _text("the system the record comes from")
    message_id: str | None = _text("identity of the record, for de-duplication")
    # The least int64 means "absent" in a frame.
    sequence: int | None = Field(
        default=None, ge=-(2**63) + 1, le=2**63 - 1, description="number of the record"
    )
    sensors: dict[Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_NUL)], float] = (
        Field(
            default_factory=dict,
            max_length=MAX_SENSORS,
            description="readings of the vehicle's own",
        )
    )

    @property
    def time_us(self) -> int:
        """Event time, microseconds since 1970 UTC."""
        return (self.timestamp - EPOCH) // timedelta(microseconds=1)

    @model_validator(mode="before")
    @classmethod
    def _under_canonical_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        present = {name: value for name, value in given.items() if value is not None}
        record: dict[str, Any] = {}
        for field, names in _NAMES.items():
            used = [name for name in names if name in present]
            for other in used[1:]:
                _require_same(field, used[0], present[used[0]], other, present[other])
            if used:
                record[field] = present[used[0]]
        if isinstance(sensors := record.get("sensors", {}), dict):
            unknown = {name: value for name, value in present.items() if _is_reading(name, value)}
            named = {name: value for name, value in sensors.items() if value is not None}
            record["sensors"] = unknown | named
        by_id = (kind for name, kind in KIND_OF_ID.items() if name in present)
        record.setdefault("kind", next(by_id, DEFAULT_KIND))
        record.setdefault("body", default_body(record["kind"]))
        return record

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            there, missing = "latitude", "longitude"
            if self.latitude is None:
                there, missing = missing, there
            context = {"field": there, "why": f"given without {missing}"}
            raise PydanticCustomError("position", "{field}: {why}", context)
        if self.speed_kn is not None:
            speed_mps = self.speed_kn * KNOT_MPS
            if self.speed_mps is None:
                self.speed_mps = speed_mps
            elif abs(self.speed_mps - speed_mps) > SPEED_TOLERANCE_MPS:
                _differ("speed_mps", "speed_mps", self.speed_mps, "speed_kn", self.speed_kn)
            self.speed_kn = None
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what is accepted: every name, at least one of the id's."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        properties = schema["properties"]
        for field in cls.model_fields:
            for other in field_names(field)[1:]:
                properties[other] = properties[field] | {"title": other}
        schema["required"] = ["timestamp"]
        schema["anyOf"] = [{"required": [name]} for name in field_names("vehicle_id")]
        schema["dependentRequired"] = {"latitude": ["longitude"], "longitude": ["latitude"]}
        return schema


def field_names(field: str) -> tuple[str, ...]:
    """Every JSON name of a field of ``Telemetry``, the canonical one first."""
    alias = Telemetry.model_fields[field].validation_alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (field,)


_NAMES: Final = {field: field_names(field) for field in Telemetry.model_fields}
_KNOWN: Final = frozenset(name for names in _NAMES.values() for name in names)


def is_sensor_name(name: str) -> bool:
    """Whether an entry of ``sensors`` may have this name."""
    return _SENSOR_NAME.fullmatch(name) is not None


def _is_reading(name: str, value: object) -> bool:
    if name in _KNOWN or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value) and is_sensor_name(name)
    except OverflowError:
        return False


def _require_same(field: str, name: str, value: object, other: str, again: object) -> None:
    try:
        same = _comparable(value) == _comparable(again)
    except OverflowError:
        same = False
    if not same:
        _differ(field, name, value, other, again)


def _comparable(value: object) -> object:
    # Numbers are compared as the floats they become; a boolean equals no number.
    if isinstance(value, bool):
        return "boolean", value
    return float(value) if isinstance(value, int) else value


def _differ(field: str, name: str, value: object, other: str, again: object) -> NoReturn:
    text = f"{name}: {shown(value)} but {other}: {shown(again)}"
    raise PydanticCustomError("two_names", "{text}", {"field": field, "text": text})


def shown(value: object) -> str:
    """A value as it may stand in a reason: one line, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
