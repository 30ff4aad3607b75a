import pytest

from flows.steps.dead_letter import DeadLetterLimit, DeadLetterLimitError
from schemas.message import Reject

BAD = Reject("latitude: 95 is above 90", "latitude", b"{}", "file:x:1")


def test_a_few_bad_records_among_good_ones_stop_nothing():
    limit = DeadLetterLimit(ratio=0.5, run=5, window=10)
    for _ in range(100):
        limit.count(8, [BAD, BAD])
    limit.check()


def test_too_many_in_a_row_stop_the_flow_and_the_message_shows_the_latest():
    limit = DeadLetterLimit(ratio=1.0, run=5, window=1000)
    limit.count(100, [])
    limit.count(0, [BAD] * 5)
    with pytest.raises(DeadLetterLimitError, match=r"5 records in a row.*file:x:1: latitude: 95"):
        limit.check()


def test_too_large_a_share_stops_the_flow():
    limit = DeadLetterLimit(ratio=0.5, run=1000, window=10)
    limit.count(4, [BAD] * 6)
    with pytest.raises(DeadLetterLimitError, match="6 of 10 records"):
        limit.check()


def test_an_input_that_ends_without_one_good_record_is_an_error():
    limit = DeadLetterLimit()
    limit.parts_open = 1
    limit.count(0, [BAD])
    limit.check()
    limit.parts_open = 0
    with pytest.raises(DeadLetterLimitError, match="all 1 records"):
        limit.check()


def test_an_empty_input_is_none():
    DeadLetterLimit().check()
