"""The history keeps few pieces however few records a frame has, and all records in order."""

import numpy as np
import pytest

from rules.editions import Keys
from rules.history import PIECE_ROWS, SMALL_PIECES, SMALL_ROWS, History, Piece
from rules.memory import Memory
from schemas.frame import Frame


def frame(first_us: int, rows: int) -> Frame:
    """Records of two vehicles in turns, a microsecond apart."""
    return Frame(
        vehicle_ids=("a", "b"),
        vehicle=(np.arange(rows) % 2).astype(np.int32),
        time_us=first_us + np.arange(rows),
        kind=np.zeros(rows, np.int8),
        body=np.zeros(rows, np.int8),
        numbers={"depth_m": np.arange(first_us, first_us + rows, dtype=np.float64)},
    )


def filled(history: History, sizes: list[int], *, late: bool = False) -> History:
    at = 0
    for size in sizes:
        history = history.add(frame(at, size), np.arange(size) % 2, late=late)
        at += size
    return history


def marked(at_us: int = 0) -> History:
    return History().checkpoint(Memory(), Keys(), at_us)


def pieces(history: History) -> list[Piece]:
    return [chunk for chunk in history.chunks if isinstance(chunk, Piece)]


@pytest.mark.parametrize("size", [1, 7, 100, SMALL_ROWS])
def test_small_pieces_become_one(size):
    count = 20 * SMALL_ROWS // size
    history = filled(marked(), [size] * count)
    kept = pieces(history)
    rows = [len(piece.frame) for piece in kept]
    assert sum(rows) == count * size
    assert len([one for one in rows if one < SMALL_ROWS]) < SMALL_PIECES
    assert len([one for one in rows if one >= SMALL_ROWS]) <= 20
    numbers = [chunk.number for chunk in history.chunks]
    assert numbers == sorted(set(numbers))
    assert history.numbered > numbers[-1]


def test_records_and_their_vehicles_keep_their_order():
    history = filled(marked(), [1, 3, 500, 2, 2, 1] * 60)
    count = 509 * 60
    found, slot = history.records(0, np.array([True, True]))
    assert found.time_us.tolist() == list(range(count))
    assert found.number("depth_m").tolist() == list(range(count))
    names = [found.vehicle_ids[code] for code in found.vehicle.tolist()]
    assert names == ["ab"[one] for one in slot.tolist()]


def test_a_piece_that_came_late_stays_apart():
    history = filled(marked(), [1] * 10)
    history = filled(history, [1] * SMALL_ROWS, late=True)
    history = filled(history, [1] * SMALL_ROWS)
    kept = pieces(history)
    assert [len(piece.frame) for piece in kept if piece.late] == [1] * SMALL_ROWS
    first = kept.index(next(piece for piece in kept if piece.late))
    assert sum(len(piece.frame) for piece in kept[:first]) == 10
    assert sum(len(piece.frame) for piece in kept[first + SMALL_ROWS :]) == SMALL_ROWS


def test_a_piece_is_never_joined_over_a_checkpoint():
    history = filled(marked(), [1] * 5).checkpoint(Memory(), Keys(), 5)
    history = filled(history, [1] * 5 * SMALL_PIECES)
    [_, second] = history.checkpoints()
    before = [chunk for chunk in history.chunks[:second] if isinstance(chunk, Piece)]
    assert sum(len(piece.frame) for piece in before) == 5


def test_a_checkpoint_is_wanted_after_a_quarter_of_the_lateness_or_many_records():
    assert History().wants_checkpoint(0, 100)
    assert not marked(50).wants_checkpoint(1_000, 100)
    history = filled(marked(50), [1])
    assert not history.wants_checkpoint(74, 100)
    assert history.wants_checkpoint(75, 100)
    assert not filled(marked(50), [PIECE_ROWS]).wants_checkpoint(50, 100)
    assert filled(marked(50), [PIECE_ROWS, 1]).wants_checkpoint(50, 100)
    again = filled(marked(50), [PIECE_ROWS, 1]).checkpoint(Memory(), Keys(), 60)
    assert not again.wants_checkpoint(1_000, 100)


def test_of_many_records_a_fourth_lies_between_two_checkpoints():
    history = marked()
    for at_us in (1, 2, 3, 4):
        history = filled(history, [PIECE_ROWS + 1]).checkpoint(Memory(), Keys(), at_us)
    few = filled(history, [PIECE_ROWS + 1])
    assert not few.wants_checkpoint(4, 10**9)
    assert filled(history, [PIECE_ROWS + 1, PIECE_ROWS + 1]).wants_checkpoint(4, 10**9)


def test_what_came_since_the_last_time_is_gathered_to_one_piece():
    history = filled(marked(), [10, SMALL_ROWS, 300, 10]).gathered()
    [first] = pieces(history)
    assert len(first.frame) == 320 + SMALL_ROWS
    assert history.gathered() == history
    history = filled(history, [300, 400]).gathered()
    assert pieces(history)[0] is first, "what is stored is not stored again"
    assert [len(piece.frame) for piece in pieces(history)] == [320 + SMALL_ROWS, 700]
    found, _ = filled(marked(), [10, 300]).gathered().records(0, np.array([True, True]))
    assert found.time_us.tolist() == list(range(310))


def test_small_pieces_that_were_gathered_are_gathered_again():
    history = filled(filled(marked(), [10, 20]).gathered(), [30]).gathered()
    assert [len(piece.frame) for piece in pieces(history)] == [60]
