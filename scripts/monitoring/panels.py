"""Panels of Grafana: the query and the unit follow from the metric's kind, name and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.metrics import Metric

CHOSEN: Final = 'job=~"$job",instance=~"$instance"'
QUANTILES: Final = (0.5, 0.99)
WIDTH: Final = 24
PANEL_WIDTH: Final = 8
PANEL_HEIGHT: Final = 8
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric as a dashboard shows it.

    ``title``: for people. ``by``: labels that its lines are told apart by, all of them unless
    given. ``where``: further matchers. ``most``: over processes the largest counts, not the sum.
    """

    title: str
    metric: Metric
    by: tuple[str, ...] | None = None
    where: str = ""
    most: bool = False

    def queries(self) -> list[tuple[str, str]]:
        """(query, legend) of each group of lines."""
        metric = self.metric
        by = metric.labels if self.by is None else self.by
        legend = " ".join(f"{{{{{label}}}}}" for label in by)
        series = f"{{{CHOSEN}{',' if self.where else ''}{self.where}}}"
        if metric.kind == "histogram":
            rate = f"rate({metric.name}_bucket{series}[$__rate_interval])"
            grouped = f"sum by ({', '.join(('le', *by))}) ({rate})"
            return [
                (f"histogram_quantile({q}, {grouped})", f"p{q * 100:g} {legend}".strip())
                for q in QUANTILES
            ]
        value = f"{metric.name}{series}"
        if metric.kind == "counter":
            value = f"rate({value}[$__rate_interval])"
        elif metric.name.endswith("_timestamp_seconds"):
            value = f"(time() - ({value} > 0))"
        over = "max" if self.most else "sum"
        grouped = f"{over} by ({', '.join(by)}) ({value})" if by else f"{over}({value})"
        return [(grouped, legend or self.title)]

    def unit(self) -> str:
        """Grafana's name of the unit."""
        metric = self.metric
        if metric.kind == "counter":
            return "cps"
        for ending, unit in (("_seconds", "s"), ("_bytes", "bytes")):
            if metric.name.endswith(ending):
                return unit
        return "short"


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """A dashboard of Grafana 10 and later with its panels three in a row."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["farwatch"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [_drawn(panel, place) for place, panel in enumerate(panels)],
    }


def _variables() -> list[dict[str, Any]]:
    datasource = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return [datasource] + [
        {
            "name": name,
            "type": "query",
            "datasource": DATASOURCE,
            "query": f"label_values(farwatch_build_info{matcher}, {name})",
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }
        for name, matcher in (("job", ""), ("instance", '{job=~"$job"}'))
    ]


def _drawn(panel: Panel, place: int) -> dict[str, Any]:
    row, column = divmod(place, WIDTH // PANEL_WIDTH)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.metric.help,
        "datasource": DATASOURCE,
        "gridPos": {
            "h": PANEL_HEIGHT,
            "w": PANEL_WIDTH,
            "x": column * PANEL_WIDTH,
            "y": row * PANEL_HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit(), "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(panel.queries())
        ],
    }
