"""Hearing of new zones and rules at once, from a store that tells of them."""

import logging
from collections.abc import Iterator
from threading import Event, Thread
from typing import Final
from weakref import finalize

from connectors.backoff import delays_s
from connectors.contract import ConnectorError, SettingsError, UnavailableError
from connectors.definitions import ChangeFeed

THREAD: Final = "registry listener"

_log: Final = logging.getLogger(__name__)


class Listener:
    """Hears of changes in a store, in a thread and over a connection of its own.

    ``heard`` is set when there is something new, and when the listener begins to listen, as nobody
    knows what came before. A store that goes away is listened to again once it is back; one that
    refuses is not. The thread ends within seconds after the listener is closed or let go.
    """

    def __init__(self, store: ChangeFeed, heard: Event) -> None:
        ended = Event()
        self.close = finalize(self, ended.set)
        Thread(target=_listen, args=(store, heard, ended), name=THREAD, daemon=True).start()


def _listen(store: ChangeFeed, heard: Event, ended: Event) -> None:
    delays: Iterator[float] = delays_s()
    while not ended.is_set():
        try:
            first = True
            for change in store.changes():
                if first or change is not None:
                    heard.set()
                first = False
                if ended.is_set():
                    return
        except UnavailableError:
            ended.wait(next(delays))
        except (ConnectorError, SettingsError) as exc:
            _log.warning("%s; its zones and rules are looked at from time to time only", exc)
            return
