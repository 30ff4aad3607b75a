"""Event time in planning: every key group knows how far it has come, whoever brought it there."""

from hypothesis import given
from hypothesis import strategies as st

from rules.assessment import KeyGroups
from tests.planning import answers, book_of, told

BOOK = book_of("""
- {id: low, when: battery_pct < 20.0, deadline: 30s}
- {id: gone, absent_for: 25s, deadline: 10m}
""")
GROUPS = KeyGroups(4)
# One vehicle a group.
VEHICLES = [next(f"v{n}" for n in range(99) if GROUPS.of(f"v{n}") == group) for group in range(4)]


def record(second, vehicle=0, battery_pct=10.0):
    return {
        "vehicle_id": VEHICLES[vehicle],
        "time_s": float(second),
        "battery_pct": battery_pct,
    }


def test_a_deadline_that_another_vehicle_s_record_passes_has_expired_within_the_slice():
    records = [record(0), *(record(second, 1, 90.0) for second in (1, 20, 31))]
    for cuts in ((), (1,), (1, 2, 3)):
        found = answers(told(BOOK, records, cuts, groups=4))
        topics = [topic for topic, _ in found]
        assert topics.count("compliance_violations") == 1, cuts


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(0, 3), st.sampled_from([10.0, 90.0])),
        min_size=2,
        max_size=12,
    ),
    st.sets(st.integers(1, 11)),
)
def test_what_holds_when_the_input_ends_hangs_on_no_cut(steps, cuts):
    second, records = 0, []
    for step_s, vehicle, battery_pct in steps:
        second += step_s
        records.append(record(second, vehicle, battery_pct))
    assert answers(told(BOOK, records, cuts, groups=4)) == answers(told(BOOK, records, groups=4))
