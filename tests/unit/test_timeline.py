"""Versions in a store follow one another: each counts from its beginning on."""

from datetime import UTC, datetime

from schemas.effective import timeline
from schemas.geojson import Area
from schemas.zone import Zone


def day(number):
    return datetime(2026, 1, number, tzinfo=UTC)


def zone(version, *, side=1.0, begin=None, end=None, name="a"):
    ring = [[0, 0], [side, 0], [side, side], [0, side], [0, 0]]
    return Zone(
        id=name, version=version, geometry=Area([[ring]]), effective_from=begin, effective_to=end
    )


def spans(zones):
    return [(z.version, z.effective_from, z.effective_to) for z in timeline(zones)]


def test_a_version_ends_where_the_next_begins():
    assert spans([zone(2, side=2.0, begin=day(5)), zone(1)]) == [
        (1, None, day(5)),
        (2, day(5), None),
    ]
    # One that ends before stays as it is.
    assert spans([zone(1, end=day(3)), zone(2, side=2.0, begin=day(5))])[0] == (1, None, day(3))


def test_a_version_that_always_counts_leaves_nothing_of_those_before():
    assert spans([zone(1), zone(2, side=2.0)]) == [(2, None, None)]
    assert spans([zone(1, begin=day(9)), zone(2, side=2.0, begin=day(5))]) == [(2, day(5), None)]


def test_a_version_that_only_ends_another_sets_its_end():
    assert spans([zone(1), zone(2, end=day(4))]) == [(1, None, day(4))]
    again = [zone(1), zone(2, end=day(4)), zone(3, side=2.0, begin=day(6)), zone(4, side=2.0,
             begin=day(6), end=day(8))]  # fmt: skip
    assert spans(again) == [(1, None, day(4)), (3, day(6), day(8))]


def test_ids_have_timelines_of_their_own():
    assert [z.id for z in timeline([zone(1, name="b"), zone(1, name="a")])] == ["b", "a"]
