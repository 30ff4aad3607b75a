"""Persisted names: renaming one loses state or breaks those who listen."""

import pickle

import numpy as np

from connectors.contract import ConnectorSettings
from connectors.journal import Journal
from connectors.registry import open_sink, open_source
from flows.analytics import analytics
from flows.proximity import proximity
from flows.settings import Settings
from flows.steps.state import Journaled, Snapshot
from flows.watch import watch
from flows.wiring import Wiring
from rules.analytics import AnalyticsState
from rules.assessment import KeyGroups
from rules.group import GroupState
from rules.proximity.body import BodyState
from rules.registry import Registry
from rules.summary import Windowing
from schemas import topics
from schemas.event import identity
from schemas.payloads import PAYLOADS


def test_step_ids_that_key_the_recovery_state():
    connector = ConnectorSettings()
    wiring = Wiring(
        settings=Settings(analytics="on"),
        source=open_source("memory:pinned", connector),
        sinks={"to_0": open_sink("memory:pinned", connector)},
        registry=Registry.of((), ()),
    )
    steps = step_ids(watch(wiring))
    assert {"watch.telemetry", "watch.watch", "watch.windows.analytics", "watch.to_0"} <= steps
    steps = step_ids(proximity(wiring))
    assert {"proximity.telemetry", "proximity.proximity", "proximity.to_0"} <= steps
    steps = step_ids(analytics(wiring))
    assert {"analytics.telemetry", "analytics.windows.analytics", "analytics.to_0"} <= steps


def step_ids(scope):
    """The ids of all steps, those within steps too."""
    below = [step_ids(step) for step in scope.substeps if hasattr(step, "substeps")]
    return {step.step_id for step in scope.substeps}.union(*below)


def test_classes_that_recovery_state_is_pickled_as():
    pickled = pickle.dumps(Snapshot("f", GroupState()))
    for path in (
        b"flows.steps.state",
        b"Snapshot",
        b"rules.group",
        b"GroupState",
        b"rules.memory",
        b"Memory",
        b"rules.visits",
        b"Visits",
        b"rules.history",
        b"History",
        b"rules.sayings",
        b"Sayings",
        b"rules.conditions",
        b"Conditions",
        b"rules.alarms",
        b"Pending",
        b"rules.tracks",
        b"_roster",
        b"Fixes",
    ):
        assert path in pickled


def test_classes_that_the_state_of_analytics_is_pickled_as():
    state = AnalyticsState(windowing=Windowing())
    pickled = pickle.dumps(Snapshot("f", state))
    for path in (
        *(b"rules.analytics", b"AnalyticsState", b"rules.summary", b"Windowing"),
        *(b"rules.windows", b"Windows", b"Fields", b"rules.stretches", b"Stretches"),
    ):
        assert path in pickled


def test_classes_that_the_state_of_a_body_is_pickled_as():
    pickled = pickle.dumps(Snapshot("f", BodyState()))
    for path in (
        b"rules.proximity.body",
        b"BodyState",
        b"rules.proximity.samples",
        b"Samples",
        b"rules.proximity.encounters",
        b"Encounters",
        b"_roster",
    ):
        assert path in pickled


def test_what_recovery_state_with_a_journal_is_pickled_as(tmp_path):
    lane = Journal(tmp_path, inline_bytes=0).lane("watch", "group-0007")
    kept = lane.write({7: lambda: b"seven"}).kept
    assert (tmp_path / "watch-1ee3d5282e44/group-0007-2290090ab44e" / kept[7].file).is_file()
    journaled = Journaled("f", "state", lane.key, kept)
    _, stored = journaled.__reduce__()
    assert stored == ("f", "state", "group-0007", {7: (kept[7].file, 0, 5, 2_522_131_820)})
    pickled = pickle.dumps(journaled)
    assert b"flows.steps.state" in pickled
    assert b"Journaled" in pickled
    assert b"connectors" not in pickled


def test_key_groups():
    groups = KeyGroups(16)
    assert groups.key(7) == "group-0007"
    assert [groups.of(v) for v in ("auv-1", "rover-2", "mmsi:123")] == [9, 12, 0]


def test_topics():
    assert (*topics.RESULT_TOPICS, *topics.BETWEEN_TOPICS) == (
        "geofencing_events",
        "proximity_events",
        "compliance_violations",
        "critical_alerts",
        "warning_alerts",
        "alert_notifications",
        "late_telemetry",
        "analytics_data",
        "dead_letters",
        "checked_telemetry",
        "enriched_telemetry",
    )


def test_event_types():
    assert sorted(PAYLOADS) == [
        "farwatch.alarm.cleared.v1",
        "farwatch.alarm.raised.v1",
        "farwatch.analytics.windowed.v1",
        "farwatch.telemetry.checked.v1",
        "farwatch.telemetry.enriched.v1",
        "farwatch.telemetry.late.v1",
        "farwatch.telemetry.rejected.v1",
        "farwatch.track.gap.v1",
        "farwatch.vehicle.faraway.v1",
        "farwatch.vehicle.nearby.v1",
        "farwatch.zone.approaching.v1",
        "farwatch.zone.dwell_exceeded.v1",
        "farwatch.zone.entered.v1",
        "farwatch.zone.exited.v1",
    ]


def test_identities():
    assert identity("visit", "zone", "auv-1", np.int64(5)) == identity("visit", "zone", "auv-1", 5)
    assert identity("visit", "zone", "auv-1", 5) == "127062bba3bea4fcb7a7d6a1cc75bc51"
