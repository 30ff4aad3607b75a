"""What columns cannot do is left to Google's runtime, record by record, and few are asked."""

import numpy as np
import pytest
from cel_expr_python import cel
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rules.expressions import ERROR, UNKNOWN, Columns, Parameters, ZoneTable, compile_expression
from rules.expressions.by_value import ByValue
from rules.expressions.environment import dialect
from schemas.zone import Zone
from scripts.cli import app
from tests.frames import frame_of

RING = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}
ZONES = (
    Zone(id="a", geometry=RING, properties={"t": 3.0, "level": 2}),
    Zone(id="b", geometry=RING, properties={}),
)
CONDITIONS = [
    "sensors.exists(k, sensors[k] > 2.0)",
    "sensors.all(k, sensors[k] < depth_m)",
    'sensors.exists_one(k, k.startsWith("t") && sensors[k] > 1.0)',
    "sensors[status] > 2.0",
    "size(sensors) > 1 || depth_m > 5.0",
    "depth_m > 5.0 && sensors.exists(k, sensors[k] > 2.0)",
    'sensors.filter(k, k != "t").size() == 1',
    'status.split(",").exists(s, s in sensors && sensors[s] > 2.0)',
    "!(sensors[status] > 2.0 && depth_m > 5.0)",
    'string(depth_m) == "6" || status == "t"',
]


def oracle(text, record):
    env = cel.NewEnv(
        variables={
            "depth_m": cel.Type.DOUBLE,
            "status": cel.Type.STRING,
            "sensors": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
        },
        **dialect(),
    )
    data = {k: record[k] for k in ("depth_m", "status") if k in record}
    answer = env.compile(text).eval(data=data | {"sensors": record["sensors"]})
    return None if answer.type() == cel.Type.ERROR else int(answer.plain_value())


@pytest.mark.parametrize("text", CONDITIONS)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"sensors": st.dictionaries(st.sampled_from("tuv"), st.sampled_from([1.0, 2.5, 6.0]))},
            optional={
                "depth_m": st.sampled_from([1.0, 6.0]),
                "status": st.sampled_from(["t", "u,t", "x"]),
            },
        ),
        min_size=1,
        max_size=6,
    )
)
def test_each_record_is_judged_as_google_s_runtime_judges_it(text, records):
    condition = compile_expression(text)
    assert condition.by_record
    rows = [{"vehicle_id": "v", "time_s": 0.0} | record for record in records]
    codes = condition.judge(Columns.of_records(frame_of(rows))).tolist()
    for record, code in zip(records, codes, strict=True):
        wanted = oracle(text, record)
        assert code == wanted if wanted is not None else code in (UNKNOWN, ERROR)


def test_a_sensor_that_a_record_lacks_makes_the_answer_unknown():
    rows = [
        {"vehicle_id": "v", "time_s": 0.0, "status": s, "sensors": {"t": 3.0}} for s in ("t", "u")
    ]
    condition = compile_expression("sensors[status] > 2.0")
    assert condition.judge(Columns.of_records(frame_of(rows))).tolist() == [1, UNKNOWN]


def test_a_zone_s_properties_may_be_asked_as_a_whole_and_cost_one_call_a_zone(monkeypatch):
    calls = []
    run = ByValue._run
    monkeypatch.setattr(ByValue, "_run", lambda self, v: calls.append(v) or run(self, v))
    condition = compile_expression('zone.properties.exists(k, k.startsWith("l"))')
    frame = frame_of([{"vehicle_id": "v", "time_s": 0.0}] * 50)
    columns = Columns.of_visits(frame, np.arange(50), ZoneTable(ZONES), np.arange(50) % 2)
    assert condition.judge(columns).tolist() == [1, 0] * 25
    assert not condition.by_record
    assert len(calls) <= 3


@pytest.mark.parametrize(
    "text",
    [
        "depth_m > 5.0 && sensors.exists(k, sensors[k] > 2.0)",
        "sensors.exists(k, sensors[k] > 2.0) && depth_m > 5.0",
        'sensors.exists(k, sensors[k] > 2.0) && kind == "auv" && depth_m > 5.0',
        "depth_m <= 5.0 || sensors.exists(k, sensors[k] > 2.0)",
    ],
)
def test_only_records_that_the_rest_leaves_open_are_asked_about(text, monkeypatch):
    calls = []
    run = ByValue._run
    monkeypatch.setattr(ByValue, "_run", lambda self, v: calls.append(v) or run(self, v))
    rows = [
        {"vehicle_id": "v", "time_s": 0.0, "depth_m": float(i), "sensors": {"t": i / 2}}
        for i in range(10)
    ]
    codes = compile_expression(text).judge(Columns.of_records(frame_of(rows))).tolist()
    decided = 1 if "||" in text else 0
    assert codes == [decided] * 6 + [1] * 4
    asked = [values for values in calls if isinstance(values[0], dict)]
    assert sorted(values[0]["t"] for values in asked) == [3.0, 3.5, 4.0, 4.5]


def test_failures_behind_a_side_that_is_seldom_asked_are_told_in_their_rows():
    rows = [{"vehicle_id": "v", "time_s": 0.0, "depth_m": float(i)} for i in range(4)]
    condition = compile_expression('depth_m > 1.0 && int(string(depth_m) + "x") > 0')
    columns = Columns.of_records(frame_of(rows))
    assert condition.judge(columns).tolist() == [0, 0, ERROR, ERROR]
    failures = condition.failures(Columns.of_records(frame_of(rows)))
    assert {k: v.tolist() for k, v in failures.items()} == {"cannot convert string to int": [2, 3]}


def test_the_check_of_a_rule_file_says_what_is_computed_record_by_record(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(
        "- id: warm\n  severity: info\n"
        "  when: depth_m > 5.0 && sensors.exists(k, sensors[k] > 2.0)\n"
        "- {id: deep, when: depth_m > 5.0, severity: info}\n"
    )
    result = CliRunner().invoke(app, ["rules", "check", str(file)])
    assert result.exit_code == 0
    slow, last = result.stderr.replace("\n", " ").split("does it")
    assert 'rules.yaml:3:40: rule "warm": computed record by record' in " ".join(slow.split())
    assert "2 rules, no mistakes" in last


def test_rules_of_one_shape_ask_what_is_costly_with_their_own_numbers():
    rows = [
        {"vehicle_id": "v", "time_s": 0.0, "depth_m": float(i), "status": "ab"[i % 2]}
        for i in range(8)
    ]
    text = 'status == "a" && (depth_m > {} || string(depth_m) == "4") && depth_m < {}'
    conditions = [compile_expression(text.format(*each)) for each in ((1.5, 7.0), (5.5, 8.0))]
    assert conditions[0].shape == conditions[1].shape
    numbers = Parameters.of([c.parameters for c in conditions])
    together = conditions[0].judge_many(Columns.of_records(frame_of(rows)), numbers)
    alone = [c.judge(Columns.of_records(frame_of(rows))).tolist() for c in conditions]
    assert together.tolist() == alone == [[0, 0, 1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 1, 0, 1, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "[depth_m, 1.0].map(x, x / double(zone.properties.level)).exists(y, y > {})",
        "[depth_m, 1.0].map(x, x / 1.5).exists(y, y > {})",
        '[depth_m, 1.0].map(x, double(string(x) + "{}") / 2.0).exists(y, y > 1.0)',
    ],
)
def test_a_number_that_one_step_of_a_macro_has_in_what_it_is_given_belongs_to_the_shape(text):
    # The other step is computed on columns, with the number as a parameter.
    low, high = (compile_expression(text.format(number)) for number in (0.5, 1.0))
    assert low.shape != high.shape
    assert low.shape == compile_expression(text.format(0.5)).shape


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('depth_m > {"v1": 200.0}[vehicle_id]', ("v1", "v150")),
        ("int(vehicle_id) > 3", ("7", "x")),
    ],
)
def test_rows_cut_from_many_ask_of_their_own_texts_alone(text, names):
    """A cut keeps the table of all texts: the last one that occurs in it fails like any other."""
    ids = [names[0], *(f"a{n}" for n in range(200)), names[1]]
    rows = [{"vehicle_id": name, "time_s": 0.0, "depth_m": 50.0} for name in ids]
    alone = compile_expression(text).judge(Columns.of_records(frame_of([rows[0], rows[-1]])))
    cut = Columns.of_records(frame_of(rows)).take(np.array([0, len(rows) - 1]))
    assert compile_expression(text).judge(cut).tolist() == alone.tolist()
