"""JSON Schemas of what crosses a border: telemetry in, the data of each event out."""

from typing import Any, Final

from pydantic import BaseModel

from schemas.command import Command
from schemas.payloads import PAYLOADS
from schemas.telemetry import Telemetry

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, dict[str, Any]]:
    """Name -> schema: ``telemetry``, ``command``, and each type of event for its ``data``."""
    models: dict[str, type[BaseModel]] = {
        "telemetry": Telemetry,
        "command": Command,
        **PAYLOADS,
    }
    return {
        name: {"$schema": DIALECT, **model.model_json_schema(mode="validation")}
        for name, model in models.items()
    }
