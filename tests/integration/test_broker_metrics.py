"""What a flow that reads from a broker shows of it, and that waiting for records is no stall."""

import re

from connectors.contract import ConnectorSettings
from connectors.registry import open_publisher
from tests.kafka_topics import new_topics
from tests.kills import wait_until
from tests.probing import Probed, probed
from tests.rabbitmq_broker import new_broker
from tests.watching import environment, telemetry, write_inputs

LINES = telemetry(200)


def publish(url: str) -> None:
    publisher = open_publisher(url, ConnectorSettings())
    for line in LINES:
        publisher.publish(line.encode(), "auv")
    publisher.flush()
    publisher.close()


def value(flow: Probed, name: str, **labels: str) -> float | None:
    """The sum of a metric's series with these labels, None where there is none."""
    found = [
        float(line.rpartition(" ")[2])
        for line in flow.get("metrics")[1].splitlines()
        if line.startswith((name + "{", name + " "))
        and all(f'{key}="{text}"' in line for key, text in labels.items())
    ]
    return sum(found) if found else None


def test_queues_of_rabbitmq(tmp_path, rabbitmq_url, unused_tcp_ports):
    write_inputs(tmp_path, LINES[:1])
    with new_broker(rabbitmq_url) as broker:
        source = broker.source(queues=1)
        env = environment(tmp_path, tmp_path, telemetry=source, results=f"dir:{tmp_path}/out")
        with probed(env | {"FARWATCH_STALL_S": "2"}, unused_tcp_ports[0], "telemetry") as flow:
            assert wait_until(lambda: flow.well("readyz"), 60), flow.get("readyz")
            publish(broker.source(queues=1))
            assert wait_until(lambda: value(flow, "farwatch_records_in_total") == len(LINES), 60)
            assert wait_until(lambda: value(flow, "farwatch_unacked_messages") == 0, 30)
            queue = f"{broker.exchange}.0"
            assert wait_until(lambda: value(flow, "farwatch_queue_messages", queue=queue) == 0, 30)
            target = re.search(
                r'farwatch_queue_messages{queue="[^"]*",target="([^"]*)"', flow.get("metrics")[1]
            )
            assert target is not None
            assert "guest:" not in target[1]
            # 5 s without a record by now: nothing is wrong with that.
            assert flow.well()
            assert value(flow, "farwatch_far_side_state", state="up") == 1


def test_partitions_of_kafka(tmp_path, kafka_url, unused_tcp_ports):
    write_inputs(tmp_path, LINES[:1])
    with new_topics(kafka_url, "telemetry", partitions=2) as prefix:
        source = f"{kafka_url}/{prefix}telemetry"
        publish(source)
        env = environment(tmp_path, tmp_path, telemetry=source, results=f"dir:{tmp_path}/out")
        # One epoch takes fifty records, so that some lag is seen on the way.
        env |= {"FARWATCH_EPOCH_ROWS": "50", "FARWATCH_FRAME_ROWS": "50", "FARWATCH_EPOCH_S": "1"}
        with probed(env, unused_tcp_ports[0], "telemetry") as flow:
            assert wait_until(lambda: (value(flow, "farwatch_lag_records") or 0) > 0, 60)
            assert wait_until(lambda: value(flow, "farwatch_records_in_total") == len(LINES), 60)
            assert wait_until(lambda: value(flow, "farwatch_lag_records") == 0, 30)
            assert flow.well("readyz")
