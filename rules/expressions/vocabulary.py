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

VEHICLE_FIELDS: Final = {"id": "vehicle_id", "kind": "kind", "body": "body"}
"""Fields of ``vehicle``, and those of the record they are."""

WHOLES: Final = ("record", "vehicle", "zone", "sensors", "previous")
NAMES: Final = (*RECORD_TYPES, *WHOLES)
"""Every name that may stand at the start of a path."""

FUNCTIONS: Final = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size"),
    *("rate", "distance_to"),
    *("contains", "endsWith", "matches", "startsWith"),
    *("charAt", "format", "indexOf", "join", "lastIndexOf", "lowerAscii", "quote", "replace"),
    *("reverse", "split", "substring", "trim", "upperAscii"),
    *("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
    *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"),
    *("getMilliseconds", "getMinutes", "getMonth", "getSeconds"),
    *("math.abs", "math.ceil", "math.floor", "math.greatest", "math.isFinite", "math.isInf"),
    *("math.isNaN", "math.least", "math.round", "math.sign", "math.sqrt", "math.trunc"),
)
"""Functions and macros that an expression may call, for suggestions."""
