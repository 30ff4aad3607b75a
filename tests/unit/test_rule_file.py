"""Files of rules: what is read, and every mistake with its line."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.rule import Rule, RuleFileError, Scope, ZoneScope
from schemas.rule_file import parse_rules

WHOLE = b"""\
# a rule with everything
- id: apei-no-work
  when: zone.kind == "apei" && depth_m > 200.0 && speed_mps < 0.5
  for: 1m30s
  severity: critical
  scope:
    {kinds: [auv], vehicles: ["auv-*"], bodies: [earth], zones: {kind: [apei], id: [a1]},
     missions: [m]}
  message: "{vehicle_id} at work in {zone.name} at {depth_m} m"
  source: "ISBA/18/C/22"
  effective_from: 2026-01-01T00:00:00Z
  effective_to: 2027-01-01T00:00:00+02:00
  mode: shadow
  version: 2

- {id: short, when: depth_m > 3, severity: info}
"""


def mistakes(text: bytes | str) -> tuple[str, ...]:
    with pytest.raises(RuleFileError) as caught:
        parse_rules(text.encode() if isinstance(text, str) else text, "rules.yaml")
    return caught.value.mistakes


def rule(**fields: object) -> Rule:
    return Rule.model_validate({"id": "a", "when": "true", "severity": "info"} | fields)


def test_every_field_of_a_rule_is_read() -> None:
    first, second = parse_rules(WHOLE, "rules.yaml")
    assert first.when == 'zone.kind == "apei" && depth_m > 200.0 && speed_mps < 0.5'
    assert (first.id, first.for_s, first.severity) == ("apei-no-work", 90.0, "critical")
    assert first.scope == Scope(
        kinds=("auv",),
        vehicles=("auv-*",),
        bodies=("earth",),
        zones=ZoneScope(kind=("apei",), id=("a1",)),
        missions=("m",),
    )
    assert first.effective_from_us == 1_767_225_600_000_000
    assert first.effective_to_us == 1_767_225_600_000_000 + (365 * 24 - 2) * 3_600_000_000
    assert (first.mode, first.version, first.line) == ("shadow", 2, 2)
    assert (second.for_s, second.mode, second.version, second.line) == (0.0, "active", 1, 16)
    assert (second.effective_from_us, second.scope) == (None, Scope())


def test_a_rule_reads_back_from_its_own_json() -> None:
    first = parse_rules(WHOLE, "rules.yaml")[0]
    assert Rule.model_validate_json(first.model_dump_json()) == first.model_copy(
        update={"line": None}
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5), ("2d", 172_800.0)),
        *(("1.5h", 5400.0), ("45", 45.0), ("0.5", 0.5), (60, 60.0), ("1h 30m", None)),
        *(("1:30", None), ("-5s", None), ("3x", None), ("", None), ("1e9d", None), ("999d", None)),
    ],
)
def test_durations(written: object, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValidationError):
            rule(**{"for": written})
    else:
        assert rule(**{"for": written}).for_s == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "1:1: the file is empty: give a list of rules"),
        (b"# nothing\n", "1:1: the file is empty"),
        (b"id: a", "1:1: a rule file is a list: begin each rule with `- id: ...`"),
        (b"[]", "1:1: the list is empty"),
        (b"- id: a\n\xff", "2:1: a byte is not UTF-8: save the file as UTF-8"),
        (b"- id: a\n  when: b\n   c: d", "3:5: not YAML: mapping values are not allowed"),
        (b"- [", "not YAML"),
        (b'- id: "\0"', "not YAML"),
        (b"---\n- id: a\n---\n- id: b", "3:1: not YAML: but found another document"),
        (b"- &x {id: a}", "1:3: `x`: no anchors or aliases here"),
        (b"- !!python/object:os.system x", "no tags here"),
        (b"[" * 100_000, "1:9: more than 8 levels"),
        (b"x" * 17_000_000, "1:1: 17000000 bytes are more than 16000000"),
    ],
)
def test_a_file_that_is_no_list_of_rules_is_one_mistake(text: bytes, said: str) -> None:
    (only,) = mistakes(text)
    assert only.startswith("rules.yaml:")
    assert said in only


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("for: 1:30", "`for` is '1:30': give a duration such as 90s"),
        ("for:", "`for` is empty"),
        ("severity: hihg", "`severity` is 'hihg': it should be 'info', 'warning'"),
        ("severity: crtical", "did you mean `critical`?"),
        ("mode: on", "`mode` is 'on': it should be 'active' or 'shadow'"),
        ("version: 0", "`version` is '0': it should be greater than or equal to 1"),
        ("version: 1.5", "`version` is '1.5'"),
        ("scope: auv", "`scope` is 'auv': give a mapping"),
        ("scope: {kinds: auv}", "`scope.kinds` is 'auv': give a list"),
        ("scope: {kinds: [auw]}", "`scope.kinds.0` is 'auw': did you mean `auv`?"),
        ("scope: {kind: [auv]}", "there is no `scope.kind`: did you mean `kinds`?"),
        ("scope: {zones: {kinds: [x]}}", "there is no `scope.zones.kinds`: did you mean `kind`?"),
        ("message: {vehicle_id}", "put the text in quotes"),
        ("effective_from: 2026-01-01", "give a time of RFC 3339 with its zone"),
        ("effective_from: 2026-01-01T00:00:00", "give a time of RFC 3339 with its zone"),
        ("sevrity: info", "there is no `sevrity`: did you mean `severity`?"),
        ("line: 7", "there is no `line`"),
        ("source: a\n  source: b", "`source` is given twice: keep one"),
        ("count: 3", "`count` says not how soon: add `within`, such as `within: 10m`"),
        ("count: 1", "`count` is '1': it should be greater than or equal to 2"),
        ("count: many", "`count` is 'many'"),
        ("within: 3m", "`within`: of what? Add `count` or `then`, or leave `within` out"),
        ("within: soon", "`within` is 'soon': give a duration such as 90s"),
        ("then: depth_m > 1.0", "`then` says not how soon: add `within`"),
        ("keep_firing_for: 0", "`keep_firing_for`: is 0, as it is without: give a longer time"),
        ("once_per_visit: maybe", "`once_per_visit` is 'maybe'"),
        ("absent_for: 0", "is 0: everything is absent for so long, give a longer time"),
        ("absent_by: noon", "`absent_by` is 'noon': give a time of RFC 3339 with its zone"),
        ("schedule: {windows: [noon]}", "give times of day as"),
        ("schedule: {time_zone: UTC}", "`schedule.windows` is missing: every schedule needs it"),
    ],
)
def test_a_wrong_field_is_told_with_its_line_and_rule(field: str, said: str) -> None:
    given = "" if field.startswith("severity") else "  severity: info\n"
    found = mistakes(f"- id: my-rule\n  when: true\n{given}  {field}\n")
    line = 3 + given.count("\n") + field.count("\n")
    assert len(found) == 1
    place, told = found[0].split(': rule "my-rule": ')
    assert place.startswith(f"rules.yaml:{line}:")
    assert said in told
    # The key, or its value where that is what is wrong.
    column, value = int(place.split(":")[2]), field.rsplit("\n", maxsplit=1)[-1].find(": ")
    assert column >= 3
    if said.startswith("there is no `sevrity`") or value < 0:
        assert column == 3
    elif " is '" in said and "{" not in field:
        assert column == 3 + value + 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("count: 3, within: 1m, for: 5s", "`for` and `count` are two ways to say how often"),
        ("count: 3, within: 1m, then: 'true'", "`count` does not count sequences"),
        ("then: 'true', within: 1m, for: 5s", "a sequence is over at once, it cannot last"),
        ("count: 3, within: 0", "`within`: is 0: give a longer time"),
        ("absent_for: 1h, for: 5s", "`for` makes no sense with `absent_for`: leave one out"),
        ("absent_for: 1h, clear_when: 'true'", "`clear_when` makes no sense with `absent_for`"),
        ("absent_for: 1h, once_per_visit: true", "`once_per_visit` makes no sense"),
        ("absent_for: 1h, schedule: {windows: ['06:00-07:00']}", "`schedule` makes no sense"),
        (
            "absent_for: 1h, absent_by: '2026-01-01T00:00:00Z'",
            "`absent_for` and `absent_by` are two rules: write two",
        ),
        (
            "absent_by: '2026-01-01T00:00:00Z', effective_from: '2026-01-02T00:00:00Z'",
            "`absent_by`: is not after `effective_from`",
        ),
        (
            "absent_by: '2026-01-03T00:00:00Z', effective_to: '2026-01-02T00:00:00Z'",
            "`absent_by`: is not before `effective_to`",
        ),
        (
            "schedule: {windows: ['06:00-07:00'], solar_longitude: 77.4}",
            "`schedule`: sols are of Mars: add `scope: {bodies: [mars]}`",
        ),
    ],
)
def test_conditions_on_time_that_make_no_sense_together_are_refused(fields: str, said: str) -> None:
    (only,) = mistakes(f"- {{id: my-rule, when: 'true', severity: info, {fields}}}")
    assert re.match(r'rules.yaml:1:\d+: rule "my-rule": ', only)
    assert said in only


def test_a_rule_says_nothing_of_the_conditions_on_time_it_does_not_have() -> None:
    plain = rule(**{"for": "5s"}).model_dump(mode="json", exclude={"line"})
    assert set(plain) == {
        *("id", "when", "for_s", "severity", "scope", "message", "source", "mode", "version"),
        *("effective_from", "effective_to"),
    }
    whole = {
        "count": 3,
        "within": "1m",
        "keep_firing_for": "5m",
        "clear_when": "depth_m < 1.0",
        "once_per_visit": "true",
        "schedule": {"windows": ["09:00-15:30"], "solar_longitude": "77.43"},
        "scope": {"bodies": ["mars"]},
    }
    timed = rule(**whole)
    assert (timed.count, timed.within_s, timed.keep_firing_for_s) == (3, 60.0, 300.0)
    assert timed.schedule is not None
    assert timed.schedule.solar_longitude == 77.43
    assert Rule.model_validate_json(timed.model_dump_json()) == timed


def test_every_mistake_of_a_file_is_told_in_the_order_of_its_lines() -> None:
    found = mistakes(
        "- id: a b\n  when: true\n  severity: info\n"
        "- severity: hihg\n"
        "- just text\n"
        "- {id: c, when: true, severity: info}\n"
        "- {id: c, when: false, severity: info}\n"
        "- {id: c, when: false, severity: info, version: 2}\n"
    )
    assert [text.split(": ", 1)[1] for text in found] == [
        "rule \"a b\": `id` is 'a b': use 1 to 128 of A-Z a-z 0-9 . _ : -",
        "rule 2: `id` is missing: every rule needs it",
        "rule 2: `when` is missing: every rule needs it",
        "rule 2: `severity` is 'hihg': it should be 'info', 'warning', 'critical' or 'emergency'",
        "rule 3: a rule is a mapping: begin with `- id: ...`",
        'rule "c": version 1 is also in line 6: give another id or a higher `version`',
    ]
    places = [tuple(map(int, text.split(":")[1:3])) for text in found]
    assert places == [(1, 7), (4, 3), (4, 3), (4, 13), (5, 3), (7, 3)]


def test_times_in_force_must_be_in_order() -> None:
    (only,) = mistakes(
        "- {id: a, when: true, severity: info, effective_from: 2026-01-02T00:00:00Z,"
        " effective_to: 2026-01-01T00:00:00Z}"
    )
    assert "`effective_from` is not before `effective_to`: give a later end" in only


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(WHOLE.decode(), encoding="utf-8-sig")
    assert len(parse_rules(file.read_bytes(), "rules.yaml")) == 2
