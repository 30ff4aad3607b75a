"""The names an expression may use: fields of the record, of the zone it is in, of its sensors."""

from typing import Final

from schemas.frame import NUMBER_FIELDS, TEXT_FIELDS

RECORD_TEXTS: Final = ("vehicle_id", "kind", "body", *TEXT_FIELDS)
RECORD_TYPES: Final[dict[str, str]] = (
    dict.fromkeys(NUMBER_FIELDS, "double")
    | dict.fromkeys(RECORD_TEXTS, "string")
    | {"timestamp": "timestamp", "sequence": "int"}
)

ZONE_TEXTS: Final = ("id", "name", "kind", "body")
ZONE_NUMBERS: Final = (
    "min_depth_m",
    "max_depth_m",
    "min_altitude_m",
    "max_altitude_m",
    "min_height_m",
    "max_height_m",
    "max_dwell_s",
)
ZONE_TYPES: Final[dict[str, str]] = (
    dict.fromkeys(ZONE_TEXTS, "string") | dict.fromkeys(ZONE_NUMBERS, "double") | {"version": "int"}
)

WHOLES: Final = ("record", "zone", "sensors")
NAMES: Final = (*RECORD_TYPES, *WHOLES)
"""Every name that may stand at the start of a path."""
