"""Zones: named areas of a body with depth and altitude bands and times in force."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schemas.frame import EPOCH, rfc3339
from schemas.geojson import AreaField
from schemas.schedule import Schedule
from schemas.site_frame import REACH_M, SiteFrame
from schemas.vertical import Reference, misfit

MAX_ID_CHARACTERS: Final = 128
MAX_EXIT_BUFFER_M: Final = 1e6

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _time(value: object) -> object:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("give a time of RFC 3339 with its zone, such as 2026-01-01T00:00:00Z")
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError(f"no such time ({error}): give one of RFC 3339 with its zone") from None


def is_zone_id(text: str) -> bool:
    """Whether ``text`` may name a zone: 1 to ``MAX_ID_CHARACTERS`` printable characters."""
    return 1 <= len(text) <= MAX_ID_CHARACTERS and text.isprintable()


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - EPOCH) // timedelta(microseconds=1)


Time = Annotated[AwareDatetime, BeforeValidator(_time)]
Length = Annotated[float, Field(ge=0)]
Duration = Annotated[float, Field(ge=0)]
Limit = Annotated[float, Field(gt=0)]


class Zone(BaseModel):
    """A zone, one version of it.

    ``geometry`` in longitude and latitude of ``body`` (deg), edges straight in that plane (RFC
    7946 section 3.1.1); with ``site_longitude`` and ``site_latitude`` (deg) in metres east and
    north of there, edges straight in that frame (``schemas.site_frame``). Depth is m below the
    surface, altitude m above the body's reference, height m above the bottom; ``vertical`` may name
    what they are measured from (``schemas.vertical``). An absent bound is open, bounds belong to
    the zone. In force from ``effective_from`` on and until
    just before ``effective_to`` (event time), of that only in the windows of ``schedule``. A
    vehicle comes in at the edge and goes out ``exit_buffer_m`` beyond it, told once it has been in
    for ``min_inside_s``, out for ``min_outside_s``; of a fix's stated accuracy ``accuracy_cap_m``
    (the buffer's width, if absent) at most keeps an exit from being sure. ``max_dwell_s`` limits a
    visit, or all time inside within the last ``dwell_window_s``. ``repair``: rings that make no
    valid area are repaired, not refused. ``properties`` are further strings, numbers and booleans
    of the file's feature. ``line`` is where it stands in its file, counted from 1.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(min_length=1, max_length=MAX_ID_CHARACTERS)
    name: str = ""
    kind: str = ""
    body: Literal["earth", "mars", "moon"] = "earth"
    min_depth_m: float | None = None
    max_depth_m: float | None = None
    min_altitude_m: float | None = None
    max_altitude_m: float | None = None
    min_height_m: Length | None = None
    max_height_m: Length | None = None
    vertical: Reference | None = None
    site_longitude: Annotated[float, Field(ge=-180, le=360)] | None = None
    site_latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    effective_from: Time | None = None
    effective_to: Time | None = None
    schedule: Schedule | None = None
    exit_buffer_m: Annotated[float, Field(ge=0, le=MAX_EXIT_BUFFER_M)] | None = None
    accuracy_cap_m: Length | None = None
    min_inside_s: Duration | None = None
    min_outside_s: Duration | None = None
    max_dwell_s: Limit | None = None
    dwell_window_s: Limit | None = None
    approach_s: Limit | None = None
    max_gap_s: Limit | None = None
    version: int = Field(default=1, ge=1)
    repair: bool = False
    geometry: AreaField
    properties: dict[str, str | int | float | bool] = {}
    line: int | None = Field(default=None, ge=1, exclude=True)

    @field_validator("id")
    @classmethod
    def _id_is_printable(cls, value: str) -> str:
        if not is_zone_id(value):
            raise ValueError("give an id of printable characters")
        return value

    @model_validator(mode="before")
    @classmethod
    def _named_by_id(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("name"):
            return {**data, "name": data.get("id", "")}
        return data

    @field_validator("max_depth_m", "max_altitude_m", "max_height_m")
    @classmethod
    def _most_is_not_below_least(cls, most: float | None, info: ValidationInfo) -> float | None:
        low = str(info.field_name).replace("max", "min")
        least = info.data.get(low)
        if least is not None and most is not None and least > most:
            raise ValueError(f"`{low}` {least} is above it: swap them")
        return most

    @field_validator("vertical")
    @classmethod
    def _vertical_fits(cls, given: Reference | None, info: ValidationInfo) -> Reference | None:
        if given and "body" in info.data and (why := misfit(given, info.data["body"], info.data)):
            raise ValueError(why)
        return given

    @model_validator(mode="after")
    def _site_is_whole(self) -> "Zone":
        if (self.site_longitude is None) != (self.site_latitude is None):
            raise ValueError("a site has both `site_longitude` and `site_latitude`: give both")
        if self.site and (far := self.geometry.farthest()) > REACH_M:
            what = f"a position is {far:g} m from the site along an axis"
            raise ValueError(f"{what}: give metres, {REACH_M:g} at most")
        return self

    @field_validator("dwell_window_s")
    @classmethod
    def _window_holds_the_limit(cls, window: float | None, info: ValidationInfo) -> float | None:
        limit = info.data.get("max_dwell_s")
        if window is not None and "max_dwell_s" in info.data and (limit is None or window < limit):
            what = "absent" if limit is None else f"{limit}, above it"
            raise ValueError(f"`max_dwell_s` is {what}: give a limit that the window can reach")
        return window

    @field_validator("accuracy_cap_m")
    @classmethod
    def _cap_has_a_buffer(cls, cap: float | None, info: ValidationInfo) -> float | None:
        if cap is not None and not info.data.get("exit_buffer_m"):
            raise ValueError("there is no `exit_buffer_m`: accuracy counts beyond a buffer only")
        return cap

    @field_validator("effective_to")
    @classmethod
    def _end_is_after_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("effective_from")
        if start is not None and end is not None and start >= end:
            raise ValueError(f"it is not after `effective_from` {start.isoformat()}: end later")
        return end

    @field_validator("schedule")
    @classmethod
    def _sols_are_of_mars(cls, given: Schedule | None, info: ValidationInfo) -> Schedule | None:
        if given and given.solar_longitude is not None and info.data.get("body") != "mars":
            raise ValueError("`solar_longitude` is for Mars: give `time_zone`")
        return given

    @property
    def site(self) -> SiteFrame | None:
        """The frame that the geometry is drawn in, None = in longitude and latitude."""
        if self.site_longitude is None or self.site_latitude is None:
            return None
        return SiteFrame(self.body, self.site_longitude, self.site_latitude)

    @property
    def effective_from_us(self) -> int | None:
        """The first instant in force, microseconds since 1970 UTC; None = always was."""
        return _microseconds(self.effective_from)

    @property
    def effective_to_us(self) -> int | None:
        """The first instant no longer in force, microseconds since 1970 UTC; None = open."""
        return _microseconds(self.effective_to)

    def feature(self) -> dict[str, Any]:
        """The zone as a GeoJSON Feature that ``load_zones`` reads back to an equal zone."""
        known = {name: getattr(self, name) for name in PROPERTY_NAMES}
        if self.schedule is not None:
            known["schedule"] = self.schedule.model_dump(mode="json", exclude_none=True)
        for name in ("effective_from", "effective_to"):
            if (time_us := getattr(self, f"{name}_us")) is not None:
                known[name] = rfc3339(time_us)
        return {
            "type": "Feature",
            "id": self.id,
            "properties": {k: v for k, v in known.items() if v is not None and v is not False}
            | self.properties,
            "geometry": self.geometry.geometry(),
        }


PROPERTY_NAMES: Final = tuple(
    name for name in Zone.model_fields if name not in ("id", "geometry", "properties", "line")
)
