"""Buckets of the real InfluxDB for tests, read back with InfluxQL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

import urllib3

MEASUREMENTS = ("telemetry", "zone_dwell", "hazard", "pipeline", "telemetry_window")
_names = count()
_http = urllib3.PoolManager()


class Bucket:
    """A bucket of its own on the server of ``url``."""

    def __init__(self, url: str) -> None:
        self.server = f"http://{urlsplit(url).netloc}"
        self.name = f"test_{next(_names)}"
        self.url = f"influxdb://{urlsplit(url).netloc}/farwatch/{self.name}"

    def ask(self, statement: str) -> list:
        """The series that an InfluxQL statement gives; times in microseconds."""
        fields = {"db": self.name, "q": statement, "epoch": "u"}
        answer = _http.request("POST", f"{self.server}/query", fields=fields)
        return json.loads(answer.data)["results"][0].get("series", [])

    def write(self, line: str) -> None:
        """Write a line as somebody else would; times in microseconds."""
        target = f"{self.server}/api/v2/write?org=o&bucket={self.name}&precision=us"
        assert _http.request("POST", target, body=line).status == 204

    def points(self, measurement: str) -> list[dict]:
        """The points in order of time, then vehicle, fields that are absent left out."""
        [series] = self.ask(f'SELECT * FROM "{measurement}"') or [{"columns": [], "values": []}]
        rows = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
        rows = [{k: v for k, v in row.items() if v is not None} for row in rows]
        return sorted(rows, key=lambda row: (row["time"], row.get("vehicle_id", "")))

    def everything(self) -> dict[str, list[dict]]:
        """Measurement -> its points."""
        return {name: self.points(name) for name in MEASUREMENTS}


@contextmanager
def new_bucket(url: str) -> Iterator[Bucket]:
    """An empty bucket, gone afterwards."""
    bucket = Bucket(url)
    bucket.ask(f'DROP DATABASE "{bucket.name}"')
    bucket.ask(f'CREATE DATABASE "{bucket.name}"')
    try:
        yield bucket
    finally:
        bucket.ask(f'DROP DATABASE "{bucket.name}"')
