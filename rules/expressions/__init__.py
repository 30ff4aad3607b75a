"""Rule conditions in CEL (Common Expression Language), judged on columns.

Google's runtime parses and type-checks a condition; ``compiler`` turns the checked tree into
numpy operations on a frame's columns. Each row is judged FALSE, TRUE, UNKNOWN (an input was
missing) or ERROR (the computation failed), by CEL's own rules: https://github.com/google/cel-spec,
doc/langdef.md. Where a row lacks an input and a computation fails as well, it is UNKNOWN.
"""

from rules.expressions.columns import Columns, ZoneTable
from rules.expressions.expression import (
    Comparison,
    Explanation,
    Expression,
    compile_expression,
    explain_each,
)
from rules.expressions.mistakes import ExpressionError, Mistake
from rules.expressions.parameters import Parameters
from rules.expressions.values import ERROR, FALSE, TRUE, UNKNOWN

__all__ = [
    "ERROR",
    "FALSE",
    "TRUE",
    "UNKNOWN",
    "Columns",
    "Comparison",
    "Explanation",
    "Expression",
    "ExpressionError",
    "Mistake",
    "Parameters",
    "ZoneTable",
    "compile_expression",
    "explain_each",
]
