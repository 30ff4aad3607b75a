"""The tables: alerts with their decision records, visits to zones, rejected records."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from scripts.report.data import Json
from scripts.report.episodes import Alarm, Visit
from scripts.report.marks import severity_badge
from scripts.report.markup import Markup, join, tag
from scripts.report.times import duration, stamp

MOST_ROWS: Final = 200
MOST_LISTED: Final = 5_000
_EXAMPLES: Final = 3
_RAW_LENGTH: Final = 300
_MOST_FIXES: Final = 12
_MOST_REASONS: Final = 30

# What differs between rejects of the same fault: quoted values and numbers.
_PARTICULARS: Final = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?""")


def alert_table(alarms: Sequence[Alarm], names: Mapping[str, str]) -> Markup:
    """One row an alarm, most urgent first; ``names``: zone id -> name."""
    columns = ("Raised (UTC)", "Vehicle", "Rule", "Severity", "State", "Zone", "Message")
    rows = [_alert_row(alarm, names, columns) for alarm in alarms[:MOST_LISTED]]
    return table("alerts", columns, rows, len(alarms))


def visit_table(visits: Sequence[Visit], names: Mapping[str, str]) -> Markup:
    """One row a visit; ``names``: zone id -> name."""
    columns = ("Vehicle", "Zone", "Entered (UTC)", "Exited (UTC)", "Stayed")
    rows = [_visit_row(visit, names, columns) for visit in visits[:MOST_LISTED]]
    return table("visits", columns, rows, len(visits))


def reject_list(rejects: Sequence[Json]) -> Markup:
    """How many records were refused for what reason, with a few of each."""
    by_reason: dict[str, list[Json]] = {}
    for event in rejects:
        data = event["data"]
        by_reason.setdefault(_fault(data), []).append(data)
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    entries = [
        tag(
            "li",
            {},
            tag("b", {}, f"{len(held):,} ×"),
            f" {reason}",
            tag("ul", {}, *(_example(data) for data in held[:_EXAMPLES])),
        )
        for reason, held in ordered[:_MOST_REASONS]
    ]
    left_out = len(ordered) - len(entries)
    note = tag("p", {"class": "note"}, f"{left_out} rarer reasons are not listed.")
    return join([tag("ul", {"class": "rejects"}, *entries), note if left_out else ""])


def table(name: str, columns: Sequence[str], rows: Sequence[Markup], count: int) -> Markup:
    """The first rows on show, the rest in a fold that says how many; empty without rows.

    ``count``: how many there are in all, if more than a page can hold.
    """
    if not rows:
        return Markup("")
    first, rest = rows[:MOST_ROWS], rows[MOST_ROWS:]
    head = tag("thead", {}, tag("tr", {}, *(tag("th", {"scope": "col"}, c) for c in columns)))
    parts = [tag("table", {"class": name}, head, tag("tbody", {}, *first))]
    if rest:
        told = f"{len(rest):,} more (the first {MOST_ROWS} of {count:,} are above)"
        below = tag("table", {"class": name}, head, tag("tbody", {}, *rest))
        parts.append(tag("details", {}, tag("summary", {}, told), below))
    if count > len(rows):
        left_out = f"{count - len(rows):,} more are in the results and not in this report."
        parts.append(tag("p", {"class": "note"}, left_out))
    return join(parts)


def _fault(data: Json) -> str:
    reason = _PARTICULARS.sub("…", str(data.get("reason", "")))
    field = str(data.get("field") or "")
    return reason if not field or field in reason else f"{field}: {reason}"


def _example(data: Json) -> Markup:
    written = str(data.get("raw_text", data.get("raw", "")))
    cut = written[:_RAW_LENGTH] + ("…" if len(written) > _RAW_LENGTH else "")
    return tag(
        "li",
        {},
        tag("span", {"class": "origin"}, data.get("origin", "")),
        f" {data.get('reason', '')} ",
        tag("code", {}, cut),
    )


def _alert_row(alarm: Alarm, names: Mapping[str, str], columns: Sequence[str]) -> Markup:
    if alarm.cleared_us is None:
        state = f"{alarm.state}, open"
    else:
        lasted = duration(alarm.cleared_us - alarm.raised_us)
        state = f"cleared {stamp(alarm.cleared_us)} after {lasted}"
    if alarm.shadow:
        state += "; shadow rule, nobody was told"
    message = join([alarm.message, _decision(alarm, names)])
    cells = (
        tag("a", {"href": f"#alert-{alarm.number}"}, stamp(alarm.raised_us)),
        alarm.vehicle_id,
        alarm.rule,
        severity_badge(alarm.severity),
        state,
        names.get(alarm.zone_id, alarm.zone_id),
        message,
    )
    row = {"id": f"alert-{alarm.number}", "data-alert": alarm.number}
    return tag("tr", row, _cells(cells, columns))


def _decision(alarm: Alarm, names: Mapping[str, str]) -> Markup:
    """What the alert rests on: rule and zone version, inputs, limit, margin, fixes."""
    record = dict(alarm.decision)
    entries: list[tuple[str, object]] = [("rule", alarm.rule)]
    zone_version = record.pop("zone_version", None)
    if alarm.zone_id:
        version = "" if zone_version is None else f" v{zone_version}"
        entries.append(("zone", f"{names.get(alarm.zone_id, alarm.zone_id)}{version}"))
    inputs = record.pop("inputs", None) or {}
    entries += [(name, _value(value)) for name, value in inputs.items()]
    entries += [(n, _value(record.pop(n))) for n in ("limit", "margin") if n in record]
    fixes = record.pop("fixes", None) or ()
    entries += [(name, _value(value)) for name, value in record.items()]
    if fixes:
        entries.append((f"fixes ({len(fixes)})", _fixes(fixes)))
    listed = [join([tag("dt", {}, name), tag("dd", {}, value)]) for name, value in entries]
    summary = tag("summary", {}, "decision record")
    return tag("details", {"class": "decision"}, summary, tag("dl", {}, *listed))


def _fixes(fixes: Sequence[Any]) -> str:
    """The fixes, of many the first and the last."""
    if len(fixes) <= _MOST_FIXES:
        return ", ".join(map(str, fixes))
    half = _MOST_FIXES // 2
    return ", ".join(map(str, [*fixes[:half], "…", *fixes[-half:]]))


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "unknown"}[value]
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _visit_row(visit: Visit, names: Mapping[str, str], columns: Sequence[str]) -> Markup:
    entered, exited = visit.entered_us, visit.exited_us
    stayed = "" if entered is None or exited is None else duration(exited - entered)
    cells = (
        visit.vehicle_id,
        names.get(visit.zone_id, visit.zone_id),
        stamp(entered) if entered is not None else "before the records",
        stamp(exited) if exited is not None else "still inside",
        stayed,
    )
    return tag("tr", {}, _cells(cells, columns))


def _cells(cells: Iterable[object], columns: Sequence[str]) -> Markup:
    # data-label: what a narrow screen, where rows become cards, shows in place of the head.
    return join(
        tag("td", {"data-label": column}, cell) for cell, column in zip(cells, columns, strict=True)
    )
