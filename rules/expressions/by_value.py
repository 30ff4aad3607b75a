"""Work on texts, lists and maps: computed by Google's runtime, once for each distinct input.

A subexpression such as ``status.matches("a+")`` or ``{"auv": 200.0}[kind]`` depends on few
distinct values, however many rows there are. Each distinct combination of its inputs is given to
the runtime once (some 4 µs), remembered, and gathered into the rows. So every operation on texts
means exactly what it means in CEL, with RE2's regular expressions.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from rules.expressions.columns import Choices, Columns
from rules.expressions.environment import EvaluationError, Program
from rules.expressions.times import duration_text, timestamp_text
from rules.expressions.values import ERROR, TRUE, UNKNOWN, Value
from schemas.frame import Codes, Longs

MAX_REMEMBERED: Final = 100_000
_SMALL_TABLE: Final = 16
_SMALL_TABLES: Final = 64

_NO_KEY: Final = "Key not found"
_ABSENT: Final = object()
_FAILED: Final = object()

# CEL type -> type of the column, Python types that the runtime answers with.
_TYPES: Final[dict[str, tuple[Any, Any]]] = {
    "bool": (np.bool_, bool),
    "int": (np.int64, int),
    "double": (np.float64, (int, float)),
    "timestamp": (np.int64, int),
    "duration": (np.int64, int),
}
# Times go to the runtime as text: it takes no time in a variable of undeclared type.
_AS_TEXT: Final[dict[str, Callable[[int], str]]] = {
    "timestamp": timestamp_text,
    "duration": duration_text,
}


class ByValue:
    """A subexpression of inputs of few distinct values, as a column.

    ``inputs``: variable of ``program`` -> its column. ``type_``: CEL type of the answer.
    ``computed``: among the inputs are columns made by ``distinct``. ``of_maps``: a key that is
    looked for may be missing as an input is. ``of_texts``: all inputs are texts.
    """

    def __init__(
        self,
        program: Program,
        inputs: dict[str, Callable[[Columns], Choices]],
        type_: str,
        *,
        computed: bool,
        of_maps: bool,
        of_texts: bool,
    ) -> None:
        self._program = program
        self._names = tuple(inputs)
        self._inputs = tuple(inputs.values())
        self._dtype, self._accepted = _TYPES[type_]
        self._is_bool = type_ == "bool"
        self._of_maps = of_maps
        self._of_texts = of_texts
        self._by_table = len(inputs) == 1 and not computed
        self._remembered: dict[tuple[Any, ...], _Answer] = {}
        # The last table of values and its answers: frames cut from one frame share the table.
        self._last: tuple[tuple[Any, ...], _Answers] | None = None
        # Small tables of texts: many frames have the same few, in the order they first occur.
        self._tables: dict[tuple[Any, ...], _Answers] = {}

    def __call__(self, columns: Columns) -> Value:
        """The answers in the rows of ``columns``."""
        inputs = [make(columns) for make in self._inputs]
        answers, which = self._of_one(*inputs) if self._by_table else self._of_several(inputs)
        answers.note(columns, which)
        return answers.gather(which, complete=self._by_table and inputs[0].missing is None)

    def _of_one(self, column: Choices) -> tuple["_Answers", Any]:
        """The answers by distinct input, and (n,) which of them each row has."""
        codes, values, _ = column
        last = self._last
        if last is not None and last[0] is values:
            return last[1], codes
        # Not of other values: as keys 1, 1.0 and True are one.
        small = self._of_texts and len(values) <= _SMALL_TABLE
        if small and (known := self._tables.get(values)):
            return known, codes
        if len(values) > 2 * len(codes) + 64:
            # A table of many more values than rows: ask only about those that occur.
            codes, inverse = np.unique(codes, return_inverse=True)
            few = [values[code] if code >= 0 else _ABSENT for code in codes.tolist()]
            return self._answers([*((value,) for value in few), (_ABSENT,)]), inverse
        # One more answer at the end, of a table too, serves code -1, absent.
        answers = self._answers([*((value,) for value in values), (_ABSENT,)])
        if small:
            if len(self._tables) >= _SMALL_TABLES:
                self._tables.clear()
            self._tables[values] = answers
        self._last = (values, answers)
        return answers, codes

    def _of_several(self, columns: Sequence[Choices]) -> tuple["_Answers", Any]:
        # One integer for each combination of codes; codes are -2 (failed), -1 (absent) and up.
        combined: Longs = np.zeros(len(columns[0].codes), np.int64)
        for column in columns:
            combined = combined * (len(column.values) + 2) + (column.codes + np.int64(2))
            # Numbered anew each time: the next product stays far from overflow.
            combined = np.unique(combined, return_inverse=True)[1]
        first, inverse = np.unique(combined, return_index=True, return_inverse=True)[1:]
        rows = first.tolist()
        values = [[_chosen(column, row) for row in rows] for column in columns]
        return self._answers(list(zip(*values, strict=True))), inverse

    def _answers(self, inputs: Sequence[tuple[Any, ...]]) -> "_Answers":
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.clear()
        found = [self._answer(values) for values in inputs]
        data: Any = np.array([answer.value for answer in found], self._dtype)
        codes = np.array([answer.code for answer in found], np.int8)
        return _Answers(data, codes, [answer.reason for answer in found])

    def _answer(self, values: tuple[Any, ...]) -> "_Answer":
        key = tuple(map(_key, values))
        found = self._remembered.get(key)
        if found is None:
            found = self._remembered[key] = self._run(values)
        return found

    def _run(self, values: tuple[Any, ...]) -> "_Answer":
        bound = {
            name: value
            for name, value in zip(self._names, values, strict=True)
            if value is not _ABSENT and value is not _FAILED
        }
        try:
            answer = self._program(bound)
        except EvaluationError as error:
            absent = any(value is _ABSENT for value in values)
            absent |= self._of_maps and str(error).startswith(_NO_KEY)
            return _Answer(UNKNOWN if absent else ERROR, 0, reason_of(str(error)))
        # A zone's property may turn out to be of a type that the rule cannot use.
        fits = isinstance(answer, self._accepted) and isinstance(answer, bool) == self._is_bool
        return _Answer(TRUE, answer) if fits else _Answer(ERROR, 0, "value of another type")


class _Answer(NamedTuple):
    """The answer to one distinct input: TRUE (there is one), UNKNOWN or ERROR, and why."""

    code: int
    value: Any
    reason: str = ""


class _Answers:
    """Answers by distinct input: ``data``, and ``codes`` TRUE (there is one), UNKNOWN, ERROR."""

    def __init__(self, data: Any, codes: Codes, reasons: Sequence[str]) -> None:
        self.data, self.codes = data, codes
        self._always = bool((codes[:-1] == TRUE).all())
        self._fails = bool((codes == ERROR).any())
        self._reasons = tuple(reasons) if self._fails else ()

    def gather(self, which: Any, *, complete: bool) -> Value:
        """The answers in rows; ``which``: (n,) of each row, -1 the last, which is for absent.

        ``complete``: no row asks for the last one.
        """
        data = self.data.take(which)
        if self._always and (complete or not len(which) or self.codes[-1] == TRUE):
            return Value(data)
        codes = self.codes.take(which)
        missing = codes == UNKNOWN
        return Value(
            data, missing if missing.any() else None, (codes == ERROR) if self._fails else None
        )

    def note(self, columns: Columns, which: Any) -> None:
        """Note why answers are errors, where that is asked for."""
        if columns.failures is None:
            return
        for reason in dict.fromkeys(self._reasons):
            failed = (self.codes == ERROR) & np.array([r == reason for r in self._reasons])
            columns.note(reason, failed[which])


def reason_of(message: str) -> str:
    """The kind of failure that a message of the runtime tells of, without the values in it."""
    return message.partition(":")[0].replace(".", " ").strip()[:60] or "error"


def _chosen(column: Choices, row: int) -> Any:
    code = int(column.codes[row])
    if code >= 0:
        return column.values[code]
    return _ABSENT if code == -1 else _FAILED


def _key(value: Any) -> Any:
    # 1, 1.0 and True are one key of a dict, but not one value of CEL; nor are 0.0 and -0.0.
    return value if type(value) is str else (type(value), repr(value))


def distinct(value: Value, n: int, type_: str) -> Choices:
    """A computed column of n rows as distinct values, for what columns cannot do.

    Times become texts, which the compiler's program reads back.
    """
    data, missing, error = np.broadcast_to(value.data, n), value.missing, value.error
    # Compared bit by bit, so that 0.0 and -0.0 stay apart.
    bits = data.view(np.int64) if data.dtype == np.float64 else data
    first, codes = np.unique(bits, return_index=True, return_inverse=True)[1:]
    values = data[first].tolist()
    if type_ in _AS_TEXT:
        values = [_AS_TEXT[type_](value) for value in values]
    if missing is not None:
        codes = np.where(missing, -1, codes)
    if error is not None:
        codes = np.where(error, -2, codes)
    return Choices(codes, tuple(values), missing)
