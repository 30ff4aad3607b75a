"""cel-expr-python: Google's CEL runtime in C++."""

from typing import Any

from cel_expr_python import cel
from judging import Judge, run

NUMBERS = ("depth_m", "speed_mps", "battery_pct", "latitude", "longitude")
TEXTS = ("vehicle_id", "kind", "status")


def compile_rules(rules: list[Any]) -> Judge:
    """Rules as a function of a record."""
    env = cel.NewEnv(
        variables=dict.fromkeys(NUMBERS, cel.Type.DOUBLE) | dict.fromkeys(TEXTS, cel.Type.STRING)
    )
    programs = [env.compile(rule) for rule in rules]

    def judge(record: dict[str, Any]) -> list[bool]:
        # What a record's variables are made into once serves all rules.
        activation = env.Activation(record)
        return [program.eval(activation).plain_value() for program in programs]

    return judge


run(compile_rules, "cel")
