"""`python -m scripts.monitoring`: write the dashboards and the README's table of metrics."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from schemas.metrics import METRICS, Metric
from scripts.monitoring.dashboards import all_dashboards

ROOT: Final = Path(__file__).resolve().parents[2]
BEGINS: Final = "<!-- metrics: made by `python -m scripts.monitoring` -->\n"
ENDS: Final = "<!-- end of metrics -->\n"


def made() -> dict[Path, str]:
    """Path below the repository -> what the file is to hold."""
    grafana = Path("deploy", "grafana")
    files = {
        grafana / f"{name}.json": json.dumps(model, indent=1) + "\n"
        for name, model in all_dashboards().items()
    }
    return files | {Path("README.md"): with_table((ROOT / "README.md").read_text())}


def with_table(readme: str) -> str:
    """The README with the table of metrics between its marks."""
    before, _, rest = readme.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}{table(METRICS)}{ENDS}{after}"


def table(metrics: Iterable[Metric]) -> str:
    """The metrics as a table of Markdown."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |\n"
        for m in metrics
    ]
    return "".join(["| metric | kind | labels | |\n", "|---|---|---|---|\n", *rows])


def main() -> None:
    """Write every file."""
    for path, text in made().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
