"""Arming, trigger by trigger: what fires when, and what does not fire again."""

import numpy as np
import pytest

from rules.planning.arming import ARM, CLEAR, QUIET, TRUE, UNKNOWN, Arming, Arms
from rules.tracks import NEVER
from schemas.trigger import Trigger

SYMBOLS = {"T": TRUE, "c": CLEAR, "q": QUIET, "?": UNKNOWN, "A": ARM}


def fires(word, cuts=(), **given):
    """Seconds at which a trigger fires through a word of symbols, ten seconds apart."""
    arms = Arms([Trigger.model_validate({"id": "t", "when": "true", **given})])
    symbol = np.array([[SYMBOLS[letter]] for letter in word], np.int8)
    time_us = np.arange(len(word)) * 10_000_000
    arming, found = Arming.fresh(1, 1), []
    for a, b in zip([0, *cuts], [*cuts, len(word)], strict=True):
        rows = slice(a, b)
        arming, fired = arms.follow(arming, np.zeros(b - a, np.intp), time_us[rows], symbol[rows])
        found += [int(time_us[a + one.entry]) // 1_000_000 for one in fired]
    return found


@pytest.mark.parametrize(
    ("word", "given", "expected"),
    [
        ("TTTT", {}, [0]),
        ("ccTT", {}, [20]),
        ("TTcT", {}, [0, 30]),
        ("TTcTT", {"consecutive": 2}, [10, 40]),
        ("TcTcTcTT", {"consecutive": 2}, [70]),
        ("T?T?T", {"consecutive": 3}, [40]),  # what is not known breaks no row
        ("T?????cT", {}, [0, 70]),
        ("TTTTTT", {"for": "30s"}, [30]),
        ("TTTcTTTTT", {"for": "30s"}, [70]),
        ("TqTqcT", {"clear_when": "true"}, [0, 50]),  # false alone does not arm
        ("TcTcTcTcT", {"cooldown": "40s"}, [0, 40, 80]),
        ("TcTTTTT", {"cooldown": "40s"}, [0, 40]),
        ("TTTTTTTT", {"rearm": "time", "rearm_after": "30s"}, [0, 30, 60]),
        ("TcTTTTTT", {"rearm": "time", "rearm_after": "30s", "consecutive": 2}, [30, 70]),
        ("TcTcTcTc", {"rearm": "command"}, [0]),
        ("TcTATcTT", {"rearm": "command"}, [0, 40]),
        ("TATAT", {}, [0, 20, 40]),  # a command arms every trigger
        ("TTATT", {"cooldown": "1m"}, [0]),
        ("cccc????", {}, []),
    ],
)
def test_when_a_trigger_fires(word, given, expected):
    assert fires(word, **given) == expected
    for cut in range(1, len(word)):
        assert fires(word, [cut], **given) == expected
    assert fires(word, range(1, len(word)), **given) == expected


def test_vehicles_and_triggers_do_not_meddle_with_each_other():
    triggers = [
        Trigger.model_validate({"id": name, "when": "true", "consecutive": n})
        for name, n in (("a", 1), ("b", 2))
    ]
    arms = Arms(triggers)
    slot = np.array([0, 0, 2, 2, 2])
    symbol = np.array([[3, 2], [3, 3], [2, 3], [2, 3], [3, 3]], np.int8)
    arming, fired = arms.follow(Arming.fresh(3, 2), slot, np.arange(5) * 10, symbol)
    assert [(one.entry, one.trigger, one.since_us) for one in fired] == [
        *((0, 0, 0), (4, 0, 40), (3, 1, 20)),
    ]
    assert arming.passive.tolist() == [[True, False], [False, False], [True, True]]
    assert arming.count[0, 1] == 1
    assert arming.fired_us[1].tolist() == [NEVER, NEVER]


def test_memory_is_immutable_and_can_be_given_other_triggers():
    arms = Arms([Trigger.model_validate({"id": "t", "when": "true"})])
    before = Arming.fresh(1, 1)
    after, _ = arms.follow(before, np.array([0]), np.array([5]), np.array([[TRUE]], np.int8))
    assert not before.passive.any()
    other = after.with_triggers(np.array([-1, 0]))
    assert other.passive.tolist() == [[False, True]]
    assert other.grown(2).passive.tolist() == [[False, True], [False, False]]
