"""Persisted names: renaming one loses state or breaks those who listen."""

import pickle
from dataclasses import replace

import numpy as np

from connectors.contract import ConnectorSettings
from connectors.journal import Journal
from connectors.notify import Letter
from connectors.registry import open_sink, open_source
from flows.alerting import alerting
from flows.analytics import analytics
from flows.hazard import hazard
from flows.planning import planning
from flows.proximity import proximity
from flows.settings import Settings
from flows.steps.state import Journaled, Snapshot
from flows.watch import watch
from flows.wiring import Wiring
from rules.analytics import AnalyticsState
from rules.assessment import KeyGroups
from rules.group import GroupState
from rules.hazard.group import HazardState, Version
from rules.hazard.past import Mark, Past, Piece
from rules.hazard.readings import DERIVED, READINGS
from rules.hazard.signals import Followed
from rules.planning.state import PlanningState
from rules.proximity.body import BodyState
from rules.registry import Registry
from rules.routing import Group, RoutingState
from rules.summary import Windowing
from schemas import topics
from schemas.event import COMMAND_JUDGED, identity
from schemas.payloads import PAYLOADS
from schemas.route import Routing
from tests.alarm_news import FLAPPING, Stage, command, raised


def test_step_ids_that_key_the_recovery_state():
    connector = ConnectorSettings()
    wiring = Wiring(
        settings=Settings(analytics="on", hazard="auv"),
        source=open_source("memory:pinned", connector),
        sinks={"to_0": open_sink("memory:pinned", connector)},
        registry=Registry.of((), ()),
    )
    steps = step_ids(watch(wiring))
    assert {"watch.telemetry", "watch.watch", "watch.windows.analytics", "watch.to_0"} <= steps
    assert "watch.hazards.hazard-auv" in steps
    assert "watch.alerts.alerting" in steps
    routing = Routing.model_validate({"routes": [{}]})
    notified = replace(wiring, routing=routing, commands=open_source("memory:pinned", connector))
    steps = step_ids(watch(notified))
    assert {"watch.commands", "watch.notices.routing"} <= steps
    steps = step_ids(alerting(wiring))
    assert {"alerting.telemetry", "alerting.alerts.alerting", "alerting.to_0"} <= steps
    steps = step_ids(proximity(wiring))
    assert {"proximity.telemetry", "proximity.proximity", "proximity.to_0"} <= steps
    steps = step_ids(hazard(wiring))
    assert {"hazard.telemetry", "hazard.hazards.hazard-auv", "hazard.to_0"} <= steps
    steps = step_ids(analytics(wiring))
    assert {"analytics.telemetry", "analytics.windows.analytics", "analytics.to_0"} <= steps


def test_step_ids_of_planning(tmp_path):
    (tmp_path / "triggers.yaml").write_text("- {id: low, when: battery_pct < 10.0}")
    connector = ConnectorSettings()
    wiring = Wiring(
        settings=Settings(
            triggers=f"file:{tmp_path}/triggers.yaml",
            mission_plans="memory:plans",
            plan_results="memory:answers",
            hazard_scores="memory:scores",
        ),
        source=open_source("memory:pinned", connector),
        sinks={"to_0": open_sink("memory:pinned", connector)},
        registry=Registry.of((), ()),
    )
    for build in (planning, watch):
        steps = step_ids(build(wiring))
        name = build.__name__
        wanted = ("telemetry", "requests.planning", "mission_plans", "plan_results", "to_0")
        wanted = (*wanted, "hazard_scores")
        assert {f"{name}.{step}" for step in wanted} <= steps


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
        b"rules.tracks",
        b"_roster",
        b"Fixes",
    ):
        assert path in pickled


def test_classes_that_the_state_of_alarms_is_pickled_as():
    stage = Stage(FLAPPING)
    stage.tell(raised(1), command("shelve", 2, until_s=9), command("acknowledge", 3, "other"))
    [outcome] = [d.event for d in stage.told if d.event.type == COMMAND_JUDGED]
    assert outcome.data["outcome"] == "obeyed"
    pickled = pickle.dumps(Snapshot("f", stage.state))
    for path in (
        *(b"rules.alarms.stage", b"AlarmState", b"Watched", b"Told"),
        *(b"rules.alarms.entries", b"Alarms", b"Entry", b"Shelf", b"Flap"),
        *(b"rules.alarms.alarm", b"Alarm", b"Point", b"rules.alarms.batches", b"Pending"),
        *(b"schemas.command", b"Command"),
    ):
        assert path in pickled


def test_classes_that_the_state_of_routing_is_pickled_as():
    state = RoutingState({("0", ("vehicle=a",)): Group()})
    letters = [Letter("id", "target", "title", "body", "critical")]
    pickled = pickle.dumps((Snapshot("f", state), letters))
    for path in (b"rules.routing", b"RoutingState", b"Group", b"connectors.notify", b"Letter"):
        assert path in pickled


def test_classes_that_the_state_of_analytics_is_pickled_as():
    state = AnalyticsState(windowing=Windowing())
    pickled = pickle.dumps(Snapshot("f", state))
    for path in (
        *(b"rules.analytics", b"AnalyticsState", b"rules.summary", b"Windowing"),
        *(b"rules.windows", b"Windows", b"Fields", b"rules.stretches", b"Stretches"),
    ):
        assert path in pickled


def test_classes_that_the_state_of_hazard_is_pickled_as():
    mark = Mark(0, 1, Followed.none(2), 5)
    columns = np.zeros((2, 1))
    piece = Piece(1, 1, np.zeros(1, np.intp), np.zeros(1, np.int64), np.zeros(1, np.int8), columns)
    state = HazardState(versions={"a": Version(2, 0, 1)}, past=Past(chunks=(mark, piece)))
    pickled = pickle.dumps(Snapshot("f", state))
    for path in (
        *(b"rules.hazard.group", b"HazardState", b"Version", b"rules.hazard.past", b"Past"),
        *(b"Mark", b"Piece", b"rules.hazard.signals", b"Followed", b"_roster"),
    ):
        assert path in pickled


def test_signals_that_the_state_of_hazard_holds():
    assert (*READINGS, *DERIVED) == (
        *("tilt_deg", "wheel_distance_m", "wheel_speed_mps", "moved_distance_m", "dust_opacity"),
        *("wind_mps", "terrain_class", "confidence", "model_version", "waypoint_longitude"),
        *("waypoint_latitude", "bottom_depth_m", "current_mps", "current_east_mps"),
        *("current_north_mps", "leak_detect_v", "ground_fault_pct", "water_in_hull"),
        *("vacuum_inhg", "battery_v", "contact_age_s"),
        *("record", "fix_longitude", "fix_latitude", "course_deg", "tilt", "tilt_rate"),
        *("sink_mps", "slip", "free", "seen_class", "seen_confidence", "seen_model_version"),
        *("seen_longitude", "seen_latitude", "ground_height_m", "ground_slope_deg"),
        *("ground_roughness_m", "ground_step_m", "ground_east", "ground_north"),
        *("ahead_slope_deg", "ahead_step_m", "ahead_distance_m"),
    )


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


def test_classes_that_the_state_of_planning_is_pickled_as():
    pickled = pickle.dumps(Snapshot("f", PlanningState()))
    for path in (
        *(b"rules.planning.state", b"PlanningState", b"rules.planning.arming", b"Arming"),
        *(b"rules.planning.pending", b"Pending", b"rules.planning.samples", b"Samples"),
        *(b"rules.planning.context", b"Hazards", b"rules.planning.timelines", b"Timeline"),
        b"_roster",
    ):
        assert path in pickled


def test_what_recovery_state_with_a_journal_is_pickled_as(tmp_path):
    lane = Journal(tmp_path, inline_bytes=0).lane("watch", "group-0007")
    kept = lane.write({7: b"seven"}, bytes).kept
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
        "command_outcomes",
        "notifications",
        "late_telemetry",
        "analytics_data",
        "plan_requests",
        "shadow_plan_requests",
        "hazard_scores",
        "dead_letters",
        "checked_telemetry",
        "enriched_telemetry",
        "telemetry_progress",
    )


def test_event_types():
    assert sorted(PAYLOADS) == [
        "farwatch.alarm.acknowledged.v1",
        "farwatch.alarm.cleared.v1",
        "farwatch.alarm.raised.v1",
        "farwatch.alarm.shelved.v1",
        "farwatch.alarm.updated.v1",
        "farwatch.alert.notified.v1",
        "farwatch.analytics.windowed.v1",
        "farwatch.command.judged.v1",
        "farwatch.hazard.scored.v1",
        "farwatch.plan.accepted.v1",
        "farwatch.plan.answered.v1",
        "farwatch.plan.expired.v1",
        "farwatch.plan.rejected.v1",
        "farwatch.plan.requested.v1",
        "farwatch.telemetry.checked.v1",
        "farwatch.telemetry.enriched.v1",
        "farwatch.telemetry.late.v1",
        "farwatch.telemetry.progress.v1",
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
