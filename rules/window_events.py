"""Windows as events: each with its figures under the names of the fields."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rules import exact_sums
from rules.stretches import gaps
from rules.summary import KIND_AND_BODY, Windowing
from rules.windows import COUNT, TOO_LATE, Windows
from schemas.event import ANALYTICS_WINDOWED, Event, identity
from schemas.frame import BODIES, KINDS, Longs


def window_events(
    windowing: Windowing, windows: Windows, vehicle_ids: Sequence[str]
) -> list[Event]:
    """One event a row; ``vehicle_ids``: that of each row."""
    begin_us = windows.window * windowing.length_us
    silence = gaps(windows.stretches)
    columns = zip(
        vehicle_ids,
        begin_us.tolist(),
        windows.figures[:, COUNT].astype(np.int64).tolist(),
        windows.figures[:, TOO_LATE].astype(np.int64).tolist(),
        _times(begin_us),
        _times(silence.first_us),
        _times(silence.last_us),
        silence.number.tolist(),
        (silence.longest_us / 1e6).tolist(),
        _figures(windows),
        _last(windows),
        strict=True,
    )
    length_s, gap_s = windowing.length_us / 1e6, windowing.gap_us / 1e6
    return [
        Event(
            type=ANALYTICS_WINDOWED,
            event_id=identity(ANALYTICS_WINDOWED, vehicle_id, at_us, windowing.length_us),
            version=count + too_late,
            vehicle_id=vehicle_id,
            time_us=at_us,
            data={
                "time": time,
                "length_s": length_s,
                **_what(last),
                "count": count,
                "too_late": too_late,
                "first_time": first_time,
                "last_time": last_time,
                "gap_s": gap_s,
                "gaps": number,
                "longest_gap_s": longest_gap_s,
                "figures": figures,
                "last": last,
            },
        )
        for (
            vehicle_id,
            at_us,
            count,
            too_late,
            time,
            first_time,
            last_time,
            number,
            longest_gap_s,
            figures,
            last,
        ) in columns
    ]


def _figures(windows: Windows) -> Iterator[dict[str, dict[str, Any]]]:
    """Field -> its figures, of each row; fields that the row has no value of are left out."""
    fields, rows = windows.fields, len(windows)
    names = fields.linear
    added = windows.figures[:, 3 : fields.added.stop].reshape(rows, 5, len(names))
    bounds = windows.figures[:, fields.bounds].reshape(rows, 2, len(names))
    count, low, high = added[:, 0], -bounds[:, 0], bounds[:, 1]
    mean = exact_sums.mean(added[:, 1:].swapaxes(0, 1), count, low, high)
    last = windows.figures[:, fields.last][:, : len(names)]
    # Adding 0 makes -0 to 0: which of the two counts as greater depends on the order they come in.
    table = (np.stack([low, mean, high, last], axis=-1) + 0.0).tolist()
    for counts, row in zip(count.astype(np.int64).tolist(), table, strict=True):
        yield {
            name: {
                "count": n,
                "min": least,
                "mean": middle if middle == middle else None,  # noqa: PLR0124 (NaN)
                "max": most,
                "last": newest,
            }
            for name, n, (least, middle, most, newest) in zip(names, counts, row, strict=True)
            if n
        }


def _last(windows: Windows) -> Iterator[dict[str, float]]:
    """Field -> its last value, of each row, for the fields that have no other figures."""
    names = windows.fields.others
    last = windows.figures[:, windows.fields.last][:, -len(names) :] + 0.0
    for row in last.tolist():
        yield {name: v for name, v in zip(names, row, strict=True) if v == v}  # noqa: PLR0124 (NaN)


def _what(last: dict[str, float]) -> dict[str, str]:
    """Kind and body, which are taken out of ``last``."""
    kind, body = divmod(int(last.pop(KIND_AND_BODY)), len(BODIES))
    return {"kind": KINDS[kind], "body": BODIES[body]}


def _times(times_us: Longs) -> list[str]:
    texts: list[str] = np.datetime_as_string(times_us.astype("M8[us]"), timezone="UTC").tolist()
    return texts
