"""What every payload has."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Payload(BaseModel):
    """What every payload has: which event, which version of it, about which vehicle."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event_id: Identity
    version: int = Field(ge=1)
    retracted: bool
    vehicle_id: str
