"""kill -9 of flow, broker and databases in turn: every far side shows what it shows without."""

import random
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from tests.far_sides import DATABASES, NEW_TOPICS, Topics, told_on, without_origin
from tests.kills import FLOW, Kills, Lives, in_turn
from tests.services import service_control
from tests.watching import environment, told

# Slow enough for many kills: at most this many records of a process an epoch.
EPOCH_ROWS = 20
PACE = {"epoch_rows": EPOCH_ROWS, "frame_rows": EPOCH_ROWS}
SHARE = 100
"""Records that are published with each kill, while the flow runs, and when it has read them."""


class Publishing:
    """The stream, published share by share in a thread of its own, whatever is away meanwhile."""

    def __init__(self, topics: Topics, lines: list[str]) -> None:
        self._topics = topics
        self._shares = [lines[n : n + SHARE] for n in range(0, len(lines), SHARE)]
        self._asked: SimpleQueue[tuple[list[str], Future[None]]] = SimpleQueue()
        self._published: list[Future[None]] = []
        # Nobody waits for a daemon: one that is stuck keeps no process from its end.
        Thread(target=self._publish, daemon=True).start()

    def share(self) -> bool:
        """Begin to publish the next share, if any is left."""
        if not self._shares:
            return False
        share = self._shares.pop(0)
        self._published.append(Future())
        self._asked.put((share, self._published[-1]))
        return True

    def rest(self) -> None:
        """Publish what is left; returns when the broker has all of it."""
        while self.share():
            pass
        for share in self._published:
            share.result(timeout=180)

    def _publish(self) -> None:
        while True:
            share, done = self._asked.get()
            try:
                self._topics.publish(share)
            except Exception as error:  # noqa: BLE001 - told to who waits for it
                done.set_exception(error)
            else:
                done.set_result(None)


def long(broker: str, processes: int) -> Any:
    """A hundred kills, each fifth of them that of a server too."""
    kills = in_turn(100, [broker, *DATABASES], every=5)
    return pytest.param(
        *(broker, processes, kills),
        id=f"{broker}-{processes}-processes-100-kills",
        marks=pytest.mark.slow,
    )


@pytest.mark.parametrize(
    ("broker", "processes", "kills"),
    [
        ("rabbitmq", 2, [(FLOW,), ("postgresql", FLOW), ("rabbitmq", FLOW)]),
        ("kafka", 1, [("influxdb",), (FLOW,), ("redis", FLOW), ("kafka", FLOW)]),
        *(long(broker, processes) for broker in NEW_TOPICS for processes in (1, 2)),
    ],
)
def test_after_kills_every_far_side_shows_what_it_shows_without(
    broker, processes, kills, topics, stores, undisturbed_of, tmp_path, unused_tcp_ports
):
    expected = undisturbed_of(2 * SHARE * len(kills))
    publishing = Publishing(topics, expected.lines)
    publishing.share()
    results = f"{stores.results} {topics.results} dir:{tmp_path}/topics"
    env = environment(expected.inputs, tmp_path, telemetry=topics.source, results=results, **PACE)
    servers = {name for victims in kills for name in victims} - {FLOW}
    killing = Kills(
        Lives(env, tmp_path, addresses(unused_tcp_ports[:processes]), epoch_s=0.05),
        kills,
        random.Random(f"{broker} {processes} {len(kills)}"),
        longest_s=0.5,
        servers={name: service_control(name) for name in servers},
        share=publishing.share,
    )
    killing.run(publishing.rest)

    told_there = told_on(topics)
    assert without_origin(told_there.events) == without_origin(expected.events)
    assert without_origin(told(tmp_path)) == without_origin(expected.events)
    assert stores.shown() == expected.shown
    assert topics.unread() == 0
    # Each kill repeats at most one epoch, whose records tell less than one event each.
    once_more = killing.of(FLOW) + killing.of("rabbitmq")
    assert told_there.again <= once_more * EPOCH_ROWS * processes
    print(killing.summary(), told_there.summary())


def addresses(ports: Sequence[int]) -> list[str]:
    """Of the processes of a cluster; one alone is none."""
    return [f"127.0.0.1:{port}" for port in ports] if len(ports) > 1 else []
