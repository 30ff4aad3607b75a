"""kill -9 of a flow that reads messages without ids from RabbitMQ, and of the broker itself."""

import random
import time

import pytest

from connectors.contract import ConnectorSettings
from connectors.registry import open_source
from tests.far_sides import without_origin
from tests.killing import kill_until_done, popen
from tests.kills import SETTLED_S
from tests.rabbitmq_broker import new_broker
from tests.rabbitmq_reading import eventually, record
from tests.services import service_control
from tests.watching import command, environment, rows, run, telemetry, told, write_inputs

PACE = {"epoch_s": 0.05, "epoch_rows": 30, "frame_rows": 30}
LONGEST_S = 0.5
MOST_A_LIFE = PACE["epoch_rows"] * LONGEST_S / PACE["epoch_s"]
"""Records at most, after the first were told of."""


def inputs_of(kills, folder):
    """More records than lives of random length read before so many kills, in a new folder."""
    write_inputs(folder, telemetry(round(kills * MOST_A_LIFE)))
    return folder


def undisturbed(inputs, out):
    """What a run over the same records in a file tells."""
    done = run(command("watch", "--quiet"), environment(inputs, out))
    assert done.returncode == 0, done.stderr
    return out


def dead_letters(out):
    return sorted((reason, raw) for _, reason, raw in rows(out)["dead_letters"])


def events(out):
    return {table: found for table, found in rows(out).items() if table != "dead_letters"}


def queues_of(broker, queues):
    """Vehicle's routing key -> the queue that its telemetry goes to."""
    broker.publish([record(number, vehicles=40) for number in range(40)])
    eventually(lambda: sum(map(broker.count, queues)) == 40)
    return {key: queue for queue in queues for _, key, _ in broker.take(queue)}


def test_vehicles_keep_to_their_queues_when_the_broker_is_killed(rabbitmq_url):
    server = service_control("rabbitmq")
    with new_broker(rabbitmq_url) as broker:
        open_source(broker.source(queues=4), ConnectorSettings()).check()
        queues = [f"{broker.exchange}.{number}" for number in range(4)]
        before = queues_of(broker, queues)
        assert (len(before), set(before.values())) == (40, set(queues))
        time.sleep(SETTLED_S)  # noqa: TID251 (so that the queues come back with a leader)
        server.kill9()
        server.start()
        assert queues_of(broker, queues) == before


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("queue", 3),
        *(
            pytest.param(kind, kills, marks=pytest.mark.slow)
            for kind, kills in [("queue", 50), ("stream", 3), ("stream", 50)]
        ),
    ],
)
def test_every_record_counts_once_however_often_the_flow_is_killed(
    rabbitmq_url, tmp_path, kind, kills
):
    inputs = inputs_of(kills, tmp_path / "inputs")
    expected = undisturbed(inputs, tmp_path / "undisturbed")
    with new_broker(rabbitmq_url) as broker:
        stream = {"type": "stream"} if kind == "stream" else {}
        url = broker.source(queues=1, until="end", **stream)
        open_source(url, ConnectorSettings()).check()
        lines = (inputs / "telemetry.ndjson").read_bytes().splitlines()
        broker.publish(lines, ids=None)
        env = environment(inputs, tmp_path, telemetry=url, recovery=tmp_path / "recovery", **PACE)

        def start():
            return [popen(command("watch", "--quiet"), env, tmp_path)]

        done = kill_until_done(start, tmp_path, random.Random(kills), kills, longest_s=LONGEST_S)
        assert done >= kills
        assert without_origin(told(tmp_path)) == without_origin(told(expected))
        assert dead_letters(tmp_path) == dead_letters(expected)
        assert events(tmp_path) == events(expected)
        if kind == "queue":
            assert broker.count(f"{broker.exchange}.0") == 0
