"""``notify:PATH``: notifications to the targets of a file of routes, through apprise."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Signal
from time import monotonic
from typing import Final

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.backoff import delays_s
from connectors.contract import Connector, ConnectorSettings, SettingsError
from connectors.paths import url_path
from connectors.refused import RefusedItems
from schemas.delivery import Delivery
from schemas.message import Reject
from schemas.route import Routing, Target
from schemas.route_file import RouteFileError, load_routes
from schemas.topics import BETWEEN_TOPICS, NOTIFICATIONS, RESULT_TOPICS

_log: Final = logging.getLogger(__name__)
LAST_TRIES_S: Final = 30.0
"""How long what is not sent yet is tried to be sent when the flow ends."""
LONGEST_WAIT_S: Final = 60.0
EPOCH_S: Final = 2.0
"""How long sending may hold up an epoch before the rest waits for the next one."""

Send = Callable[[str, str, str], bool]
"""Sends title, body and severity; whether it was taken."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A notification on its way; persisted. ``since_s``: seconds it has been tried for."""

    message_id: str
    target: str
    title: str
    body: str
    severity: str
    since_s: float = 0.0


State = tuple[list[Letter], list[Reject]]
"""What is not sent yet, and what was given up and nobody has told."""


def read_routes(path: Path) -> Routing:
    """The routes of a file, the variables in it from the environment.

    Raises:
        SettingsError: every mistake in it, a line each; or it cannot be read.
    """
    try:
        return load_routes(path.read_bytes(), str(path), os.environ)
    except RouteFileError as exc:
        raise SettingsError(str(exc)) from exc
    except OSError as exc:
        raise SettingsError(
            f"`{path}`: cannot be read ({exc.strerror}); name a file of routes"
        ) from exc


class NotifySink:
    """Notifications to their targets: mail, chats, SMS gateways, webhooks, as apprise has them.

    Unit of parallelism: none, one worker sends. What was not sent is part of the commit and tried
    again after a restart; what was sent in an epoch that was not committed is sent again: at least
    once, as no mail can be taken back. A target that does not take them is tried again, longer
    apart each time, for ``patience_s``; then its notification is a dead letter. One target never
    keeps others waiting for more than ``timeout_s`` or so, and no more go to it in a time than its
    rate allows: the rest wait.
    """

    leaves_out = frozenset((*RESULT_TOPICS, *BETWEEN_TOPICS)) - {NOTIFICATIONS}

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._path, self._settings = url_path(url), settings

    def check(self) -> None:
        """Refuse a file with mistakes, and targets that apprise does not know."""
        self._senders()

    def build(self, source: str) -> FixedPartitionedSink[Delivery, State]:
        """The Bytewax sink; ``source`` is not told."""
        del source
        return _Outboxes(self._senders, self._settings)

    def _senders(self) -> Mapping[str, "_Sender"]:
        targets = read_routes(self._path).targets
        return {
            name: _Sender(name, target, _open(name, target)) for name, target in targets.items()
        }


def _open(name: str, target: Target) -> Send:
    try:
        import apprise  # noqa: PLC0415 (an extra)
    except ImportError as exc:
        raise SettingsError(
            f"target `{name}`: notifications need apprise; install `farwatch[notify]`"
        ) from exc
    known = apprise.Apprise.instantiate(target.url, suppress_exceptions=True)
    if known is None:
        scheme = target.url.partition(":")[0]
        raise SettingsError(
            f"target `{name}`: no URL of apprise (`{scheme}:...`); see its list of services"
        )
    # It would sleep between two; how many may go is for us to say.
    known.request_rate_per_sec = 0
    kinds = {
        "info": apprise.NotifyType.INFO,
        "warning": apprise.NotifyType.WARNING,
    }

    def send(title: str, body: str, severity: str) -> bool:
        kind = kinds.get(severity, apprise.NotifyType.FAILURE)
        return bool(known.notify(title=title, body=body, notify_type=kind))

    return send


class _Sender:
    """One target: when it may be sent to next."""

    def __init__(self, name: str, target: Target, send: Send) -> None:
        self.name, self._send = name, send
        self._most, self._within_s = target.at_most
        self._sent_s: list[float] = []
        self._delays = delays_s(most_s=LONGEST_WAIT_S)
        self.next_s = 0.0

    def send(self, letter: Letter) -> bool:
        """Whether the target took the notification; when not, it rests for a while."""
        now_s = monotonic()
        self._sent_s = [each for each in self._sent_s if each > now_s - self._within_s]
        if self._send(letter.title, letter.body, letter.severity):
            self._sent_s.append(now_s)
            self._delays = delays_s(most_s=LONGEST_WAIT_S)
            if len(self._sent_s) >= self._most:
                self.next_s = self._sent_s[0] + self._within_s
            return True
        self.next_s = monotonic() + next(self._delays)
        return False


class _Outboxes(FixedPartitionedSink[Delivery, State]):
    def __init__(
        self, senders: Callable[[], Mapping[str, _Sender]], settings: ConnectorSettings
    ) -> None:
        self._senders, self._settings = senders, settings

    def list_parts(self) -> list[str]:
        return ["outbox"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> "_Outbox":
        letters, given_up = resume_state or ([], [])
        self._settings.refused.put(given_up)
        settings = self._settings
        return _Outbox(self._senders(), letters, settings.refused, settings.patience_s)


class _Outbox(StatefulSinkPartition[Delivery, State]):
    def __init__(
        self,
        senders: Mapping[str, _Sender],
        letters: Iterable[Letter],
        refused: RefusedItems,
        patience_s: float,
    ) -> None:
        self._senders, self._refused, self._patience_s = senders, refused, patience_s
        self._letters = list(letters)
        self._tried_s = monotonic()

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            if value.topic == NOTIFICATIONS:
                event = value.event
                said = (event.data[name] for name in ("target", "title", "body", "severity"))
                self._letters.append(Letter(event.message_id, *said))

    def snapshot(self) -> State:
        self._send_for(EPOCH_S)
        return self._letters.copy(), self._refused.waiting()

    def close(self) -> None:
        # What is here is part of the last commit; without a recovery store this is its last chance.
        end_s = monotonic() + LAST_TRIES_S
        while self._letters and monotonic() < end_s:
            self._send_for(EPOCH_S)
            Signal().wait(0.05)
        if self._letters:
            names = ", ".join(sorted({letter.target for letter in self._letters}))
            _log.error(
                "%d notifications to %s were not sent; a run with the same recovery folder tries"
                " again",
                len(self._letters),
                names,
            )
            self._letters = []

    def _send_for(self, most_s: float) -> None:
        now_s = monotonic()
        waited_s, self._tried_s = now_s - self._tried_s, now_s
        kept, resting = [], set[str]()
        for letter in self._letters:
            sender = self._senders.get(letter.target)
            if sender is None:
                self._give_up(letter, "there is no such target any more")
            elif letter.target in resting or monotonic() < sender.next_s:
                kept.append(self._waiting(letter, waited_s))
            elif monotonic() > now_s + most_s:
                kept.append(letter)
            elif not sender.send(letter):
                resting.add(letter.target)
                kept.append(replace(letter, since_s=letter.since_s + waited_s))
        self._letters = [letter for letter in kept if not self._too_long(letter)]

    def _waiting(self, letter: Letter, waited_s: float) -> Letter:
        """The letter after a while without a try: it counts if it has been refused before."""
        return replace(letter, since_s=letter.since_s + waited_s) if letter.since_s else letter

    def _too_long(self, letter: Letter) -> bool:
        if letter.since_s < self._patience_s:
            return False
        self._give_up(letter, f"was not taken for {self._patience_s:g} s")
        return True

    def _give_up(self, letter: Letter, why: str) -> None:
        raw = msgspec.json.encode(letter)
        reason = f"target `{letter.target}`: {why}; check its URL under `targets`"
        self._refused.put([Reject(reason, "target", raw, f"notify:{letter.target}")])


def _open_sink(url: str, settings: ConnectorSettings) -> NotifySink:
    return NotifySink(url, settings)


CONNECTOR: Final = Connector(open_sink=_open_sink)
