"""cel-python: CEL in Python."""

from typing import Any

import celpy
from judging import Judge, run


def compile_rules(rules: list[Any]) -> Judge:
    """Rules as a function of a record."""
    env = celpy.Environment()
    programs = [env.program(env.compile(rule)) for rule in rules]

    def judge(record: dict[str, Any]) -> list[bool]:
        activation = celpy.json_to_cel(record)
        return [bool(program.evaluate(activation)) for program in programs]

    return judge


run(compile_rules, "cel")
