"""Secrets that no URL should hold: from the environment or from a file it names."""

import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from connectors.contract import SettingsError

_VARIABLE: Final = re.compile(r"FARWATCH_[A-Z]+_(USER|PASSWORD|TOKEN)(_FILE)?")


def is_credential(variable: str) -> bool:
    """Whether an environment variable has the form of one that ``credential`` reads."""
    return _VARIABLE.fullmatch(variable) is not None


def credential(name: str) -> str | None:
    """The value of ``FARWATCH_<name>``, else of the file that ``FARWATCH_<name>_FILE`` names.

    ``name`` is such as ``REDIS_PASSWORD``; None where neither is set. White space around the
    content of a file is no part of it.

    Raises:
        SettingsError: the file cannot be read or is empty.
    """
    variable = f"FARWATCH_{name}"
    if value := os.environ.get(variable):
        return value
    path = os.environ.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{variable}_FILE `{path}`: cannot be read ({exc})") from exc
    if not value:
        raise SettingsError(f"{variable}_FILE `{path}`: is empty; write the secret into it")
    return value


def unknown_option(name: str, known: Collection[str]) -> tuple[str, str]:
    """What to say of an option of a URL that is none, and what to do; ``known``: those there are.

    The name is told only where it is a word: where a second URL follows the first, all of it is
    such a name, its password too.
    """
    is_word = name.isidentifier()
    close = get_close_matches(name, known, 1)
    return (
        f"unknown option `{name}`" if is_word else "an option whose name is no word",
        f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}",
    )
