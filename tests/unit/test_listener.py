"""A listener to a store: what it hears, and what it does when the store is in trouble."""

import threading

from connectors import listener
from connectors.contract import RefusedError, UnavailableError
from connectors.listener import Listener


class Feed:
    """Tells what it is given to tell, once each time it is asked; then it waits for ``done``."""

    def __init__(self, *told):
        self._told = iter(told)
        self.asked = threading.Semaphore(0)
        self.done = threading.Event()

    def changes(self):
        self.asked.release()
        for one in next(self._told):
            if isinstance(one, Exception):
                raise one
            yield one
        while not self.done.wait(0.01):
            yield None


class Heard(threading.Event):
    """Counts how often it is set."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def set(self):
        self.times += 1
        super().set()


def ended():
    for thread in threading.enumerate():
        if thread.name == listener.THREAD:
            thread.join(10)
            return not thread.is_alive()
    return True


def test_it_hears_that_it_listens_and_of_each_change_and_ends_when_let_go():
    feed, heard = Feed([None, None, "zones"]), Heard()
    held = Listener(feed, heard)
    assert feed.asked.acquire(timeout=10)
    while heard.times < 2:
        assert heard.wait(10)
    del held
    assert ended()
    assert heard.times == 2, "nothing new is no change"


def test_a_store_that_is_away_is_listened_to_again(monkeypatch):
    monkeypatch.setattr(listener, "delays_s", lambda: iter([0.0] * 5))
    feed, heard = Feed([UnavailableError("away")], [None]), Heard()
    held = Listener(feed, heard)
    assert heard.wait(10)
    held.close()
    assert ended()


def test_a_store_that_refuses_is_told_of_and_left_alone(caplog):
    feed, heard = Feed([RefusedError("`db`: may not listen")]), Heard()
    held = Listener(feed, heard)
    assert feed.asked.acquire(timeout=10)
    assert ended()
    assert not heard.is_set()
    assert "`db`: may not listen; its zones and rules are looked at from time" in caplog.text
    held.close()
