"""How URLs name files and folders, and whether those can be written."""

from pathlib import Path
from tempfile import TemporaryFile

from connectors.contract import SettingsError


def url_path(url: str) -> Path:
    """The path in ``scheme:PATH``; ``~`` is the user's home.

    Raises:
        SettingsError: the URL names no path, or a ``~`` of nobody.
    """
    scheme, _, path = url.partition(":")
    if not path:
        raise SettingsError(f"`{url}`: names no path; write `{scheme}:PATH`")
    return from_home(url, path)


def from_home(named: str, path: str) -> Path:
    """The path, whose ``~`` is a user's home; ``named``: what of the settings names it.

    Raises:
        SettingsError: nobody has that home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as exc:
        raise SettingsError(f"`{named}`: nobody's home is `{path}`; write the path out") from exc


def check_folder(url: str, folder: Path) -> None:
    """Do nothing if files can be made in ``folder``, itself made where absent.

    Leaves nothing behind: the trial file has no name, and no folder is made.

    Raises:
        SettingsError: they cannot; says why and names ``url``.
    """
    absolute = folder.absolute()
    try:
        nearest = next(path for path in (absolute, *absolute.parents) if path.exists())
        with TemporaryFile(dir=nearest):
            pass
    except NotADirectoryError as exc:
        raise SettingsError(
            f"`{url}`: `{nearest}` is no folder; name another path or move it away"
        ) from exc
    except OSError as exc:
        raise SettingsError(
            f"`{url}`: cannot write in `{folder}` ({exc.strerror}); allow it or name another path"
        ) from exc
