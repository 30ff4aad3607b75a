"""When a flow counts as stalled, hung and ready."""

from time import monotonic
from uuid import uuid4

import pytest

from connectors.backoff import note_answer, note_waiting
from connectors.contract import UnavailableError
from flows.vitals import COMMIT_LIMIT_S, HUNG_S, SHARED_OUT_S, Vitals


@pytest.fixture(autouse=True)
def no_far_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.backoff._far_sides", {})


@pytest.fixture
def vitals() -> Vitals:
    return Vitals(epoch_s=0.5, stall_s=5)


def test_a_flow_that_moves_and_commits_is_well(vitals):
    now = monotonic()
    vitals.open_part("telemetry")
    vitals.moved(now)
    vitals.committed("telemetry", now)
    assert vitals.stalled(now + 4.9) is None
    assert vitals.hung(now + 4.9) is None


def test_nothing_moving_is_a_stall_with_its_age(vitals):
    now = monotonic()
    vitals.open_part("telemetry")
    vitals.moved(now)
    assert vitals.stalled(now + 7) == "nothing has moved for 7.0 s"
    assert vitals.hung(now + 7) is None
    assert vitals.hung(now + HUNG_S) == "nothing has moved for 60.0 s"


def test_a_step_that_does_not_end_is_named(vitals):
    now = monotonic()
    vitals.begin("to_0 commit", now)
    assert vitals.stalled(now + 4) is None
    assert vitals.stalled(now + 6.5) == "`to_0 commit` has not ended for 6.5 s"
    vitals.end(now + 6.6)
    assert vitals.stalled(now + 6.6) is None


def test_while_a_step_is_at_work_it_alone_says_what_is_stuck_and_its_end_is_a_move(vitals):
    now = monotonic()
    vitals.open_part("telemetry")
    vitals.moved(now)
    vitals.begin("watch", now + 4)
    assert vitals.stalled(now + 7) is None
    vitals.end(now + 8)
    assert vitals.stalled(now + 12) is None
    assert vitals.stalled(now + 13.5) == "nothing has moved for 5.5 s"


def test_a_flow_that_may_take_long_is_no_sooner_hung_than_stalled():
    vitals, now = Vitals(epoch_s=0.5, stall_s=3 * HUNG_S), monotonic()
    vitals.open_part("telemetry")
    vitals.moved(now)
    assert vitals.hung(now + 2 * HUNG_S) is None
    assert vitals.hung(now + 3 * HUNG_S) == vitals.stalled(now + 3 * HUNG_S) is not None


def test_a_part_that_has_come_to_its_end_is_waited_for_no_more(vitals):
    vitals.open_part("telemetry")
    vitals.close_part("telemetry")
    assert vitals.stalled(monotonic() + COMMIT_LIMIT_S + 3600) is None


def test_a_process_without_input_and_with_nothing_to_do_is_well(vitals):
    assert vitals.stalled(monotonic() + 3600) is None


def test_moving_without_ever_committing_is_a_stall(vitals):
    now = monotonic()
    vitals.open_part("telemetry")
    later = now + COMMIT_LIMIT_S + 1
    vitals.moved(later)
    assert "no epoch of `telemetry` is committed" in (vitals.stalled(later) or "")
    vitals.committed("telemetry", later)
    assert vitals.stalled(later) is None


def test_a_far_side_that_is_waited_for_stalls_but_no_restart_helps(vitals):
    target, now = f"test://{uuid4().hex}", monotonic()
    vitals.open_part("telemetry")
    vitals.committed("telemetry", now)
    vitals.loaded = {}
    note_answer(target)
    assert vitals.not_ready() is None
    note_waiting(target, UnavailableError("no answer"), 0.0)
    try:
        stalled = vitals.stalled(monotonic() + 6)
        assert stalled is not None
        assert f"waiting for `{target}` (away)" in stalled
        assert vitals.hung(monotonic() + 2 * HUNG_S) is None
        assert vitals.not_ready() == f"`{target}` is away"
    finally:
        note_answer(target)
    assert vitals.not_ready() is None


def test_ready_only_when_loaded_and_an_epoch_of_each_part_is_committed(vitals):
    assert "being checked" in (vitals.not_ready() or "")
    vitals.loaded = {"zones": 1}
    assert "no epoch" in (vitals.not_ready() or "")
    vitals.started(monotonic())
    assert "no epoch" in (vitals.not_ready() or "")
    assert vitals.not_ready(monotonic() + SHARED_OUT_S) is None  # No part of the input is its.
    vitals.open_part("a")
    assert "no epoch" in (vitals.not_ready() or "")
    vitals.committed("a", monotonic())
    assert vitals.not_ready() is None
