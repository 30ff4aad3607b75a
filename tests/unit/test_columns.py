import numpy as np
import pytest

from schemas.columns import from_columns, to_columns
from tests.frames import frame_of

FRAME = frame_of(
    [
        {"vehicle_id": "a", "time_s": 1.5, "depth_m": 3.0, "status": "diving"},
        {"vehicle_id": "b", "time_s": 2.5, "kind": "rover", "body": "mars", "sensors": {"x": 1}},
    ]
)


def test_a_frame_comes_back_from_its_columns():
    back = from_columns(to_columns(FRAME))
    assert [back.record(i) for i in range(2)] == [FRAME.record(i) for i in range(2)]
    assert np.isnan(back.number("depth_m")[1])


def test_columns_of_unequal_length_are_refused():
    columns = to_columns(FRAME)
    columns["time_us"] = columns["time_us"][:1]
    with pytest.raises(ValueError, match="do not fit"):
        from_columns(columns)
