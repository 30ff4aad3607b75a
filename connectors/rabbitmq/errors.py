"""The one border where what pika raises becomes an error of ours."""

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import pika.exceptions as amqp

from connectors.contract import ConnectorError, FullError, RefusedError, UnavailableError

# Reply codes of AMQP 0-9-1, section 1.2.
CONNECTION_FORCED: Final = 320
ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
COMMAND_INVALID: Final = 503
RESOURCE_ERROR: Final = 506
NOT_ALLOWED: Final = 530
INTERNAL_ERROR: Final = 541

_TRANSIENT_CODES: Final = {CONNECTION_FORCED, RESOURCE_LOCKED, RESOURCE_ERROR, INTERNAL_ERROR}
# A queue whose leader is not up again yet is "not found" too; only the text tells.
_NOT_UP_YET: Final = re.compile(r"down or inaccessible|stopped by supervisor|timeout|unavailable")
# Pika names what ended the handshake only in the text of the error that it tells instead.
_CLOSED_WITH: Final = re.compile(r"ConnectionClosedByBroker: \((\d+)\)")
_INEQUIVALENT: Final = re.compile(
    r"inequivalent arg '(?P<arg>[^']+)' for (?P<kind>\w+) '(?P<name>[^']+)'.*?"
    r"received (?:the value )?(?P<ours>none|'[^']*').*?"
    r"current is (?:the value )?(?P<theirs>none|'[^']*')"
)


class AbsentError(RefusedError):
    """The broker has no queue or exchange of that name."""


class UnlikeError(RefusedError):
    """What is there is of another form, or the broker knows no such form."""


_REFUSED: Final = {
    NOT_FOUND: AbsentError,
    PRECONDITION_FAILED: UnlikeError,
    COMMAND_INVALID: UnlikeError,
}


def is_transient(exc: BaseException) -> bool:
    """Whether trying again later may succeed."""
    code = _reply_code(exc)
    if code is not None:
        if code == NOT_FOUND:
            return _NOT_UP_YET.search(str(exc)) is not None
        return code in _TRANSIENT_CODES
    if isinstance(exc, amqp.ChannelError):
        return False
    return not any(isinstance(cause, ssl.SSLError) for cause in _causes(exc))


def translated(exc: BaseException, name: str) -> ConnectorError:
    """The error of ours for what pika told about the broker ``name`` (its URL, masked)."""
    message = f"`{name}`: {_said(exc)}"
    if is_transient(exc):
        full = _reply_code(exc) == RESOURCE_ERROR
        return FullError(message) if full else UnavailableError(message)
    return _REFUSED.get(_reply_code(exc) or 0, RefusedError)(message)


def _said(exc: BaseException) -> str:
    """One line: what is wrong and the remedy."""
    code = _reply_code(exc)
    if code is not None and hasattr(exc, "reply_text"):
        return _reply(code, exc.reply_text)
    for cause in _causes(exc):
        said = _failed_to_connect(cause)
        if said:
            return said
    return f"the connection was lost ({_one_line(exc)}); see that the broker is up"


def _reply(code: int, text: str) -> str:
    if found := _INEQUIVALENT.search(text):
        what = f"{found['kind']} `{found['name']}`"
        return (
            f"{what} is there with `{found['arg']}` {_unquoted(found['theirs'])}, not "
            f"{_unquoted(found['ours'])}; delete it or name another"
        )
    if code == COMMAND_INVALID and "-hash" in text:
        return (
            "knows no exchange that hashes; run `rabbitmq-plugins enable rabbitmq_sharding` on "
            "the broker"
        )
    remedy = {
        ACCESS_REFUSED: "; check user and password (FARWATCH_RABBITMQ_PASSWORD) and permissions",
        NOT_FOUND: "; check the name, or start again to have it declared",
        NOT_ALLOWED: "; check the virtual host in the URL and the user's permissions",
    }.get(code, "")
    return f"{code} {text}{remedy}"


def _failed_to_connect(cause: BaseException) -> str | None:
    """What one link of the chain of causes says, None where it says nothing of use."""
    for kind, said in _FAILED.items():
        if isinstance(cause, kind):
            return said.format(getattr(cause, "strerror", None) or _one_line(cause))
    return None


_UNKNOWN_USER: Final = (
    "refuses the user or the password; check the URL or FARWATCH_RABBITMQ_PASSWORD"
)
_OTHER_PROTOCOL: Final = (
    "does not answer in AMQP 0-9-1; see that it is up, and check port and `amqps:`"
)
_NO_ANSWER: Final = "does not answer ({}); see that it is up"
# ssl.SSLError and socket.gaierror are OSErrors too: the particular come first.
_FAILED: Final[dict[type[BaseException], str]] = {
    amqp.ProbableAuthenticationError: _UNKNOWN_USER,
    amqp.AuthenticationError: _UNKNOWN_USER,
    amqp.ProbableAccessDeniedError: (
        "refuses the virtual host; check its name in the URL and the user's permissions"
    ),
    amqp.IncompatibleProtocolError: _OTHER_PROTOCOL,
    amqp.ConnectionOpenAborted: _OTHER_PROTOCOL,
    ssl.SSLError: "TLS failed ({}); check `ca=FILE` and the host name",
    socket.gaierror: "unknown host ({}); check the name in the URL",
    ConnectionError: _NO_ANSWER,
    TimeoutError: _NO_ANSWER,
}


def _reply_code(exc: BaseException) -> int | None:
    """The code with which the broker closed channel or connection; None where it did not."""
    if isinstance(exc, (amqp.ConnectionClosedByBroker, amqp.ChannelClosedByBroker)):
        return int(exc.reply_code)
    found = _CLOSED_WITH.search(str(exc))
    return int(found[1]) if found else None


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception and all that pika keeps of what led to it, outermost first."""
    waiting = [exc]
    seen = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [*getattr(one, "exceptions", ()), getattr(one, "exception", None)]
        waiting += [*inner, *one.args, one.__cause__, one.__context__]


def _unquoted(value: str) -> str:
    return value if value == "none" else f"`{value.strip(chr(39))}`"


def _one_line(exc: BaseException) -> str:
    return " ".join(f"{type(exc).__name__} {exc}".split())
