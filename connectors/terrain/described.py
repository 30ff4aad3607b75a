"""An elevation grid of equal steps in degrees: a JSON descriptor and raw heights beside it.

The descriptor has ``width``, ``height`` (pixels), ``minElev``, ``maxElev`` (m), ``bbox`` (``minLon
minLat maxLon maxLat`` of the outer pixel edges, deg, latitudes as the body's telemetry has them)
and ``body`` (default mars). The heights lie in the file of the same name that ends in ``.bin``:
little-endian uint16, rows from north to south, 0 for ``minElev`` to 65535 for ``maxElev``.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pyproj import CRS

from connectors.contract import SettingsError
from connectors.terrain.raw import RawRaster, mapped
from schemas.ellipsoids import ELLIPSOIDS
from schemas.raster import Georeference

_STEPS: Final = 65_535

_Side = Annotated[int, Field(ge=2, le=65_536)]


class Box(BaseModel):
    """The outer pixel edges, deg."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    west: float = Field(alias="minLon", ge=-360, le=360)
    south: float = Field(alias="minLat", ge=-90, le=90)
    east: float = Field(alias="maxLon", ge=-360, le=360)
    north: float = Field(alias="maxLat", ge=-90, le=90)

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if not (self.west < self.east <= self.west + 360 and self.south < self.north):
            raise ValueError("give minLon < maxLon and minLat < maxLat, at most one turn wide")
        return self


class Descriptor(BaseModel):
    """What a raw elevation grid holds; elevations in m, further keys are let be."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    width: _Side
    height: _Side
    lowest_m: float = Field(alias="minElev")
    highest_m: float = Field(alias="maxElev")
    box: Box = Field(alias="bbox")
    body: Literal["earth", "mars", "moon"] = "mars"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lowest_m > self.highest_m:
            raise ValueError("give minElev <= maxElev")
        return self

    @property
    def step_m(self) -> float:
        """What one step of a value is in metres."""
        return (self.highest_m - self.lowest_m) / _STEPS


Form = TypeVar("Form", bound=Descriptor)


def read_descriptor(path: Path, called: str, form: type[Form]) -> Form:
    """The descriptor in a file, of this form or narrower; ``called`` names it in errors.

    Raises:
        SettingsError: it cannot be read or is wrong.
    """
    try:
        return form.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise SettingsError(f"{called} `{path}`: cannot be read ({exc.strerror})") from exc
    except ValidationError as exc:
        raise SettingsError(f"{called} `{path}`: {_told(exc)}; mend the descriptor") from exc


def open_described(path: Path) -> RawRaster:
    """The grid, mapped; raises SettingsError where descriptor or heights are wrong."""
    found = read_descriptor(path, "terrain", Descriptor)
    values = mapped(path.with_suffix(".bin"), "<u2", (found.height, found.width))
    box = found.box
    across, down = (box.east - box.west) / found.width, (box.north - box.south) / found.height
    affine = (across, 0.0, box.west + across / 2.0, 0.0, -down, box.north - down / 2.0)
    return RawRaster(
        path,
        values,
        Georeference(_degrees(found.body), affine),
        scale=found.step_m,
        offset=found.lowest_m,
    )


def _degrees(body: str) -> CRS:
    if body == "earth":
        return CRS.from_epsg(4326)
    # A sphere, so that latitudes are planetocentric, as in the body's telemetry.
    return CRS.from_proj4(f"+proj=longlat +R={ELLIPSOIDS[body].equatorial_m} +no_defs")


def _told(error: ValidationError) -> str:
    told = (
        (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))
        for each in error.errors()
    )
    return "; ".join(f"`{key}`: {what}" if key else what for key, what in told)
