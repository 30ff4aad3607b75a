"""What each program does around its engine: read the input, judge record by record, tell."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Judge = Callable[[dict[str, Any]], list[bool]]
"""What each rule says of a record."""


def run(compile_rules: Callable[[list[Any]], Judge], language: str) -> None:
    """Judge records until the budget is spent; ``compile_rules``: rules -> (record -> truths).

    Arguments: the input, where to write the outcome, CPU seconds to spend.
    """
    source, target, budget_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    given = json.loads(Path(source).read_text())
    begun = time.process_time()
    judge = compile_rules([rule[language] for rule in given["rules"]])
    compiled_s = time.process_time() - begun
    answers = []
    begun, spent_s = time.process_time(), 0.0
    for record in given["records"]:
        answers.append(judge(record))
        spent_s = time.process_time() - begun
        if spent_s > budget_s:
            break
    write(target, compiled_s, spent_s, answers)


def write(
    target: str,
    compiled_s: float,
    spent_s: float,
    answers: Sequence[Sequence[bool]],
    records: int | None = None,
) -> None:
    """Write what was judged: of each record the rules that hold, as one hexadecimal number."""
    told = {
        "compiled_s": compiled_s,
        "spent_s": spent_s,
        "records": len(answers) if records is None else records,
        "answers": [
            f"{int(''.join('1' if truth is True else '0' for truth in truths), 2):x}"
            for truths in answers
        ],
    }
    Path(target).write_text(json.dumps(told))
