"""`scripts/docs`: write the reference below `deploy/` anew; what is no longer made is removed."""

import json
from pathlib import Path
from typing import Final

from scripts.reference.asyncapi import asyncapi
from scripts.reference.configuration import configuration
from scripts.reference.json_schemas import json_schemas
from scripts.reference.topics import topics

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = Path("deploy")
SCHEMAS: Final = DEPLOY / "schemas"


def made() -> dict[Path, str]:
    """Path below the repository -> what the file is to hold."""
    files = {
        DEPLOY / "configuration.md": configuration(),
        DEPLOY / "topics.md": topics(),
        DEPLOY / "asyncapi.json": _json(asyncapi()),
    }
    schemas = {SCHEMAS / f"{name}.json": _json(schema) for name, schema in json_schemas().items()}
    return files | schemas


def _json(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every file."""
    files = made()
    for path in (ROOT / SCHEMAS).glob("*.json"):
        if path.relative_to(ROOT) not in files:
            path.unlink()
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
