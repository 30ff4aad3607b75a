"""Meters of this process: what ``schemas.metrics`` lists, as Prometheus takes it.

What is counted as it happens has a meter here. What can be read off when Prometheus asks comes
from ``on_scrape``: it costs nothing otherwise.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from schemas import metrics
from schemas.metrics import Metric

Series = tuple[Metric, tuple[str, ...]]
"""A metric and its label values."""
Samples = Mapping[Series, float]


def _counter(metric: Metric) -> Counter:
    return Counter(metric.name, metric.help, metric.labels)


def _gauge(metric: Metric) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels)


def _histogram(metric: Metric) -> Histogram:
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets)


RECORDS_IN: Final = _counter(metrics.RECORDS_IN)
RECORDS_REJECTED: Final = _counter(metrics.RECORDS_REJECTED)
RECORDS_LATE: Final = _counter(metrics.RECORDS_LATE)
RECORDS_UNKNOWN_DEPTH: Final = _counter(metrics.RECORDS_UNKNOWN_DEPTH)
RECORDS_NO_POSITION: Final = _counter(metrics.RECORDS_NO_POSITION)
RULE_ERRORS: Final = _counter(metrics.RULE_ERRORS)
EVENTS_OUT: Final = _counter(metrics.EVENTS_OUT)
FRAME_ROWS: Final = _histogram(metrics.FRAME_ROWS)
STEP_S: Final = _histogram(metrics.STEP_S)
COMMIT_S: Final = _histogram(metrics.COMMIT_S)
END_TO_END_S: Final = _histogram(metrics.END_TO_END_S)
LAST_COMMIT: Final = _gauge(metrics.LAST_COMMIT)
NEWEST_RECORD: Final = _gauge(metrics.NEWEST_RECORD)
UNACKED: Final = _gauge(metrics.UNACKED)
QUEUE_MESSAGES: Final = _gauge(metrics.QUEUE_MESSAGES)
LAG: Final = _gauge(metrics.LAG)
FAR_SIDE: Final = _gauge(metrics.FAR_SIDE)
FAR_SIDE_WAITING_S: Final = _gauge(metrics.FAR_SIDE_WAITING_S)
RETRIES: Final = _counter(metrics.RETRIES)
REGISTRY_REFUSED: Final = _gauge(metrics.REGISTRY_REFUSED)

try:
    _VERSION = version("farwatch")
except PackageNotFoundError:  # Run from a checkout that is not installed.
    _VERSION = "unknown"
_gauge(metrics.BUILD).labels(_VERSION).set(1)

ON_SCRAPE: Final = (
    *(metrics.STALLED, metrics.STATE_ROWS, metrics.STATE_BYTES, metrics.RECOVERY_BYTES),
    *(metrics.ALARMS_RAISED, metrics.ALARMS, metrics.DEFINITIONS, metrics.VERSION_IN_FORCE),
)


Owner = TypeVar("Owner")


class _Scraped(Collector):
    """Sums what every living owner tells of the metrics of ``ON_SCRAPE``."""

    def __init__(self) -> None:
        self._readings: WeakKeyDictionary[Any, Callable[[Any], Samples]] = WeakKeyDictionary()
        self._lock = Lock()

    def add(self, owner: Owner, read: Callable[[Owner], Samples]) -> None:
        with self._lock:
            self._readings[owner] = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # Scraping has a thread of its own: owners may come and go meanwhile.
        totals: dict[Series, float] = defaultdict(float)
        with self._lock:
            readings = list(self._readings.items())
        for owner, read in readings:
            for key, value in read(owner).items():
                totals[key] += value
        for metric in ON_SCRAPE:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for (of, labels), value in totals.items():
                if of is metric:
                    family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(m.name, m.help, labels=m.labels) for m in ON_SCRAPE]


_scraped: Final = _Scraped()
REGISTRY.register(_scraped)


def on_scrape(owner: Owner, read: Callable[[Owner], Samples]) -> None:
    """Let Prometheus see what ``read`` says of ``owner``, added up over all owners that live.

    ``read`` runs in another thread; it reads what is never changed, only replaced.
    """
    _scraped.add(owner, read)
