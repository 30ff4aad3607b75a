"""Draining: a partition may go only once an epoch with all that it handed out is committed."""

from collections.abc import Iterator

import pytest

from flows.steps.drain import Drain, Drained, DrainingSource


class Part:
    """A partition that hands out batches in turn until its intake is closed."""

    def __init__(self, batches: Iterator[list[str]], drain: Drain) -> None:
        self.batches, self.drain, self.closed = batches, drain, 0

    def next_batch(self) -> list[str]:
        return [] if self.drain.requested else next(self.batches)

    def next_awake(self) -> None:
        return None

    def snapshot(self) -> str:
        return "place"

    def close(self) -> None:
        self.closed += 1


class Source:
    def __init__(self, drain: Drain, batches: list[list[str]]) -> None:
        self.made = {name: Part(iter(batches), drain) for name in "ab"}

    def list_parts(self) -> list[str]:
        return list(self.made)

    def build_part(self, step_id: str, for_part: str, resume_state: object) -> Part:
        return self.made[for_part]


@pytest.fixture
def drained() -> list[None]:
    """As long as how often the drain has told."""
    return []


@pytest.fixture
def drain(drained) -> Drain:
    made = Drain()
    made.on_drained = lambda: drained.append(None)
    return made


def parts(drain: Drain, batches: list[list[str]]):
    source = Source(drain, batches)
    within = DrainingSource(source, drain)
    return [within.build_part("from", name, None) for name in within.list_parts()], source.made


def test_drained_only_when_each_part_has_committed_what_it_handed_out(drain, drained):
    (a, b), within = parts(drain, [["x"]])
    assert (a.next_batch(), b.next_batch()) == (["x"], ["x"])
    drain.request()
    assert a.next_batch() == []  # Handed out, and in no snapshot yet.
    assert a.snapshot() == "place"
    assert (drained, within["a"].closed) == ([], 0)
    assert a.next_batch() == []
    assert (drained, within["a"].closed) == ([], 1)  # The other part is not settled.
    b.snapshot()
    b.next_batch()
    assert len(drained) == 1
    # The engine asks on until the process ends: it says the same, and is told once.
    assert (a.next_batch(), a.snapshot()) == ([], "place")
    drain.request()
    assert len(drained) == 1
    a.close()
    assert within["a"].closed == 1


def test_a_part_that_hands_out_more_after_a_snapshot_needs_another(drain, drained):
    (a, b), _ = parts(drain, [["x"], ["y"]])
    for part in (a, b):
        part.next_batch()
        part.snapshot()
        assert part.next_batch() == ["y"]
    drain.request()
    assert (a.next_batch(), b.next_batch(), drained) == ([], [], [])
    for part in (a, b):
        part.snapshot()
        part.next_batch()
    assert len(drained) == 1


def test_a_part_at_its_end_is_settled_and_not_drained_unasked(drain, drained):
    (a, b), _ = parts(drain, [])
    for part in (a, b):
        with pytest.raises(StopIteration):
            part.next_batch()
    assert drained == []
    drain.request()
    assert len(drained) == 1


def test_a_flow_of_one_process_leaves_the_engine():
    with pytest.raises(Drained):
        Drain().request()
