"""Rules (in CEL and in JsonLogic) and complete records that every engine can judge."""

import random
from typing import Any, Final

Record = dict[str, Any]

RECORDS: Final = 10_000

# CEL, and the same in JsonLogic; `{}` is the number that tells the rules of a pattern apart.
_NUMBER: Final = "{}"
_PATTERNS: Final[tuple[tuple[str, Any], ...]] = (
    ("depth_m > {}", {">": [{"var": "depth_m"}, _NUMBER]}),
    (
        "battery_pct < {} && speed_mps > 1.0",
        {"and": [{"<": [{"var": "battery_pct"}, _NUMBER]}, {">": [{"var": "speed_mps"}, 1.0]}]},
    ),
    (
        'depth_m > {} || status == "fault"',
        {"or": [{">": [{"var": "depth_m"}, _NUMBER]}, {"==": [{"var": "status"}, "fault"]}]},
    ),
    (
        'kind == "auv" && depth_m > {} && speed_mps < 0.5',
        {
            "and": [
                {"==": [{"var": "kind"}, "auv"]},
                {">": [{"var": "depth_m"}, _NUMBER]},
                {"<": [{"var": "speed_mps"}, 0.5]},
            ]
        },
    ),
    ("speed_mps * 30.0 > {}", {">": [{"*": [{"var": "speed_mps"}, 30.0]}, _NUMBER]}),
    (
        "latitude > {} ? depth_m > 10.0 : depth_m > 20.0",
        {
            "if": [
                {">": [{"var": "latitude"}, _NUMBER]},
                {">": [{"var": "depth_m"}, 10.0]},
                {">": [{"var": "depth_m"}, 20.0]},
            ]
        },
    ),
    (
        'status in ["fault", "degraded"] && battery_pct < {}',
        {
            "and": [
                {"in": [{"var": "status"}, ["fault", "degraded"]]},
                {"<": [{"var": "battery_pct"}, _NUMBER]},
            ]
        },
    ),
)


def rules(count: int) -> list[dict[str, Any]]:
    """So many different rules: ``cel`` and ``jsonlogic`` of each."""
    made = []
    for n in range(count):
        cel, jsonlogic = _PATTERNS[n % len(_PATTERNS)]
        number = round(0.5 + n * 0.09, 2)
        made.append({"cel": cel.format(number), "jsonlogic": _with_number(jsonlogic, number)})
    return made


def records(count: int = RECORDS) -> list[Record]:
    """Complete records of 1,000 vehicles, the same each time."""
    chance = random.Random(1)  # noqa: S311 (no secret)
    return [
        {
            "vehicle_id": f"auv-{n % 1000}",
            "timestamp": 1_768_000_000 + n,
            "kind": chance.choice(["auv", "glider"]),
            "depth_m": round(chance.uniform(0.0, 300.0), 1),
            "speed_mps": round(chance.uniform(0.0, 3.0), 2),
            "battery_pct": round(chance.uniform(0.0, 100.0), 1),
            "latitude": round(chance.uniform(-90.0, 90.0), 5),
            "longitude": round(chance.uniform(-180.0, 179.0), 5),
            "status": chance.choice(["ok", "degraded", "fault"]),
        }
        for n in range(count)
    ]


def _with_number(logic: Any, number: float) -> Any:
    if isinstance(logic, dict):
        return {name: _with_number(part, number) for name, part in logic.items()}
    if isinstance(logic, list):
        return [_with_number(part, number) for part in logic]
    return number if logic == _NUMBER else logic
