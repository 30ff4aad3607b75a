"""What is remembered of rules on time: states of runs before there were any still load."""

import pickle

from rules.memory import Memory
from schemas.frame import Frame
from tests.frames import frame_of


def test_a_memory_kept_before_there_were_rules_on_time_loads():
    whole = Memory()
    before = [whole.roster, whole.visits, whole.approaches, whole.outings, whole.conditions]
    loaded = Memory.__new__(Memory)
    loaded.__setstate__(before)
    assert (len(loaded.timers), len(loaded.sightings)) == (0, 0)
    assert len(pickle.loads(pickle.dumps(loaded)).sightings) == 0


def test_a_frame_kept_before_there_were_parts_loads():
    frame = frame_of([{"vehicle_id": "a", "time_s": 1.0}], "p")
    *before, part = (getattr(frame, name) for name in Frame.__slots__)
    loaded = Frame.__new__(Frame)
    loaded.__setstate__(before)
    assert (part, loaded.part, loaded.vehicle_ids) == ("p", "", ("a",))
    assert pickle.loads(pickle.dumps(frame)).part == "p"
