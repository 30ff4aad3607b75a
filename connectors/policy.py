"""The policy in force in this process: the file that ``FARWATCH_POLICY`` names, read each time."""

import os
from pathlib import Path
from typing import Final

from connectors.contract import SettingsError
from schemas.policy import Policy, PolicyError, load_policy

VARIABLE: Final = "FARWATCH_POLICY"


def policy_in_force() -> Policy | None:
    """The policy; None where none is named: whoever gets at a store or a queue may do all.

    Raises:
        SettingsError: the file cannot be read or has a mistake: nothing is granted then.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    try:
        return load_policy(Path(path).read_bytes(), path)
    except OSError as exc:
        raise SettingsError(f"{VARIABLE} `{path}`: {exc.strerror}; check the path") from exc
    except PolicyError as exc:
        raise SettingsError(str(exc)) from exc
