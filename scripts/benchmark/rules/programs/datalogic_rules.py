"""datalogic-py: JsonLogic in Rust, all rules of a record in one call."""

from typing import Any

from datalogic_py import DataHandle, Engine
from judging import Judge, run


def compile_rules(rules: list[Any]) -> Judge:
    """Rules as a function of a record."""
    engine = Engine()
    compiled = [engine.compile(rule) for rule in rules]
    session = engine.session()

    def judge(record: dict[str, Any]) -> list[bool]:
        told = session.evaluate_many(compiled, DataHandle(record))
        return [text == "true" for text in told]

    return judge


run(compile_rules, "jsonlogic")
