"""The topics as a page of Markdown."""

from schemas.catalogue import TOPICS
from schemas.payloads import PAYLOADS


def topics() -> str:
    """The page: a row a topic, then each type of event with its fields."""
    lines = [
        "# Topics",
        "",
        "Made by `scripts/docs` from `schemas/`: change it there. `asyncapi.json` has the same for"
        " programs, `schemas/` a JSON Schema a type.",
        "",
        "| topic | holds | types of events |",
        "|---|---|---|",
    ]
    for name, topic in TOPICS.items():
        types = " ".join(f"[`{each}`](schemas/{each}.json)" for each in topic.types)
        lines.append(f"| `{name}` | {topic.summary} | {types} |")
    lines += ["", "## Events", ""]
    for name, model in PAYLOADS.items():
        own = [f"`{field}`" for field in model.model_fields]
        said = " ".join((model.__doc__ or "").split())
        lines += [f"### `{name}`", "", said, "", f"`data`: {', '.join(own)}", ""]
    return "\n".join(lines)
