"""Trigger sets: a file of triggers read, compiled and checked as a whole, and judged on columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.expressions import FALSE as NO
from rules.expressions import TRUE as YES
from rules.expressions import ExpressionError
from rules.expressions.columns import Columns
from rules.fences import Fences
from rules.planning.arming import CLEAR, QUIET, TRUE, UNKNOWN, Arms
from rules.planning.vocabulary import Condition, Names
from rules.rulesets import Template, TemplateError
from rules.scopes import Scopes
from schemas.event import identity
from schemas.frame import KINDS, NUMBER_FIELDS, Bools, Codes, Frame, Rows
from schemas.rule import Mistake, RuleFileError, ZoneScope
from schemas.trigger import Forecast, Trigger
from schemas.trigger_file import TriggerEntry, read_triggers
from schemas.zone import Zone

# By code of an expression: what it makes of a trigger, without ``clear_when`` and with one.
_CLEARED: Final[Codes] = np.array([CLEAR, TRUE, UNKNOWN, UNKNOWN], np.int8)
_QUIET: Final[Codes] = np.array([QUIET, TRUE, UNKNOWN, UNKNOWN], np.int8)
DERIVED: Final = ("goal.distance_m", "hazard.score")
"""What a forecast may be of beside telemetry."""


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """A trigger ready to be judged.

    ``when``, ``clear_when``: None where none is given. ``forecasts``: column prefix of each by
    name. ``ahead``: column suffix of what it looks for ahead.
    """

    trigger: Trigger
    when: Condition | None
    clear_when: Condition | None
    message: Template
    forecasts: dict[str, str]
    ahead: str

    @property
    def columns(self) -> frozenset[str]:
        """The columns beside the record that its conditions read."""
        found = [c.columns for c in (self.when, self.clear_when) if c is not None]
        return frozenset().union(*found)

    @property
    def reads(self) -> frozenset[str]:
        """All that it reads beside the record: the columns, and what its forecasts are of."""
        return self.columns | {f.of for f in self.trigger.forecasts.values() if f.of in DERIVED}

    @property
    def sensors(self) -> frozenset[str]:
        """The sensors that it reads, those of its forecasts too."""
        conditions = [c for c in (self.when, self.clear_when) if c is not None]
        read = {name for condition in conditions for name in condition.inputs}
        read |= {forecast.of for forecast in self.trigger.forecasts.values()}
        names = {n.removeprefix("sensors.") for n in read if n.startswith("sensors.")}
        return frozenset(names - self.columns)


def load_triggers(text: bytes, name: str) -> tuple[CompiledTrigger, ...]:
    """Read and compile a file of triggers; ``name`` names it in mistakes.

    Raises RuleFileError with every mistake. A file with any mistake gives no triggers.
    """
    entries, mistakes = read_triggers(text)
    compiled = [_compiled(entry, mistakes) for entry in entries]
    if mistakes:
        raise RuleFileError(name, mistakes)
    return tuple(one for one in compiled if one is not None)


def _compiled(entry: TriggerEntry, mistakes: list[Mistake]) -> CompiledTrigger | None:
    trigger = entry.trigger
    forecasts = {} if trigger is None else {n: prefix_of(f) for n, f in trigger.forecasts.items()}
    ahead = "" if trigger is None else suffix_of(trigger)
    names = Names(forecasts or dict.fromkeys(entry.forecasts, "forecast"), ahead)
    when, clear_when = (_condition(entry, name, names, mistakes) for name in ("when", "clear_when"))
    message = None
    try:
        said = entry.texts.get("message") or (trigger.id if trigger else "")
        message = Template(said, has_zone=False)
    except TemplateError as error:
        line, column = entry.text_at("message", 1, 1)
        mistakes.append(Mistake(line, f"{entry.label}: `message`: {error}", column))
    if trigger is None or message is None:
        return None
    for name, forecast in trigger.forecasts.items():
        if not _is_known(forecast.of):
            what = f"forecast `{name}`: there is no `{forecast.of}`"
            remedy = "give a numeric field of telemetry, `sensors.NAME` or one of "
            known = f"{remedy}{', '.join(DERIVED)}"
            line, column = entry.text_at("forecasts", 1, 1)
            mistakes.append(Mistake(line, f"{entry.label}: {what}: {known}", column))
    return CompiledTrigger(trigger, when, clear_when, message, forecasts, ahead)


def _is_known(of: str) -> bool:
    return of in (*NUMBER_FIELDS, *DERIVED) or of.startswith("sensors.")


def _condition(
    entry: TriggerEntry, field: str, names: Names, mistakes: list[Mistake]
) -> Condition | None:
    if field not in entry.texts:
        return None
    try:
        return Condition(entry.texts[field], names)
    except ExpressionError as error:
        for found in error.mistakes:
            line, column = entry.text_at(field, found.line, found.column)
            mistakes.append(Mistake(line, f"{entry.label}: `{field}`: {found.told}", column))
        return None


def prefix_of(forecast: Forecast) -> str:
    """What the columns of a forecast begin with: the same for all that ask the same."""
    return f"forecast.{identity(forecast.model_dump_json())[:12]}"


def suffix_of(trigger: Trigger) -> str:
    """What the columns of what lies ahead end with."""
    zones = trigger.scope.zones.model_dump_json()
    return f"@{identity(zones, trigger.look_ahead_s)[:12]}"


def _is_about(wanted: ZoneScope, zone: Zone) -> bool:
    return (not wanted.kind or zone.kind in wanted.kind) and (not wanted.id or zone.id in wanted.id)


class TriggerBook:
    """The triggers in force with what they read, and their conditions judged on columns.

    ``keys``: id and version of each. ``forecasts``: by column prefix. ``ahead``: by column suffix
    the zones looked for and how far ahead, s. ``kinds``: codes of the kinds of vehicles that
    triggers are about. ``every``: (t,) index into ``every_us``, distinct slices of time of which
    one record is judged, 0 = all records. ``columns``, ``sensors``: all that is read.
    ``absent_us``: lengths of silence asked for; ``on_looks``: (t,) which are judged where no record
    is.
    """

    def __init__(self, triggers: Sequence[CompiledTrigger], fences: Fences) -> None:
        self.triggers, self.fences = tuple(triggers), fences
        self.keys = tuple((one.trigger.id, one.trigger.version) for one in triggers)
        self.arms = Arms([one.trigger for one in triggers])
        self.columns = frozenset().union(*(one.columns for one in triggers))
        self.sensors = frozenset().union(*(one.sensors for one in triggers))
        self.forecasts = {
            one.forecasts[name]: forecast
            for one in triggers
            for name, forecast in one.trigger.forecasts.items()
        }
        self.series = tuple(dict.fromkeys(f.of for f in self.forecasts.values()))
        self._scopes = Scopes([one.trigger for one in triggers])
        self.ahead = {
            one.ahead: (
                Fences([zone for zone in fences.zones if _is_about(one.trigger.scope.zones, zone)]),
                one.trigger.look_ahead_s,
            )
            for one in triggers
            if any(column.endswith(one.ahead) for column in one.columns)
        }
        given_us = [round((one.trigger.every_s or 0.0) * 1e6) for one in triggers]
        self.every_us, every = np.unique(np.array([0, *given_us], np.int64), return_inverse=True)
        self.every: Rows = every[1:]
        about = [one.trigger.scope.kinds or KINDS for one in triggers]
        self.kinds = sorted({KINDS.index(kind) for kinds in about for kind in kinds})
        absent = {round((one.trigger.absent_for_s or 0.0) * 1e6) for one in triggers}
        self.absent_us = sorted(absent - {0})
        self.reads_missed = "comms.missed" in self.columns
        self.on_looks: Bools = np.array(
            [
                one.trigger.absent_for_s is not None or "comms.missed" in one.columns
                for one in triggers
            ],
            np.bool_,
        )

    def asked(self, name: str, due: Bools) -> Bools:
        """(n,) at which entries a column is asked for, by its name or what it begins or ends with.

        ``due``: (n, slices) the entries that are judged in each of ``every_us``.
        """
        asking = [
            place
            for place, one in zip(self.every.tolist(), self.triggers, strict=True)
            if any(column.startswith(name) or column.endswith(name) for column in one.columns)
        ]
        asked: Bools = np.logical_or.reduce(due[:, asking], axis=1)
        return asked

    def judge(self, frame: Frame, silence_us: np.ndarray, looks: Bools, due: Bools) -> Codes:
        """(n, t) what each trigger is at each entry, as of ``rules.planning.arming``.

        ``frame``: the entries with all ``columns`` among its sensors. ``silence_us``: (n,) how long
        the vehicle had been silent; ``looks``: (n,) where there is no record. ``due``: as of
        ``asked``.
        """
        columns = Columns.of_records(frame)
        symbol = np.full((len(frame), len(self.triggers)), UNKNOWN, np.int8)
        asked: Bools = np.logical_or.reduce(due, axis=0)
        within = self._scopes.within(frame)
        for i, one in enumerate(self.triggers):
            if not asked[self.every[i]]:
                continue
            code = self._true(one, columns, silence_us)
            about = within.mask(i)
            code = code if about is None else np.where(about, code, np.int8(NO))
            symbol[:, i] = _CLEARED[code]
            if one.clear_when is not None:
                clear = (one.clear_when.judge(columns) == YES) & (code != YES)
                symbol[:, i] = np.where(clear, np.int8(CLEAR), _QUIET[code])
        symbol[np.ix_(looks, ~self.on_looks)] = UNKNOWN
        symbol[~due[:, self.every]] = UNKNOWN
        return symbol

    def _true(self, one: CompiledTrigger, columns: Columns, silence_us: np.ndarray) -> Codes:
        always = np.full(len(columns), YES, np.int8)
        code = always if one.when is None else one.when.judge(columns)
        if one.trigger.absent_for_s is not None:
            # What is plainly not silent is false, whatever else is not known.
            heard = silence_us < round(one.trigger.absent_for_s * 1e6)
            code = np.where(heard, np.int8(NO), code)
        return code
