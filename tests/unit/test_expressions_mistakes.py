"""Conditions that cannot be used are refused at load, with the column and a remedy."""

import pytest

from rules.expressions import ExpressionError, compile_expression


def mistake(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "message", "suggestion"),
    [
        ("dept_m > 2.0", 1, "there is no `dept_m`", "did you mean `depth_m`?"),
        ("record.depth > 2.0", 7, "a record has no `depth`", "did you mean `depth_m`?"),
        ('zone.kin == "a"', 5, "a zone has no `kin`", "did you mean `kind`?"),
        ("zone.swell_m > 2.0", 5, "no `swell_m`", '`zone.properties["swell_m"]`'),
        ("depth_m == 200", 9, "`==` does not take (double, int)", "decimal point (200.0)"),
        ("depth_m + 2 > 3.0", 9, "`+` does not take (double, int)", "decimal point"),
        ("status > 3", 8, "`>` does not take (string, int)", ""),
        ("timestamp > 3", 11, "`>` does not take (timestamp, int)", ""),
        ("has(depth_m)", 5, "`has()` needs a path", "has(record.depth_m)"),
        ("depth_m > 2.0 &&", 17, "mismatched input", ""),
        ("depth_m = 2.0", 9, "token recognition error", ""),
        ("depth_m", 1, "a rule asks for true or false, this is double", ""),
        ("depth_m > 1 && 1 / 0 > 2", 18, "divide by zero", ""),
        ('status.matches("(")', 16, "invalid regular expression", ""),
        ('timestamp > timestamp("2026-13-01T00:00:00Z")', 22, "conversion failed", ""),
        ('timestamp > timestamp("2026-01-01T00:00:00.0000001Z")', 22, "too fine", "microseconds"),
        ('timestamp.getHours("Mars/Jezero") == 2', 20, "Invalid timezone", "America/New_York"),
        ("zone == zone", 1, "`zone` cannot be judged as a whole", "`zone.name`"),
        ('["auv"].exists(kind, kind == "auv")', 15, "hides the field", "another name"),
        ('distnce_to("a") > 3.0', 1, "there is no `distnce_to()`", "did you mean `distance_to`?"),
        ('status.startWith("a")', 8, "no `startWith()`", "did you mean `startsWith`?"),
        ("", 1, "empty", ""),
        ("(" * 40 + "true" + ")" * 40, 1, "recursion limit", ""),
        ("true && " * 600 + "true", 1, "more than 4000", "split the rule"),
        ("true&&" * 600 + "true", 1, "more than 500 parts", "split the rule"),
    ],
)
def test_a_mistake_is_told_with_its_column_and_a_remedy(
    text: str, column: int, message: str, suggestion: str
) -> None:
    found = mistake(text)
    assert message in found.message
    assert suggestion in found.suggestion
    if text.startswith("true&&"):
        return
    assert found.column == column


def test_all_mistakes_of_the_checker_are_told_in_order() -> None:
    found = mistake("depht_m > 3.0 && zone.kid == 1 &&\n  statu == 3")
    assert [(m.line, m.column) for m in found.mistakes] == [(1, 1), (1, 22), (2, 3)]
    assert (
        str(found.mistakes[2])
        == "its line 2, column 3: there is no `statu`: did you mean `status`?"
    )


TEN = "[1,2,3,4,5,6,7,8,9,10]"


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (f'status.matches("{"ab" * 251}")', 16, "regular expression of more than 500 characters"),
        ('status.matches("(a{99}){99}")', 16, "invalid repetition size"),
        (
            'status.matches("(a|b|c|d|e|f){999}(x?){999}[a-z]{999}(y|z){999}")',
            16,
            "repeats more than 1000 times",
        ),
        (
            f"{TEN}.map(a, {TEN}.map(b, {TEN}.map(c, {TEN}.map(d, a + b + c + d)))).size() > 3"
            ' && status == "a"',
            27,
            "more than 20000 steps",
        ),
        (
            'status.replace("a", "bbbbbbbbbb").replace("b", "cccccccccccccccc")'
            f'.replace("c", "{"d" * 50}") == "a"',
            75,
            "a text that may grow to more than 1000000 characters",
        ),
    ],
)
def test_what_costs_too_much_is_refused_and_the_bound_is_named(
    text: str, column: int, message: str
) -> None:
    found = mistake(text)
    assert message in found.message
    assert found.column == column


def test_macros_that_unroll_into_too_much_are_refused() -> None:
    numbers = ", ".join(f"{n}.0" for n in range(40))
    text = f"[{numbers}].exists(x, [{numbers}].exists(y, depth_m > x + y))"
    assert "more than 5000 parts" in mistake(text).message
