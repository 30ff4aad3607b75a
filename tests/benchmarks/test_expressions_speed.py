"""How fast rules are judged: 1 to 1,000 conditions on frames of 100 to 10,000 rows."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rules.expressions import Columns, compile_expression
from schemas.frame import Frame, Texts

PATTERNS = (
    "depth_m > {}.0",
    "battery_pct < {}.0 && speed_mps > 1.0",
    'depth_m > {}.0 || status == "fault"',
    'kind == "auv" && depth_m > {}.0 && speed_mps < 0.5',
    "has(record.depth_m) && depth_m > {}.5",
    "speed_mps * 2.0 > {}.0",
    "latitude > {}.0 ? depth_m > 10.0 : depth_m > 20.0",
    'status in ["fault", "degraded"] && battery_pct < {}.0',
)


def frame_of(rows: int) -> Frame:
    """Records of 1,000 vehicles, a tenth of the measurements missing."""
    chance = np.random.default_rng(1)

    def measured(most: float) -> np.ndarray:
        column = chance.uniform(0.0, most, rows)
        column[chance.random(rows) < 0.1] = np.nan
        return column

    return Frame(
        vehicle_ids=tuple(f"auv-{n}" for n in range(1000)),
        vehicle=chance.integers(0, 1000, rows).astype(np.int32),
        time_us=1_768_000_000_000_000 + np.arange(rows) * 1_000_000,
        kind=chance.integers(0, 2, rows).astype(np.int8),
        body=np.zeros(rows, np.int8),
        numbers={
            "depth_m": measured(300.0),
            "speed_mps": measured(3.0),
            "battery_pct": measured(100.0),
            "latitude": chance.uniform(-90.0, 90.0, rows),
        },
        texts={
            "status": Texts(
                chance.integers(0, 3, rows).astype(np.int32), ("ok", "degraded", "fault")
            )
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 1_000, 10_000])
@pytest.mark.parametrize("rules", [1, 20, 100, 1_000])
def test_judging(benchmark: BenchmarkFixture, rules: int, rows: int) -> None:
    conditions = [
        compile_expression(PATTERNS[n % len(PATTERNS)].format(n % 90)) for n in range(rules)
    ]
    frame = frame_of(rows)

    def judge() -> int:
        columns = Columns.of_records(frame)
        return sum(len(condition.judge(columns)) for condition in conditions)

    assert benchmark(judge) == rules * rows
