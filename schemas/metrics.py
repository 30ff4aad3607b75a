"""The metrics: the one list of what a process of farwatch shows to Prometheus.

Everything else follows from it: the meters in ``connectors.metrics``, the table in README.md, the
dashboards of ``deploy/grafana/``. Names, units and labels are those users build on.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0),
)
ROWS: Final = (1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 100_000.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: ``name`` as Prometheus shows it, ``labels`` that tell its series apart.

    ``buckets``: upper bounds, of a histogram only.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


BUILD: Final = Metric(
    "farwatch_build_info", "gauge", "1; `version` is that of farwatch.", ("version",)
)
RECORDS_IN: Final = Metric(
    "farwatch_records_in_total", "counter", "Records (or events of another flow) taken in and good."
)
RECORDS_REJECTED: Final = Metric(
    "farwatch_records_rejected_total",
    "counter",
    "Records that became dead letters; `reason` is the field at fault, `limit` or `record`.",
    ("reason",),
)
RECORDS_LATE: Final = Metric(
    "farwatch_records_late_total",
    "counter",
    "Records behind their vehicle's newest: `revising` changed results, `too_late` could not.",
    ("outcome",),
)
RECORDS_UNKNOWN_DEPTH: Final = Metric(
    "farwatch_records_unknown_depth_total",
    "counter",
    "Records without the depth (altitude, height) that a zone's band asks for.",
)
RECORDS_NO_POSITION: Final = Metric(
    "farwatch_records_no_position_total", "counter", "Records without a position."
)
RULE_ERRORS: Final = Metric(
    "farwatch_rule_errors_total", "counter", "Verdicts of rules on records that ended in an error."
)
EVENTS_OUT: Final = Metric(
    "farwatch_events_out_total", "counter", "Events told, corrections too, by topic.", ("topic",)
)
FRAME_ROWS: Final = Metric("farwatch_frame_rows", "histogram", "Records in a frame.", buckets=ROWS)
STEP_S: Final = Metric(
    "farwatch_step_seconds",
    "histogram",
    "Time of one call of a step: of decoding and of each keyed step a frame, of sinks a batch"
    " (`NAME write`) and an epoch (`NAME commit`).",
    ("step",),
    SECONDS,
)
COMMIT_S: Final = Metric(
    "farwatch_epoch_commit_seconds",
    "histogram",
    "From the end of an epoch at a part of the source until it is committed everywhere.",
    buckets=SECONDS,
)
END_TO_END_S: Final = Metric(
    "farwatch_end_to_end_seconds",
    "histogram",
    "From handing out the first record of an epoch until its results are durable and it is"
    " committed: the longest way in that epoch.",
    buckets=SECONDS,
)
LAST_COMMIT: Final = Metric(
    "farwatch_last_commit_timestamp_seconds",
    "gauge",
    "When an epoch was committed last, seconds since 1970 UTC; 0 = none yet.",
)
STALLED: Final = Metric(
    "farwatch_stalled", "gauge", "1 while `/healthz` says no: the flow does not get on; else 0."
)
NEWEST_RECORD: Final = Metric(
    "farwatch_newest_record_timestamp_seconds",
    "gauge",
    "The newest event time of a record, seconds since 1970 UTC; 0 = none yet.",
)
UNACKED: Final = Metric(
    "farwatch_unacked_messages",
    "gauge",
    "Messages taken from a queue and not acknowledged, as no epoch that holds them is committed.",
    ("target", "queue"),
)
QUEUE_MESSAGES: Final = Metric(
    "farwatch_queue_messages",
    "gauge",
    "Messages of a queue that wait to be delivered, as the broker said last.",
    ("target", "queue"),
)
LAG: Final = Metric(
    "farwatch_lag_records",
    "gauge",
    "Messages of a Kafka partition that are not taken yet.",
    ("target", "partition"),
)
STATE_ROWS: Final = Metric(
    "farwatch_state_rows",
    "gauge",
    "Rows of a keyed step's state: vehicles known, visits, conditions, records kept for late ones.",
    ("step", "of"),
)
STATE_BYTES: Final = Metric(
    "farwatch_state_bytes",
    "gauge",
    "Bytes of the columns of a keyed step's state in memory.",
    ("step",),
)
RECOVERY_BYTES: Final = Metric(
    "farwatch_recovery_bytes",
    "gauge",
    "Bytes of the recovery folder: its `store` and its `journal`.",
    ("part",),
)
ALARMS_RAISED: Final = Metric(
    "farwatch_alarms_raised", "gauge", "Alarms whose condition holds.", ("severity",)
)
ALARMS: Final = Metric(
    "farwatch_alarms",
    "gauge",
    "Alarms that are not normal, by their state of ISA-18.2, where a rule has its alarms followed.",
    ("severity", "state"),
)
FAR_SIDE: Final = Metric(
    "farwatch_far_side_state",
    "gauge",
    "1 for the state a far side is in, else 0: `up`, `away`, `full` (no room, or asks for less),"
    " `refusing`.",
    ("target", "state"),
)
FAR_SIDE_WAITING_S: Final = Metric(
    "farwatch_connector_waiting_seconds",
    "gauge",
    "For how long a far side has been waited for, at the latest try; 0 = it answers.",
    ("target",),
)
RETRIES: Final = Metric(
    "farwatch_connector_retries_total", "counter", "Tries that a far side failed.", ("target",)
)
DEFINITIONS: Final = Metric(
    "farwatch_definitions", "gauge", "Versions of zones and rules that are known.", ("what",)
)
VERSION_IN_FORCE: Final = Metric(
    "farwatch_version_in_force",
    "gauge",
    "The version of a zone or a rule in force at the newest event time; at most 1,000 of each.",
    ("what", "id"),
)
REGISTRY_REFUSED: Final = Metric(
    "farwatch_registry_refused",
    "gauge",
    "1 while changed zones or rules are refused and those before them stay in force, else 0.",
)

METRICS: Final = (
    *(BUILD, RECORDS_IN, RECORDS_REJECTED, RECORDS_LATE, RECORDS_UNKNOWN_DEPTH),
    *(RECORDS_NO_POSITION, RULE_ERRORS, EVENTS_OUT, FRAME_ROWS, STEP_S, COMMIT_S, END_TO_END_S),
    *(LAST_COMMIT, STALLED, NEWEST_RECORD, UNACKED, QUEUE_MESSAGES, LAG, STATE_ROWS, STATE_BYTES),
    *(RECOVERY_BYTES, ALARMS_RAISED, ALARMS, FAR_SIDE, FAR_SIDE_WAITING_S, RETRIES, DEFINITIONS),
    *(VERSION_IN_FORCE, REGISTRY_REFUSED),
)
