"""Rule sets: a file compiled as a whole, and the messages of its rules."""

import numpy as np
import pytest

from rules.expressions import Columns, ZoneTable
from rules.rulesets import CompiledRule, load_rules
from schemas.rule import RuleFileError
from schemas.zone import Zone
from tests.frames import frame_of

AREA = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}
ZONES = ZoneTable(
    (Zone(id="z1", name="APEI 1", kind="apei", geometry=AREA, properties={"plan": "B-7"}),)
)
FRAME = frame_of(
    [
        {
            "vehicle_id": "auv-1",
            "time_s": 0.0,
            "depth_m": 4123.4567,
            "speed_mps": 2.0,
            "longitude": -137.1234567,
            "latitude": 0.0,
            "sensors": {"co2": 1234567.0},
        }
    ]
)
ROW = np.array([0])


def compiled(**fields: str) -> CompiledRule:
    given = {"id": "a", "when": "depth_m > 3", "severity": "info"} | fields
    text = "\n".join(f"  {key}: {value}" for key, value in given.items())
    return load_rules(f"- {text.strip()}".encode(), "rules.yaml").rules[0]


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(RuleFileError) as caught:
        load_rules(text.encode(), "rules.yaml")
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{vehicle_id} at {depth_m} m", "auv-1 at 4123.46 m"),
        ("{speed_mps} m/s", "2 m/s"),
        ("{longitude} {latitude}", "-137.12346 0"),
        ("{sensors.co2} and {sensors.o2}", "1234567 and unknown"),
        ("{kind} on {body}, {status}", "auv on earth, unknown"),
        ("{timestamp} {sequence}", "1970-01-01T00:00:00.000000Z unknown"),
        ("{record.depth_m} in {{braces}}", "4123.46 in {braces}"),
        ("no placeholders", "no placeholders"),
        ("", "a"),
    ],
)
def test_a_message_shows_numbers_short_and_what_is_absent_as_unknown(
    message: str, said: str
) -> None:
    rule = compiled(message=f'"{message}"')
    assert rule.render(Columns.of_records(FRAME), 0) == said


def test_a_message_names_the_zone_and_its_own_properties() -> None:
    rule = compiled(
        scope="{zones: {kind: [apei]}}",
        message='"{zone.name} {zone.version} {zone.max_depth_m} {zone.properties.plan}"',
    )
    columns = Columns.of_visits(FRAME, ROW, ZONES, ROW)
    assert rule.render(columns, 0) == "APEI 1 1 unknown B-7"


@pytest.mark.parametrize(
    ("fields", "uses_zone"),
    [
        ({}, False),
        ({"scope": "{kinds: [auv]}"}, False),
        ({"scope": "{zones: {id: [z1]}}"}, True),
        ({"scope": "{zones: {kind: [apei]}}"}, True),
        ({"when": 'zone.kind == "apei"'}, True),
        ({"when": "has(zone.max_depth_m)"}, True),
    ],
)
def test_a_rule_is_about_zones_by_its_condition_or_its_scope(
    fields: dict[str, str], uses_zone: bool
) -> None:
    assert compiled(**fields).uses_zone is uses_zone


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{vehicleid}", "there is no `{vehicleid}`: did you mean `vehicle_id`?"),
        ("{zone.nam}", "there is no `{zone.nam}`: did you mean `zone.name`?"),
        ("{zone}", "there is no `{zone}`: ask for one of its fields, `{zone.name}`"),
        ("{}", "there is no `{}`"),
        ("{depth_m:.1f}", "write the name alone, as `{depth_m}`"),
        ("{depth_m!r}", "write the name alone, as `{depth_m}`"),
        ("{depth_m", "write `{{` for a brace that is none"),
        ("{zone.name}", "asks for a zone, and the rule is about none: name zones in `scope`"),
    ],
)
def test_a_message_with_a_mistake_is_refused(message: str, said: str) -> None:
    (only,) = mistakes(f'- id: a\n  when: depth_m > 3\n  severity: info\n  message: "{message}"')
    column = 13 if message == "{depth_m" or message == "{}" else 13 + message.index("{")
    assert only.startswith(f'rules.yaml:4:{column}: rule "a": `message`: ')
    assert said in only


def test_mistakes_of_yaml_conditions_and_messages_are_told_together_by_line() -> None:
    found = mistakes(
        "- id: a\n"
        "  when: depht_m > 3.0 && spede_mps > 2\n"
        "  severity: hihg\n"
        '  message: "{vehicel_id}"\n'
        "- id: b\n"
        "  when: |\n"
        "    depth_m > 3.0 &&\n"
        '      zone.knd == "a"\n'
        "  severity: info\n"
    )
    assert found == (
        'rules.yaml:2:9: rule "a": `when`: there is no `depht_m`: did you mean `depth_m`?',
        'rules.yaml:2:26: rule "a": `when`: there is no `spede_mps`: did you mean `speed_mps`?',
        "rules.yaml:3:13: rule \"a\": `severity` is 'hihg': it should be 'info', 'warning',"
        " 'critical' or 'emergency'",
        'rules.yaml:4:13: rule "a": `message`: there is no `{vehicel_id}`:'
        " did you mean `vehicle_id`?",
        'rules.yaml:8:11: rule "b": `when`: a zone has no `knd`: did you mean `kind`?',
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("once_per_visit: true", "`once_per_visit`: the rule is about no zone"),
        (
            'clear_when: zone.kind == "a"',
            "`clear_when` asks for a zone, and the rule is about none",
        ),
        ("clear_when: depth < 1.0", "`clear_when`: there is no `depth`: did you mean `depth_m`?"),
        ("then: depth_m <, within: 1m", "`then`: "),
        (
            'absent_for: 1h, message: "{vehicle_id} at {depth_m}"',
            "`message`: `{depth_m}` has no value while something is absent",
        ),
    ],
)
def test_conditions_on_time_with_mistakes_are_told(fields: str, said: str) -> None:
    with pytest.raises(RuleFileError) as caught:
        load_rules(f"- {{id: a, when: depth_m > 1.0, severity: info, {fields}}}".encode(), "r.yaml")
    (only,) = caught.value.mistakes
    assert only.startswith("r.yaml:1:")
    assert ': rule "a": ' in only
    assert said in only
