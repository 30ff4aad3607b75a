"""The names a trigger may use beside those of a record, and conditions that read them.

``plan``, ``goal``, ``comms`` and ``mission`` are of the mission plan in force at the record's time,
``hazard`` of the newest hazard score, ``ahead`` of the way before the vehicle, ``sun`` of the sky
over it, and ``forecast.NAME`` of the trigger's own forecasts. Each is a number, absent where it is
not known. They are columns of the judged frame beside the sensors, under names no sensor can have.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from cel.expr import syntax_pb2

from rules.expressions import ExpressionError, Mistake
from rules.expressions.columns import Columns
from rules.expressions.environment import check, checker_with
from rules.expressions.expression import Explanation, Expression
from rules.expressions.inputs import path_of
from rules.expressions.mistakes import closest
from rules.expressions.syntax import children, walk

PLAN: Final = ("reserve_pct", "charge_in_s", "max_temperature_c", "age_s")
"""Charge to keep, time to the next charging, limit of temperature, and time since the plan took
effect."""
GOAL: Final = ("distance_m", "time_left_s", "needed_mps")
"""Distance to the goal along the surface, time until it is due, and what speed that takes."""
COMMS: Final = ("opens_in_s", "closes_in_s", "missed")
"""Time until the next communication window opens (0 while one is open) and until it closes, and
how many windows have closed without a record since the newest one."""
MISSION: Final = ("done", "failed", "left", "since_done_s", "since_failed_s", "overdue_s")
"""Steps done, failed and left, time since the latest was done or failed, and how long the most
overdue one has been due."""
HAZARD: Final = ("score", "upper", "ahead_m")
"""The score, its upper bound, and the distance along the path to where it is too high."""
AHEAD: Final = ("zone_in_s", "zone_distance_m")
"""Time and way until the vehicle, on its planned path or else its course, is in a zone of the
trigger's scope: infinite where it is not within ``look_ahead``."""
SUN: Final = (
    *("elevation_deg", "rises_in_s", "sets_in_s", "mean_solar_time_h", "true_solar_time_h"),
    *("local_sol", "mission_sol"),
)
"""How high the sun stands over the vehicle; time until it next rises and sets, infinite where it
does not within two of the body's days; local solar time; on Mars the whole sol, counted from the
Mars sol date 0, and by the clock of the record's mission."""
FORECAST: Final = ("value", "low", "high", "per_h", "reaches_s", "horizon_s", "samples")
"""At the horizon: value and interval; change in an hour; time until the interval first touches
``limit``, infinite where it does not before the horizon; the horizon; samples it rests on."""

WHOLES: Final[dict[str, tuple[str, ...]]] = {
    "plan": PLAN,
    "goal": GOAL,
    "comms": COMMS,
    "mission": MISSION,
    "hazard": HAZARD,
    "ahead": AHEAD,
    "sun": SUN,
}
UNTIL: Final = {
    "next_charge": "plan.charge_in_s",
    "goal": "goal.time_left_s",
    "window_opens": "comms.opens_in_s",
    "window_closes": "comms.closes_in_s",
    "sunrise": "sun.rises_in_s",
    "sunset": "sun.sets_in_s",
}
"""The column that says how far ahead a forecast looks, by its ``until``."""
_FORECAST: Final = "forecast"


@dataclass(frozen=True, slots=True)
class Names:
    """What stands behind a trigger's names.

    ``forecasts``: name -> column prefix of the forecast. ``ahead``: column suffix of what ``ahead``
    looks for.
    """

    forecasts: Mapping[str, str]
    ahead: str = ""

    def column(self, path: tuple[str, ...]) -> str | None:
        """The column that a path names; None for what is none of ours."""
        match path:
            case (whole, field) if field in WHOLES.get(whole, ()):
                return f"{whole}.{field}{self.ahead if whole == 'ahead' else ''}"
            case ("forecast", name, field) if name in self.forecasts and field in FORECAST:
                return f"{self.forecasts[name]}.{field}"
        return None


class Condition(Expression):
    """A condition on a record, its plan and its forecasts, judged on frames with their columns."""

    def __init__(self, text: str, names: Names) -> None:
        checked = check(text, _checker())
        self._public: dict[str, str] = {}
        self._put_columns(checked.expr, names)
        _refuse_wholes(checked, names.forecasts)
        super().__init__(text, checked)
        self.columns: Final = frozenset(self._public)

    def explain_many(self, columns: Columns, rows: Sequence[int]) -> list[Explanation]:
        """As of an expression, inputs under the names the author wrote."""
        return [self._in_public(found) for found in super().explain_many(columns, rows)]

    def _in_public(self, found: Explanation) -> Explanation:
        inputs = {
            self._public.get(name.removeprefix("sensors."), name): value
            for name, value in found.inputs.items()
        }
        return Explanation(inputs, found.limit, found.margin, found.comparisons)

    def _put_columns(self, expr: Any, names: Names) -> None:
        """Put a sensor's column in the place of each name of ours."""
        path = path_of(expr) if expr.WhichOneof("expr_kind") == "select_expr" else None
        column = None if path is None else names.column(path)
        if column is None or path is None:
            for part in children(expr):
                self._put_columns(part, names)
            return
        self._public[column] = ".".join(path)
        key, sensors = syntax_pb2.Expr(), syntax_pb2.Expr()
        key.const_expr.string_value = column
        sensors.ident_expr.name = "sensors"
        new = syntax_pb2.Expr(id=expr.id)
        asked = expr.select_expr.test_only
        new.call_expr.function = "@in" if asked else "_[_]"
        new.call_expr.args.extend([key, sensors] if asked else [sensors, key])
        expr.CopyFrom(new)


def _refuse_wholes(checked: Any, forecasts: Collection[str]) -> None:
    """Refuse what still asks for one of ours: a forecast not declared, or a whole."""
    for expr in walk(checked.expr):
        path = path_of(expr)
        if path is None or path[0] not in (*WHOLES, _FORECAST):
            continue
        offset = checked.source_info.positions.get(expr.id, 0)
        starts = [0, *(end for end in checked.source_info.line_offsets if end <= offset)]
        column = offset - starts[-1] + 1
        if path[0] == _FORECAST and len(path) > 1:
            remedy = closest(path[1], forecasts) or "declare it under `forecasts`"
            raise ExpressionError([Mistake(f"no forecast `{path[1]}`", column, remedy)])
        what = f"`{path[0]}` cannot be judged as a whole"
        raise ExpressionError(
            [Mistake(what, column, f"ask for one of its fields, `{path[0]}.name`")]
        )


@cache
def _checker() -> Any:
    types = {name: dict.fromkeys(fields, "double") for name, fields in WHOLES.items()}
    types["prospect"] = dict.fromkeys(FORECAST, "double")
    return checker_with(types, {_FORECAST: "prospect"})
