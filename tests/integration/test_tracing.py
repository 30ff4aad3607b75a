"""Traces through real brokers: the context comes in by a header and goes out by one."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pika
import pytest
from bytewax.testing import run_main
from confluent_kafka import Producer
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, StatusCode

from connectors.otlp import OtlpSpans, request_of
from connectors.tracing import HEADER, TRACING, from_header, from_text
from flows.settings import Settings
from flows.tracing import trace_to
from flows.watch import watch
from flows.wiring import wire
from tests.kafka_topics import brokers, new_topics, read
from tests.rabbitmq_broker import empty_topics, new_broker
from tests.watching import command, environment, run, telemetry, write_inputs

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
LINES = telemetry(400)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = trace_to(exporter, 1.0, "watch")
    exporter.flush = provider.force_flush
    try:
        yield exporter
    finally:
        TRACING.tracer = None
        provider.shutdown()


def watched(folder, source: str, results: tuple[str, ...]) -> None:
    """A watch over the source to its end, in this process."""
    settings = Settings(
        telemetry=source,
        zones=f"file:{folder}/zones.geojson",
        rules=f"file:{folder}/rules.yaml",
        results=results,
    )
    run_main(watch(wire(settings)), epoch_interval=timedelta(seconds=1))


def finished(spans: InMemorySpanExporter) -> dict[int, object]:
    spans.flush()
    return {span.context.span_id: span for span in spans.get_finished_spans()}


def ancestors(span, by_id) -> list[str]:
    """Names from a span up to the first that is not ours."""
    names = []
    while span is not None:
        names.append(span.name)
        span = by_id.get(span.parent.span_id) if span.parent else None
    return names


def check(by_id, headers: list[tuple[str, str]]) -> None:
    """Every alert went out with the context of its own span, below the message it comes from."""
    assert headers
    for message_id, header in headers:
        context = from_text(header)
        span = by_id[context.span_id]
        assert f"{context.trace_id:032x}" == TRACE_ID
        assert span.attributes["event_id"] == message_id
        assert ancestors(span, by_id) == ["alert", "alerting", "watch", "assess", "decode"]
    roots = [span for span in by_id.values() if span.name == "decode"]
    assert {f"{span.parent.span_id:016x}" for span in roots} == {SPAN_ID}
    assert {span.attributes["vehicle_id"] for span in by_id.values() if span.name == "alert"}


def test_from_rabbitmq_to_both_brokers(tmp_path, rabbitmq_url, kafka_url, spans):
    write_inputs(tmp_path, LINES)
    with new_broker(rabbitmq_url) as broker, new_topics(kafka_url, partitions=1) as prefix:
        empty_topics(broker)
        source = broker.source(queues=1, until="end")
        # The queues are declared by whoever checks them.
        wire(Settings(telemetry=source, results=(f"dir:{tmp_path}/x",)), zones=False, rules=False)
        with closing(broker.connect()) as connection:
            properties = pika.BasicProperties(headers={HEADER: PARENT, "other": 1})
            body = "\n".join(LINES).encode()
            connection.channel().basic_publish(broker.exchange, "auv.1", body, properties)
        watched(tmp_path, source, (broker.url, f"{kafka_url}/{prefix}?create=1"))
        by_id = finished(spans)
        of_queue = [
            (properties.message_id, properties.headers[HEADER])
            for properties, _, _ in broker.take("critical_alerts")
        ]
        empty_topics(broker)
        of_topic = [
            (dict(m.headers())["message_id"].decode(), dict(m.headers())[HEADER].decode())
            for m in read(kafka_url, f"{prefix}critical_alerts")
        ]
    check(by_id, of_queue)
    check(by_id, of_topic)
    assert sorted(of_queue) == sorted(of_topic)


def test_from_kafka(tmp_path, kafka_url, spans):
    write_inputs(tmp_path, LINES)
    with new_topics(kafka_url, "telemetry", partitions=1) as prefix:
        producer = Producer({"bootstrap.servers": brokers(kafka_url)})
        body = "\n".join(LINES).encode()
        producer.produce(f"{prefix}telemetry", body, headers=[(HEADER, PARENT.encode())])
        producer.flush()
        source = f"{kafka_url}/{prefix}telemetry?until=end"
        watched(tmp_path, source, (f"{kafka_url}/{prefix}?create=1",))
        messages = read(kafka_url, f"{prefix}critical_alerts")
        others = read(kafka_url, f"{prefix}geofencing_events")
    check(
        finished(spans),
        [
            (dict(m.headers())["message_id"].decode(), dict(m.headers())[HEADER].decode())
            for m in messages
        ],
    )
    assert all(HEADER in dict(message.headers()) for message in others)
    # The context is beside the event, never in it.
    assert all(TRACE_ID not in (message.value() or b"").decode() for message in messages)


def test_a_frame_of_many_messages_links_to_each(tmp_path, kafka_url, spans):
    write_inputs(tmp_path, LINES)
    with new_topics(kafka_url, "telemetry", partitions=1) as prefix:
        producer = Producer({"bootstrap.servers": brokers(kafka_url)})
        for number, line in enumerate(LINES[:5], 1):
            header = f"00-{TRACE_ID}-{number:016x}-01"
            producer.produce(f"{prefix}telemetry", line, headers=[(HEADER, header.encode())])
        producer.flush()
        watched(tmp_path, f"{kafka_url}/{prefix}telemetry?until=end", (f"dir:{tmp_path}/topics",))
    decoded = [span for span in finished(spans).values() if span.name == "decode" and span.links]
    assert decoded
    linked = [link.context.span_id for span in decoded for link in span.links]
    assert set(linked) <= {1, 2, 3, 4, 5}
    assert len(linked) > 1


def test_without_tracing_nothing_is_said_of_it(tmp_path, kafka_url):
    write_inputs(tmp_path, LINES)
    with new_topics(kafka_url, "telemetry", partitions=1) as prefix:
        producer = Producer({"bootstrap.servers": brokers(kafka_url)})
        body = "\n".join(LINES).encode()
        producer.produce(f"{prefix}telemetry", body, headers=[(HEADER, PARENT.encode())])
        producer.flush()
        source = f"{kafka_url}/{prefix}telemetry?until=end"
        watched(tmp_path, source, (f"{kafka_url}/{prefix}?create=1",))
        messages = read(kafka_url, f"{prefix}critical_alerts")
    assert messages
    assert all(HEADER not in dict(message.headers()) for message in messages)


@pytest.mark.parametrize(
    "value", [None, 1, b"\xff", "00-0-0-01", PARENT.upper(), PARENT + "\n", "x" * 99, ["a"]]
)
def test_a_header_that_is_no_context_is_none(value):
    assert from_header(value) == ""
    assert from_text("00-" + "0" * 32 + "-" + "0" * 16 + "-01") is None


def test_spans_reach_a_collector(tmp_path, unused_tcp_ports):
    got: list[tuple[str, str | None, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", unused_tcp_ports[0]), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        write_inputs(tmp_path, LINES)
        url = f"http://127.0.0.1:{unused_tcp_ports[0]}/v1/traces"
        env = environment(tmp_path, tmp_path, traces=url)
        env["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Bearer%20secret"
        done = run(command("watch", "--quiet"), env)
        server.shutdown()
        thread.join(20)
    assert done.returncode == 0, done.stderr
    assert {(path, who) for path, who, _ in got} == {("/v1/traces", "Bearer secret")}
    told = [one for *_, body in got for one in json.loads(body)["resourceSpans"]]
    for one in told:
        assert {"key": "service.name", "value": {"stringValue": "farwatch"}} in (
            one["resource"]["attributes"]
        )
    spans = [span for one in told for scope in one["scopeSpans"] for span in scope["spans"]]
    by_id = {span["spanId"]: span for span in spans}
    alerts = [span for span in spans if span["name"] == "alert"]
    assert alerts
    for span in alerts:
        assert "rule_id" in {attribute["key"] for attribute in span["attributes"]}
        line = [span]
        while above := by_id.get(line[-1].get("parentSpanId")):
            line.append(above)
        assert {one["traceId"] for one in line} == {span["traceId"]}
        assert all(int(one["startTimeUnixNano"]) <= int(one["endTimeUnixNano"]) for one in line)
        assert [one["name"] for one in line] == ["alert", "alerting", "watch", "assess", "decode"]


def test_a_span_is_written_as_the_protocol_says():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "s"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    linked = from_text(PARENT)
    with provider.get_tracer("t").start_as_current_span("n", links=[Link(linked)]) as span:
        span.set_attributes({"b": True, "i": 2**40, "f": 0.5, "s": ["x", "y"]})
        span.add_event("e", {"k": 1}, timestamp=7)
        span.set_status(StatusCode.ERROR, "why")
    (scoped,) = request_of(exporter.get_finished_spans())["resourceSpans"][0]["scopeSpans"]
    (told,) = scoped["spans"]
    assert scoped["scope"] == {"name": "t"}
    assert {a["key"]: a["value"] for a in told["attributes"]} == {
        "b": {"boolValue": True},
        "i": {"intValue": str(2**40)},
        "f": {"doubleValue": 0.5},
        "s": {"arrayValue": {"values": [{"stringValue": "x"}, {"stringValue": "y"}]}},
    }
    assert told["links"][0] | {"attributes": []} == {
        "traceId": TRACE_ID, "spanId": SPAN_ID, "flags": 1, "attributes": []
    }  # fmt: skip
    assert told["events"] == [
        {"timeUnixNano": "7", "name": "e", "attributes": [{"key": "k", "value": {"intValue": "1"}}]}
    ]
    assert (told["status"], told["kind"]) == ({"code": 2, "message": "why"}, 1)
    assert (len(told["traceId"]), len(told["spanId"])) == (32, 16)
    assert "parentSpanId" not in told


def test_that_spans_are_dropped_is_said_once(unused_tcp_ports, caplog):
    exporter = OtlpSpans(f"http://user:secret@127.0.0.1:{unused_tcp_ports[0]}/v1/traces", 1.0)
    assert {exporter.export([]), exporter.export([])} == {SpanExportResult.FAILURE}
    exporter.shutdown()
    (said,) = caplog.messages
    assert "are dropped" in said
    assert "secret" not in said


def test_results_are_the_same_with_traces_and_without(tmp_path, unused_tcp_ports):
    write_inputs(tmp_path, LINES)
    bodies = []
    # Nobody listens there: spans are dropped, results are not.
    for number, traces in enumerate(("", f"http://127.0.0.1:{unused_tcp_ports[0]}/v1/traces")):
        out = tmp_path / str(number)
        env = environment(tmp_path, out, results=f"dir:{out}", traces=traces)
        assert run(command("watch", "--quiet"), env).returncode == 0
        bodies.append({path.name: path.read_bytes() for path in sorted(out.glob("*.ndjson"))})
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0]["critical_alerts.ndjson"].splitlines()[0])["id"]


def test_a_url_that_is_none_is_a_wrong_setting(tmp_path):
    write_inputs(tmp_path, LINES)
    done = run(
        command("watch", "--quiet"), environment(tmp_path, tmp_path, traces="collector:4317")
    )
    assert done.returncode == 2
    assert "is no URL of a collector" in done.stderr
