from dataclasses import dataclass

import pytest

from schemas.effective import overlaps


@dataclass
class Version:
    version: int
    effective_from_us: int | None
    effective_to_us: int | None
    id: str = "z"
    line: int | None = 7


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((None, None), (None, None)),
        ((None, None), (5, None)),
        ((0, 10), (9, None)),
        ((None, 5), (None, 9)),
    ],
)
def test_versions_in_force_together_are_told(first, second):
    (told,) = overlaps([Version(1, *first), Version(2, *second)], "zones")
    assert told.startswith('zones:7: "z": version ')
    assert "in force together" in told


@pytest.mark.parametrize(
    ("first", "second"), [((None, 5), (5, None)), ((0, 10), (20, 30)), ((5, None), (None, 5))]
)
def test_versions_that_hand_over_are_fine(first, second):
    assert not list(overlaps([Version(1, *first), Version(2, *second)], "zones"))


def test_other_ids_do_not_matter():
    assert not list(overlaps([Version(1, None, None), Version(1, None, None, id="y")], "zones"))
