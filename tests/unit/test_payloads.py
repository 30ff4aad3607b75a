"""The payload models against the contract's table, where that is at hand."""

import re
from pathlib import Path

import pytest

from schemas.payloads import PAYLOADS, Payload

CONTRACT = Path(__file__).resolve().parents[3] / "shared" / "contract.md"
EXPECTED = {
    "farwatch.zone.entered.v1": "zone_id zone_version visit_id time longitude latitude depth_m"
    " reason uncertainty_s",
    "farwatch.zone.exited.v1": "zone_id zone_version visit_id time longitude latitude depth_m"
    " reason uncertainty_s duration_s",
    "farwatch.alarm.raised.v1": "alarm_id rule_id rule_version severity state time message"
    " zone_id decision",
    "farwatch.alarm.cleared.v1": "alarm_id rule_id rule_version severity state time message"
    " zone_id decision",
    "farwatch.telemetry.rejected.v1": "reason field raw origin",
}


@pytest.mark.parametrize("event_type", EXPECTED)
def test_a_payload_has_the_fields_that_users_rely_on(event_type):
    fields = set(PAYLOADS[event_type].model_fields)
    assert fields >= {*EXPECTED[event_type].split(), *Payload.model_fields}


def test_the_contract_names_the_same_fields():
    if not CONTRACT.is_file():
        pytest.skip(f"no contract to compare with at {CONTRACT.name}")
    text = CONTRACT.read_text()
    for event_type, fields in EXPECTED.items():
        assert f".{event_type.split('.', 2)[-1].rsplit('.', 2)[-2]}" in text
        for name in fields.split():
            assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("model", PAYLOADS.values(), ids=PAYLOADS)
def test_every_payload_has_a_json_schema_that_allows_nothing_else(model):
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["description"]
