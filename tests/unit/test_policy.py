"""Who may do what: grants, patterns, files with mistakes."""

import pytest

from schemas.command import Command, asked
from schemas.policy import Grant, Policy, PolicyError, load_policy
from tests.watching import ROOT

TEXT = b"""
- who: compliance-*
  may: [zones.put, rules.put]
- who: [ana, ben]
  may: alarms.acknowledge
  subjects: ["auv-*", rover-1]
"""


@pytest.fixture
def policy() -> Policy:
    return load_policy(TEXT, "policy.yaml")


@pytest.mark.parametrize(
    ("who", "action", "subject", "may"),
    [
        ("compliance-1", "zones.put", "any", True),
        ("compliance-1", "zones.remove", "any", False),
        ("compliance", "zones.put", "any", False),
        ("Compliance-1", "zones.put", "any", False),
        ("ana", "alarms.acknowledge", "auv-7", True),
        ("ana", "alarms.acknowledge", "rover-1", True),
        ("ana", "alarms.acknowledge", "rover-2", False),
        ("ana", "alarms.shelve", "auv-7", False),
        ("", "alarms.acknowledge", "auv-7", False),
    ],
)
def test_what_no_grant_covers_is_refused_with_who_what_and_on_what(
    policy, who, action, subject, may
):
    refused = policy.refusal(who, action, subject)
    assert (refused == "") is may
    if not may:
        assert all(f"`{word}`" in refused for word in (who, subject))
        assert action in refused


def test_a_policy_without_grants_refuses_all():
    assert load_policy(b"[]", "p") == Policy()
    assert Policy().refusal("root", "zones.put", "z")


def test_the_example_is_one():
    path = ROOT / "deploy" / "policy" / "policy.yaml"
    policy = load_policy(path.read_bytes(), str(path))
    assert not policy.refusal("compliance-ana", "rules.remove", "r")
    assert not policy.refusal("survey-lead", "zones.put", "hazard-3")
    assert policy.refusal("survey-lead", "zones.put", "apei-4")
    assert policy.refusal("operator-1", "alarms.clear", "auv-1")
    assert not policy.refusal("duty-officer", "alarms.clear", "rover-1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "is no list"),
        (b"who: ana", "is no list"),
        (b"- [", "not YAML"),
        (b"\xff", "not YAML"),
        (b"- &a {who: x}\n- *a", "alias"),
        (b"- {who: ana, may: zones.drop}", "p:1: `may.0` 'zones.drop'"),
        (b"- {who: ana}", "`may`"),
        (b"- {may: zones.put}", "`who`"),
        (b"\n- {who: [], may: zones.put}", "p:2: `who`"),
        (b"- {who: ana, may: zones.put, to: x}", "`to`"),
        (b"- 7", "p:1"),
        (b"- !!python/object/apply:os.system [true]", "p:1"),
        (b"[" * 1500, "not YAML"),
        (b" " * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_a_file_with_a_mistake_grants_nothing(text, told):
    with pytest.raises(PolicyError) as caught:
        load_policy(text, "p")
    assert told in str(caught.value)


def test_every_mistake_is_listed():
    with pytest.raises(PolicyError) as caught:
        load_policy(b"- {who: ana}\n- {who: ben, may: zones.put}\n- {may: zones.put}", "p")
    assert [mistake.split(":")[1] for mistake in caught.value.mistakes] == ["1", "3"]


def test_commands_are_asked_for_by_who_gives_them_and_the_vehicle():
    for action in ("acknowledge", "shelve", "unshelve", "clear"):
        until = "2026-01-02T00:00:00Z" if action == "shelve" else None
        command = Command(
            id="c",
            action=action,
            alarm_id="0" * 32,
            vehicle_id="auv-1",
            time="2026-01-01T00:00:00Z",
            who="ana",
            until=until,
        )
        who, wanted, subject = asked(command)
        assert (who, wanted, subject) == ("ana", f"alarms.{action}", "auv-1")
        Grant(who=who, may=wanted)
