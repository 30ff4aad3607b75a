"""InfluxDB: points of telemetry, dwell times, hazards and counts, the same however often told."""

import json
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from connectors.contract import (
    ConnectorSettings,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.influxdb import BATCH_LINES, InfluxdbSink, InfluxdbState, is_transient
from connectors.influxdb_points import HAZARD_SCORED
from connectors.influxdb_url import read_url
from rules.analytics import AnalyticsState, advance, release
from rules.assessment import KeyGroups
from rules.summary import Windowing, summarise
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, ZONE_EXITED, Event
from schemas.live import pipeline_delivery, telemetry_delivery
from schemas.topics import GEOFENCING_EVENTS
from tests.frames import frame_of
from tests.influxdb_buckets import MEASUREMENTS, new_bucket
from tests.services import service_control
from tests.watching import command, environment, read_topics, run, telemetry, write_inputs

T0 = 1_767_225_600


@pytest.fixture
def bucket(influxdb_url):
    with new_bucket(influxdb_url) as bucket:
        yield bucket


def opened(url, state=None, **settings):
    """The partition of the sink and the box of what it had refused."""
    given = ConnectorSettings(**settings)
    sink = InfluxdbSink(url, given).build("/farwatch/test")
    return sink.build_part("to_0", sink.list_parts()[0], state), given.refused


def tell(url, *deliveries, state=None):
    """One epoch: the state after it, and the rejects."""
    part, refused = opened(url, state)
    with closing(part):
        part.write_batch(list(deliveries))
        return part.snapshot(), refused.take()


def records(*rows):
    return telemetry_delivery(
        "group-0000", frame_of([{"vehicle_id": v, "time_s": T0 + at, **m} for v, at, m in rows])
    )


def event(kind, vehicle_id, at, **data):
    told = Event(
        type=kind,
        event_id=f"e{at}",
        vehicle_id=vehicle_id,
        time_us=(T0 + at) * 1_000_000,
        data=data,
    )
    return Delivery(GEOFENCING_EVENTS if kind != HAZARD_SCORED else "hazard_scores", told)


def at(seconds):
    return (T0 + seconds) * 1_000_000


def test_each_kind_of_delivery_is_a_point_of_its_measurement(bucket):
    parts = [{"name": "slope", "value": 12.0, "limit": 20.0, "contribution": 0.4}]
    tell(
        bucket.url,
        event(ZONE_EXITED, "r-1", 7, zone_id="b, c=d", duration_s=3),
        event(ZONE_ENTERED, "r-1", 7, zone_id="e"),
        event(HAZARD_SCORED, "r-1", 8, score=0.4, parts=parts, **{"class": "low"}),
        records(("r-1", 5, {"kind": "rover", "body": "mars", "depth_m": 0.5, "status": "a b"})),
        pipeline_delivery("group-0003", at(9), {"records": 5, "late": 1}),
    )
    tags = {"vehicle_id": "r-1", "kind": "rover", "body": "mars"}
    first = {"version": 1, "retracted": False}
    assert bucket.everything() == {
        "telemetry": [{"time": at(5), **tags, "depth_m": 0.5, "status": "a b"}],
        "zone_dwell": [
            {"time": at(7), **tags, "zone_id": "b, c=d", "duration_s": 3, "event_id": "e7", **first}
        ],
        "hazard": [
            {
                "time": at(8),
                **tags,
                "score": 0.4,
                "class": "low",
                "parts.slope": 0.4,
                "event_id": "e8",
                **first,
            }
        ],
        "pipeline": [{"time": at(9), "group": "group-0003", "records": 5, "late": 1}],
        "telemetry_window": [],
    }


def windows(*rows):
    """What analytics tells of records, one frame each; deliveries in order."""
    state, told = AnalyticsState(), []
    for vehicle_id, at, more in rows:
        frame = frame_of([{"vehicle_id": vehicle_id, "time_s": T0 + at, **more}])
        [part] = summarise(Windowing(), KeyGroups(1), frame)
        state, found = advance(Windowing(), state, part)
        told += found
    return told + release(Windowing(), state)[1]


def test_a_revised_window_writes_over_its_point(bucket):
    told = windows(
        ("a", 0, {"kind": "auv", "depth_m": 4.0, "sensors": {"salinity": 34.5}}),
        ("a", 60, {"kind": "auv"}),
        ("a", 50, {"kind": "glider", "depth_m": 6.0, "heading_deg": 90.0}),
    )
    assert [delivery.event.version for delivery in told] == [1, 2, 1]
    tell(bucket.url, *told[:1])
    # The telemetry of the same epoch says what the vehicle is; that must not make another point.
    tell(bucket.url, records(("a", 50, {"kind": "glider", "depth_m": 6.0})), *told[1:])
    tell(bucket.url, *told[1:])
    first, second = bucket.points("telemetry_window")
    assert first == {
        "time": at(0),
        "vehicle_id": "a",
        "length_s": "60.0",
        "kind": "glider",
        "body": "earth",
        "count": 2,
        "too_late": 0,
        "gaps": 1,
        "longest_gap_s": 50,
        "depth_m.count": 2,
        "depth_m.min": 4,
        "depth_m.mean": 5,
        "depth_m.max": 6,
        "depth_m.last": 6,
        **{f"sensors.salinity.{name}": 34.5 for name in ("min", "mean", "max", "last")},
        "sensors.salinity.count": 1,
        "heading_deg.last": 90,
        "event_id": told[0].event.event_id,
        "version": 2,
        "retracted": False,
    }
    assert (second["time"], second["count"]) == (at(60), 1)


@pytest.mark.parametrize(
    ("telemetry_option", "expected"), [("all", 400), ("none", 0), ("60s", 100)]
)
def test_the_analytics_flow_alone_writes_windows_and_as_much_telemetry_as_asked_for(
    tmp_path, bucket, telemetry_option, expected
):
    lines = [
        json.dumps({"vehicle_id": f"a{v}", "timestamp": T0 + t, "depth_m": float(t)})
        for t in range(0, 1200, 15)
        for v in range(5)
    ]
    write_inputs(tmp_path, lines)
    url = f"{bucket.url}?telemetry={telemetry_option}"
    env = environment(tmp_path, tmp_path, results=f"dir:{tmp_path}/topics {url}", frame_rows=64)
    done = run([sys.executable, "-m", "bytewax.run", "flows.analytics:flow"], env)
    assert done.returncode == 0, done.stderr
    assert len(bucket.points("telemetry")) == expected
    events = read_topics(tmp_path / "topics", ["analytics_data"]).values()
    assert len(events) == 5 * 20
    assert {f"{p['event_id']}.{p['version']}" for p in bucket.points("telemetry_window")} == {
        event["id"] for event in events
    }
    for point in bucket.points("telemetry_window"):
        first = (point["time"] - at(0)) / 1_000_000
        assert point["count"] == point["depth_m.count"] == 4
        assert point["depth_m.mean"] == first + 22.5


def test_what_is_told_again_is_there_once(bucket):
    told = [
        records(("a", 1, {"depth_m": 1.0}), ("a", 2, {"depth_m": 2.0})),
        event(ZONE_EXITED, "a", 2, zone_id="z", duration_s=1.0),
        event(ZONE_EXITED, "a", 2, zone_id="y", duration_s=2.0),
    ]
    tell(bucket.url, *told)
    kept = bucket.everything()
    assert [len(kept[name]) for name in MEASUREMENTS] == [2, 2, 0, 0, 0]
    tell(bucket.url, *told)
    assert bucket.everything() == kept


def test_more_records_than_a_batch_all_arrive(bucket):
    rows = [(f"v{i % 7}", i, {"depth_m": float(i)}) for i in range(BATCH_LINES + 500)]
    part, _ = opened(bucket.url)
    with closing(part):
        for i in range(0, len(rows), 3000):
            part.write_batch([records(*rows[i : i + 3000])])
        assert len(bucket.points("telemetry")) > BATCH_LINES / 2
        part.snapshot()
    assert len(bucket.points("telemetry")) == len(rows)


def every_second(vehicle_id, seconds):
    return records(*[(vehicle_id, s, {"depth_m": float(s)}) for s in seconds])


def test_thinned_telemetry_is_the_first_record_of_each_interval(bucket):
    url = f"{bucket.url}?telemetry=60s"
    frames = [every_second("a", range(start, start + 50)) for start in range(0, 300, 50)]
    state = None
    for frame in frames:
        state, _ = tell(url, frame, state=state)
    assert [point["time"] for point in bucket.points("telemetry")] == [
        at(s) for s in range(0, 300, 60)
    ]
    # What was stored and comes late is thinned like the rest.
    tell(url, every_second("a", range(-130, -10)), state=state)
    late = [point["time"] for point in bucket.points("telemetry") if point["time"] < at(0)]
    assert late == [at(-130), at(-120), at(-60)]


def test_without_telemetry_events_still_know_what_the_vehicle_is(bucket):
    tell(
        f"{bucket.url}?telemetry=none",
        records(("a", 1, {"kind": "glider", "depth_m": 1.0})),
        event(ZONE_EXITED, "a", 2, zone_id="z", duration_s=1.0),
    )
    assert bucket.points("telemetry") == []
    assert bucket.points("zone_dwell")[0]["kind"] == "glider"


def test_points_of_a_conflicting_type_are_dead_letters_and_their_neighbours_are_kept(bucket):
    bucket.write(f'telemetry,vehicle_id=x,kind=auv,body=earth sensors.mode="text" {at(0)}')
    rows = [
        ("a", i, {"depth_m": float(i)} | ({"sensors": {"mode": 1.0}} if i in (3, 17, 18) else {}))
        for i in range(40)
    ]
    state, rejects = tell(bucket.url, records(*rows))
    assert len(bucket.points("telemetry")) == 1 + 37
    assert [reject.field for reject in rejects] == ["sensors.mode"] * 3
    assert [int(reject.raw.split()[-1]) for reject in rejects] == [at(3), at(17), at(18)]
    assert "field type conflict" in rejects[0].reason
    assert rejects[0].origin == bucket.url
    assert state.refused == rejects


def test_refused_points_survive_a_restart_until_they_are_told(bucket):
    part, refused = opened(bucket.url, InfluxdbState(["told later"], {}))
    part.close()
    assert refused.take() == ["told later"]


def conflicts(tmp_path, bucket, **settings):
    """A watch over records of which some InfluxDB refuses; the events of its dead letters."""
    bucket.write(f'telemetry,vehicle_id=x,kind=vehicle,body=earth sensors.mode="text" {at(0)}')
    lines = [json.loads(line) for line in telemetry(1000)]
    for line in lines[::100]:
        line["mode"] = 1.0
    write_inputs(tmp_path / "in", [json.dumps(line) for line in lines])
    env = environment(
        tmp_path / "in",
        tmp_path / "out",
        results=f"{bucket.url} sqlite:{tmp_path}/out/results.sqlite",
        **settings,
    )
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "out/results.sqlite")) as file:
        found = file.execute("SELECT field, origin, raw FROM dead_letters").fetchall()
    return [row for row in found if row[1] == bucket.url]


@pytest.mark.parametrize("settings", [{}, {"recovery": "{}/recovery", "frame_rows": 100}])
def test_the_watch_tells_refused_points_on_the_dead_letter_topic(tmp_path, bucket, settings):
    settings = {name: str(value).format(tmp_path) for name, value in settings.items()}
    letters = conflicts(tmp_path, bucket, **settings)
    assert len(letters) == 10
    assert {field for field, _, _ in letters} == {"sensors.mode"}
    assert all(raw.startswith(b"telemetry,vehicle_id=auv-") for _, _, raw in letters)


def test_the_watch_writes_what_a_file_holds(tmp_path, bucket):
    write_inputs(tmp_path / "in", lines := telemetry(4000))
    topics = f"dir:{tmp_path}/out/topics"
    env = environment(tmp_path / "in", tmp_path / "out", results=f"{topics} {bucket.url}")
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    good = [one for one in map(json.loads, lines) if one.get("latitude", 0) < 90]
    tags = {"kind": "vehicle", "body": "earth"}
    expected = [{"time": round(one.pop("timestamp") * 1_000_000), **one, **tags} for one in good]
    expected.sort(key=lambda row: (row["time"], row["vehicle_id"]))
    assert bucket.points("telemetry") == expected
    events = read_topics(tmp_path / "out/topics", ["geofencing_events"]).values()
    dwelt = {
        (event["subject"], event["data"]["zone_id"], event["data"]["duration_s"], event["id"])
        for event in events
        if event["type"] == ZONE_EXITED
    }
    assert dwelt == {
        (p["vehicle_id"], p["zone_id"], p["duration_s"], f"{p['event_id']}.{p['version']}")
        for p in bucket.points("zone_dwell")
    }
    newest = {point["group"]: point for point in bucket.points("pipeline")}
    assert sum(point["records"] for point in newest.values()) == len(good)
    before = bucket.everything()
    assert run(command("watch", "--quiet"), env).returncode == 0
    assert bucket.everything() == before


def test_a_server_away_for_a_while_is_waited_for(bucket):
    server = service_control("influxdb")
    part, refused = opened(bucket.url, timeout_s=1.0)
    part.write_batch([records(("a", 1, {"depth_m": 1.0}))])
    server.kill9()
    writing = Thread(target=part.snapshot)
    writing.start()
    writing.join(2.5)
    assert writing.is_alive()
    server.start()
    writing.join(20)
    assert not writing.is_alive()
    part.close()
    assert [point["depth_m"] for point in bucket.points("telemetry")] == [1.0]
    assert not refused.take()


def test_patience_ends(unused_tcp_ports):
    url = f"influxdb://127.0.0.1:{unused_tcp_ports[0]}/o/b?token=s3cret"
    part, _ = opened(url, timeout_s=0.2, patience_s=0.3)
    part.write_batch([records(("a", 1, {"depth_m": 1.0}))])
    with closing(part), pytest.raises(UnavailableError, match="does not answer") as away:
        part.snapshot()
    assert "s3cret" not in str(away.value)


class Answers(BaseHTTPRequestHandler):
    """Answers each request with the next of ``queue``: status, headers; keeps what came."""

    queue: list
    came: list

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.came.append((self.path, self.headers.get("Authorization"), body))
        status, headers = self.queue.pop(0)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def answers():
    """A server that speaks for the states a healthy InfluxDB never shows."""
    told = type("Told", (Answers,), {"queue": [], "came": []})
    with HTTPServer(("127.0.0.1", 0), told) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        told.url = f"influxdb://127.0.0.1:{server.server_port}/my%20org/b%2F1?token=s3cret"
        yield told
        server.shutdown()


def test_a_server_that_asks_to_wait_is_asked_again(answers):
    answers.queue += [(503, {}), (429, {"Retry-After": "1"}), (204, {})]
    tell(answers.url, records(("a", 1, {"depth_m": 1.0})))
    [first, second, third] = answers.came
    assert first == second == third
    assert first[0] == "/api/v2/write?org=my+org&bucket=b%2F1&precision=us"
    assert first[1] == "Token s3cret"


def test_a_batch_that_is_too_large_is_halved(answers):
    answers.queue += [(413, {}), (204, {}), (413, {}), (204, {}), (413, {})]
    rows = [("a", i, {"depth_m": float(i)}) for i in range(4)]
    _, rejects = tell(answers.url, records(*rows))
    sizes = [body.count(b"\n") + 1 for _, _, body in answers.came]
    assert sizes == [4, 2, 2, 1, 1]
    assert [reject.raw.split()[-1] for reject in rejects] == [b"%d" % at(3)]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_or_bucket_it_refuses_stops_the_flow(answers, status):
    answers.queue += [(status, {})]
    with pytest.raises(RefusedError, match="check organisation, bucket and token") as refused:
        tell(answers.url, records(("a", 1, {"depth_m": 1.0})))
    assert "s3cret" not in str(refused.value)
    answers.queue += [(status, {})]
    with pytest.raises(SettingsError, match="check organisation, bucket and token"):
        InfluxdbSink(answers.url, ConnectorSettings()).check()


@pytest.mark.parametrize("status", [204, 400])
def test_a_check_writes_no_points(answers, status):
    answers.queue += [(status, {})]
    InfluxdbSink(answers.url, ConnectorSettings()).check()
    assert [body for _, _, body in answers.came] == [b""]


def test_transient_is_what_may_pass():
    assert all(map(is_transient, (None, 408, 429, 500, 502, 503, 504)))
    assert not any(map(is_transient, (400, 401, 403, 404, 413, 422)))


def test_a_token_comes_from_the_url_the_environment_or_a_file(tmp_path, monkeypatch):
    url = "influxdb://host/org/bucket"
    assert read_url(url).token == ""
    (tmp_path / "token").write_text(" from-file \n")
    monkeypatch.setenv("FARWATCH_INFLUXDB_TOKEN_FILE", str(tmp_path / "token"))
    assert read_url(url).token == "from-file"
    monkeypatch.setenv("FARWATCH_INFLUXDB_TOKEN", "from-variable")
    assert read_url(url).token == "from-variable"
    assert read_url(f"{url}?token=from-url").token == "from-url"
    assert read_url("influxdb://me:p%40ss@host/org/bucket").token == "me:p@ss"
    assert "from-url" not in repr(read_url(f"{url}?token=from-url"))
    (tmp_path / "token").write_text("")
    monkeypatch.delenv("FARWATCH_INFLUXDB_TOKEN")
    with pytest.raises(SettingsError, match="is empty; write the secret into it"):
        read_url(url)


def test_a_url_names_server_and_bucket():
    target = read_url("influxdb://[::1]:9/an%20org/b?tls=true&ca_file=/ca.pem")
    assert (target.server, target.org, target.bucket) == ("https://[::1]:9", "an org", "b")
    assert read_url("influxdb://host/o/b").server == "http://host:8086"
