"""Plans asked for and answered over RabbitMQ in one run of the watch, with a kill -9 between."""

import json
import time
from collections import defaultdict

import pytest

from connectors.contract import ConnectorSettings
from connectors.registry import open_source
from tests.killing import popen
from tests.rabbitmq_broker import empty_topics, make_topics, new_broker
from tests.watching import command, environment, read_topics, write_inputs

START_S = 1_767_225_600
TRIGGERS = """
- id: low
  when: battery_pct < 30.0
  deadline: 10m
  severity: critical
  message: "{vehicle_id} at {battery_pct} %"
"""
TOPICS = ("plan_requests", "compliance_violations", "critical_alerts")


class Watch:
    """A watch over telemetry, plan results and results in RabbitMQ, and the planner beside it."""

    def __init__(self, env, out, telemetry, answers):
        self._env, self._out, self._telemetry, self._answers = env, out, telemetry, answers
        self._process = None
        self.minute = 0
        self.told = defaultdict(list)

    def start(self):
        self._process = popen(command("run", "watch"), self._env, self._out)

    def kill(self):
        self._process.kill()
        self._process.wait(timeout=30)

    def drain(self):
        self._process.terminate()
        return self._process.wait(timeout=60)

    def end(self):
        if self._process.poll() is None:
            self.kill()

    def say(self, battery_pct):
        """A record of each vehicle, a minute after those before."""
        at_s = START_S + 60 * self.minute
        self.minute += 1
        records = [
            {"vehicle_id": vehicle, "timestamp": at_s, "battery_pct": battery_pct}
            for vehicle in ("answered", "left")
        ]
        self._telemetry.publish(
            [
                json.dumps(record | {"latitude": 1.0, "longitude": 1.0}).encode()
                for record in records
            ],
            ids=[f"{record['vehicle_id']}-{self.minute}" for record in records],
        )

    def answer(self, request, status, **more):
        """What a planner says of a request as of the newest record."""
        minute = self.minute - 1
        result = {
            "vehicle_id": request["vehicle_id"],
            "time": f"2026-01-01T00:{minute:02}:00Z",
            "request_id": request["request_id"],
            "status": status,
        }
        self._answers.publish([json.dumps(result | more).encode()], ids=[status])

    def until(self, topic, kind, vehicle):
        """Wait for an event of a type about a vehicle, taking all that is told meanwhile."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self._out / "log").read_text()
            self.take()
            for event in self.told[topic]:
                data = event["data"]
                if event["type"].endswith(kind) and data["vehicle_id"] == vehicle:
                    return data
            time.sleep(0.1)  # noqa: TID251 (a test that waits for another process)
        raise AssertionError(f"{kind} of {vehicle} did not come: {(self._out / 'log').read_text()}")

    def take(self):
        for topic in TOPICS:
            self.told[topic] += [json.loads(b) for _, _, b in self._telemetry.take(topic)]


@pytest.fixture
def watch(rabbitmq_url, tmp_path):
    with new_broker(rabbitmq_url) as telemetry, new_broker(rabbitmq_url) as answers:
        empty_topics(telemetry)
        urls = [telemetry.source(queues=1), answers.source(queues=1)]
        write_inputs(tmp_path, [])
        (tmp_path / "triggers.yaml").write_text(TRIGGERS)
        results = f"{telemetry.url} dir:{tmp_path}/topics"
        for url in urls:
            open_source(url, ConnectorSettings()).check()
        # Else the watch makes the queues of its results, while the test already takes from them.
        make_topics(telemetry)
        env = environment(
            tmp_path,
            tmp_path,
            telemetry=urls[0],
            plan_results=urls[1],
            triggers=f"file:{tmp_path}/triggers.yaml",
            results=results,
            recovery=tmp_path / "recovery",
            planning_every_s=1,
            epoch_s=0.05,
        )
        watch = Watch(env, tmp_path, telemetry, answers)
        watch.start()
        try:
            yield watch
        finally:
            watch.end()
            empty_topics(telemetry)


def test_a_request_is_answered_and_one_left_alone_raises_the_alarm(watch, tmp_path):
    watch.say(80.0)
    watch.say(25.0)
    request = watch.until("plan_requests", "plan.requested.v1", "answered")
    left = watch.until("plan_requests", "plan.requested.v1", "left")
    watch.answer(request, "accepted")
    watch.until("plan_requests", "plan.accepted.v1", "answered")
    watch.kill()
    watch.say(24.0)
    watch.answer(request, "answered", plan_id="p2")
    watch.start()
    answered = watch.until("plan_requests", "plan.answered.v1", "answered")
    assert answered["plan_id"] == "p2"
    for _ in range(12):
        watch.say(20.0)
    watch.until("plan_requests", "plan.expired.v1", "left")
    alarm = watch.until("compliance_violations", "alarm.raised.v1", "left")
    watch.until("critical_alerts", "alarm.raised.v1", "left")
    assert watch.drain() == 0, (tmp_path / "log").read_text()
    watch.take()

    assert alarm["rule_id"] == "no-plan-by-deadline"
    lives = defaultdict(list)
    # What a kill leaves uncommitted is sent again as it was; in files it stands once.
    on_topic = {event["id"]: event for event in watch.told["plan_requests"]}
    assert all(event == on_topic[event["id"]] for event in watch.told["plan_requests"])
    in_file = read_topics(tmp_path / "topics", ["plan_requests"])
    assert {key: event for (_, key), event in in_file.items()} == on_topic
    for event in on_topic.values():
        assert event["data"]["version"] == 1
        lives[event["data"]["request_id"]].append(event["type"].split(".")[2])
    assert sorted(lives[request["request_id"]]) == ["accepted", "answered", "requested"]
    assert sorted(lives[left["request_id"]]) == ["expired", "requested"]
    assert len(lives) == 2
    alarms = {
        (topic, event["id"])
        for topic in ("compliance_violations", "critical_alerts")
        for event in watch.told[topic]
        if event["data"]["rule_id"] == "no-plan-by-deadline"
    }
    assert len(alarms) == 2
