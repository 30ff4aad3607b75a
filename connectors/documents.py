"""Documents named by a URL: zones, rules and other files read whole at start."""

from connectors.contract import SettingsError
from connectors.paths import url_path


def read_document(url: str, holds: str) -> tuple[bytes, str]:
    """The bytes of the document and the name to use in messages about it.

    ``holds`` says what it should hold, for the message.

    Raises:
        SettingsError: not a ``file:`` URL, or the file cannot be read.
    """
    if not url.startswith("file:"):
        raise SettingsError(f"`{url}`: {holds} are read from a file; write `file:PATH`")
    path = url_path(url)
    try:
        return path.read_bytes(), str(path)
    except OSError as exc:
        raise SettingsError(
            f"`{url}`: cannot read {holds} ({exc.strerror}); check the path"
        ) from exc
