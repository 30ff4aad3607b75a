"""kill -9 of flow and broker while telemetry comes over RabbitMQ: each record counts once."""

import random
import sys
import time

import pytest

from connectors.contract import ConnectorSettings
from connectors.registry import open_source
from tests.crash.test_kill_and_resume import kill_until_done, popen
from tests.rabbitmq_broker import empty_topics, new_broker
from tests.services import service_control
from tests.watching import command, environment, rows, run, telemetry, told, write_inputs

RECORDS = 4_000
PACE = {"epoch_s": 0.05, "epoch_rows": 60, "frame_rows": 60}
SLOW = PACE | {"epoch_rows": 20}
# The engine's own command line knows epochs of whole seconds only.
SLOW_EPOCHS = {"epoch_rows": 300, "frame_rows": 150}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(RECORDS))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """What a run over the same records in a file tells."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out))
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def broker(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        yield broker


def fill(broker, inputs, queues=1, *, ids=False):
    """Declare and publish all records; the URL that reads them to their end."""
    url = broker.source(queues=queues, until="end")
    open_source(url, ConnectorSettings()).check()
    lines = (inputs / "telemetry.ndjson").read_bytes().splitlines()
    broker.publish(lines, ids=[f"m{n}" for n in range(len(lines))] if ids else None)
    return url


def answers(out):
    """What was told, but for dead letters, whose identity names where the record came from."""
    return {key: event for key, event in told(out).items() if key[0] != "dead_letters"}


def dead_letters(out):
    return sorted((reason, raw) for _, reason, raw in rows(out)["dead_letters"])


def assert_same(out, undisturbed):
    assert answers(out) == answers(undisturbed)
    assert dead_letters(out) == dead_letters(undisturbed)
    kept, expected = rows(out), rows(undisturbed)
    del kept["dead_letters"], expected["dead_letters"]
    assert kept == expected


@pytest.mark.parametrize(
    "kills", [6, pytest.param(50, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_every_record_counts_once_however_often_the_flow_is_killed(
    broker, inputs, undisturbed, tmp_path, kills
):
    rng = random.Random(kills)
    url = fill(broker, inputs)
    env = environment(inputs, tmp_path, telemetry=url, recovery=tmp_path / "recovery", **PACE)

    def start():
        return [popen(command("watch", "--quiet"), env, tmp_path)]

    done = kill_until_done(start, tmp_path, rng, kills, longest_s=0.5)
    assert done >= kills
    assert_same(tmp_path, undisturbed)
    assert broker.count(f"{broker.exchange}.0") == 0


@pytest.mark.parametrize(
    "kills", [6, pytest.param(50, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_two_processes_count_every_record_once(
    broker, inputs, undisturbed, tmp_path, kills, unused_tcp_ports
):
    rng = random.Random(kills)
    url = fill(broker, inputs, queues=2, ids=True)
    out, recovery = tmp_path / "out", tmp_path / "recovery"
    out.mkdir()
    recovery.mkdir()
    env = environment(inputs, out, telemetry=url, **SLOW_EPOCHS)
    made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "2"], env)
    assert made.returncode == 0, made.stderr
    addresses = ";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)

    def start():
        return [
            popen(
                [
                    *(sys.executable, "-m", "bytewax.run", "flows.watch:flow"),
                    *("-i", str(process), "-a", addresses),
                    *("-r", str(recovery), "-s", "1", "-b", "0"),
                ],
                env,
                out,
            )
            for process in range(2)
        ]

    done = kill_until_done(start, out, rng, kills, longest_s=1.0)
    assert done >= kills
    assert_same(out, undisturbed)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_broker_that_is_killed_loses_no_record_and_no_event(inputs, undisturbed, tmp_path, kills):
    control = service_control("rabbitmq")
    rng = random.Random(kills)
    with new_broker(control.url) as broker:
        url = fill(broker, inputs)
        empty_topics(broker)
        results = f"dir:{tmp_path}/topics sqlite:{tmp_path}/results.sqlite {control.url}"
        env = environment(
            inputs, tmp_path, telemetry=url, results=results, recovery=tmp_path / "recovery", **SLOW
        )
        running = popen(command("watch", "--quiet"), env, tmp_path)
        wait_for_results(tmp_path)
        for _ in range(kills):
            # A quorum queue declared less than 3 s before may come back without a leader.
            time.sleep(rng.uniform(3.5, 5.0))  # noqa: TID251 (the moment of a kill)
            control.kill9()
            control.start()
        assert running.wait(120) == 0, (tmp_path / "log").read_text()
        assert_same(tmp_path, undisturbed)
        assert broker.count(f"{broker.exchange}.0") == 0
        assert_topics_hold(broker, answers(tmp_path))
        empty_topics(broker)


def wait_for_results(out):
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in (out / "topics").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # noqa: TID251 (a test that waits for another process)


def assert_topics_hold(broker, expected):
    """Each event is in the queue of its topic, at most sent again, always the same."""
    for topic in {topic for topic, _ in expected}:
        bodies = {}
        for properties, _, body in broker.take(topic):
            assert bodies.setdefault(properties.message_id, body) == body
        assert set(bodies) == {name for of, name in expected if of == topic}
