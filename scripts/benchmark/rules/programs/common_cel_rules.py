"""common-expression-language: CEL in Rust."""

from typing import Any

import cel
from judging import Judge, run


def compile_rules(rules: list[Any]) -> Judge:
    """Rules as a function of a record."""
    programs = [cel.compile(rule) for rule in rules]

    def judge(record: dict[str, Any]) -> list[bool]:
        context = cel.Context(record)
        return [program.execute(context) for program in programs]

    return judge


run(compile_rules, "cel")
