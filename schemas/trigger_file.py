"""Files of triggers: YAML, a list of triggers, read as files of rules are, all mistakes at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import BaseModel

from schemas.rule import Mistake, Scope, ZoneScope
from schemas.rule_file import EntryReader, Path, entry_nodes
from schemas.schedule import Schedule
from schemas.trigger import Forecast, Trigger
from schemas.yaml_places import Place, place_of

TEXTS: Final = ("when", "clear_when", "message")
"""Fields that hold expressions or templates, which are checked where they stand."""


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    fields = model.model_fields.items()
    return tuple(field.alias or name for name, field in fields if name != "line")


class _Keys(dict[Path, tuple[str, ...]]):
    """The keys known below each path: those of forecasts under every name."""

    def get(self, path: Path, default: object = None) -> tuple[str, ...] | None:  # type: ignore[override]
        """The keys known at a path, None where any may stand."""
        if path[:1] == ("forecasts",) and len(path) == 2:
            return _keys(Forecast)
        return super().get(path)


@dataclass(frozen=True, slots=True)
class TriggerEntry:
    """One trigger of a file: ``trigger`` is None where it has mistakes.

    ``label`` names it in mistakes. ``texts``: field of ``TEXTS`` -> what is written there, if it
    is a text. ``forecasts``: the names given. ``text_at``: where a character of a field is.
    """

    label: str
    trigger: Trigger | None
    texts: Mapping[str, str]
    forecasts: tuple[str, ...]
    text_at: Callable[[str, int, int], Place]


class _TriggerReader(EntryReader):
    model: ClassVar[type[BaseModel]] = Trigger
    noun: ClassVar[str] = "trigger"
    keys: ClassVar[Mapping[Path, tuple[str, ...]]] = _Keys(
        {
            (): _keys(Trigger),
            ("scope",): tuple(Scope.model_fields),
            ("scope", "zones"): tuple(ZoneScope.model_fields),
            ("schedule",): tuple(Schedule.model_fields),
        }
    )

    def read_trigger(self) -> TriggerEntry:
        given, trigger = self.read_model()
        named = given.get("forecasts")
        sound = isinstance(trigger, Trigger) and not self.mistakes
        return TriggerEntry(
            label=self._label,
            trigger=trigger if isinstance(trigger, Trigger) and sound else None,
            texts={
                name: text
                for name in TEXTS
                if isinstance(text := given.get(name), str) and text.strip()
            },
            forecasts=tuple(named) if isinstance(named, dict) else (),
            text_at=self._text_at,
        )


def read_triggers(text: bytes) -> tuple[tuple[TriggerEntry, ...], list[Mistake]]:
    """The entries of a trigger file and every mistake in it; expressions are not compiled here."""
    nodes, mistakes = entry_nodes(text, "trigger")
    lines = text.decode("utf-8-sig").splitlines() if nodes else []
    entries: list[TriggerEntry] = []
    first: dict[tuple[str, int], int] = {}
    for place, node in enumerate(nodes, 1):
        reader = _TriggerReader(node, place, lines)
        entry = reader.read_trigger()
        entries.append(entry)
        mistakes += reader.mistakes
        if entry.trigger is not None:
            here, column = place_of(node)
            version = entry.trigger.version
            line = first.setdefault((entry.trigger.id, version), here)
            if line != here:
                what = f"version {version} is also in line {line}"
                remedy = "give another id or a higher `version`"
                mistakes.append(Mistake(here, f"{entry.label}: {what}: {remedy}", column))
    return tuple(entries), mistakes
