"""What goes wrong with servers for development and tests."""


class ServerError(RuntimeError):
    """A server cannot be installed or started."""
