"""What is made from the code is as committed, and outside validators take it."""

import json
import os
import shutil
import subprocess

import pytest
from jsonschema import Draft202012Validator

from flows.settings import Settings
from schemas.catalogue import TOPICS
from schemas.payloads import PAYLOADS
from schemas.topics import ALERT_COMMANDS, BETWEEN_TOPICS, RESULT_TOPICS
from scripts.reference.__main__ import SCHEMAS, made
from scripts.reference.asyncapi import asyncapi
from scripts.reference.configuration import configuration
from scripts.reference.json_schemas import json_schemas
from tests.watching import ROOT

ASYNCAPI = ROOT / "deploy" / "asyncapi.json"
PARSER = "@asyncapi/parser@3"
PARSE = """
import { Parser } from '@asyncapi/parser';
import { readFileSync } from 'node:fs';
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const severe = diagnostics.filter((d) => d.severity < 2);
console.log(JSON.stringify({
  severe: severe.map((d) => `${d.code} ${d.path.join('.')} ${d.message}`),
  channels: document ? document.channels().all().map((c) => c.address()) : [],
}));
"""


def test_the_committed_files_are_what_is_made():
    for path, text in made().items():
        assert (ROOT / path).read_text() == text, f"{path}: run scripts/docs"
    schemas = {path.relative_to(ROOT) for path in (ROOT / SCHEMAS).iterdir()}
    assert schemas == {path for path in made() if path.parent == SCHEMAS}


def test_every_topic_and_every_type_of_event_has_its_place():
    assert set(TOPICS) == {*RESULT_TOPICS, *BETWEEN_TOPICS}
    assert {kind for topic in TOPICS.values() for kind in topic.types} == set(PAYLOADS)


def test_every_setting_is_in_the_configuration_and_has_words():
    page = configuration()
    for name, field in Settings.model_fields.items():
        assert f"| `FARWATCH_{name.upper()}` | `{name}` |" in page
        assert field.description, name


def test_schemas_are_schemas():
    for name, schema in json_schemas().items():
        Draft202012Validator.check_schema(schema)
        assert schema["properties"], name


def test_the_telemetry_schema_takes_a_record_and_refuses_a_wrong_one():
    validator = Draft202012Validator(json_schemas()["telemetry"])
    record = {"auv_id": "auv-7", "timestamp": "2026-03-02T00:00:00Z", "depth_m": 10.0}
    assert validator.is_valid(record)
    assert not validator.is_valid(record | {"depth_m": 99_000})
    assert not validator.is_valid({"depth_m": 1.0})


def test_every_reference_in_the_asyncapi_document_leads_somewhere():
    document = asyncapi()

    def refs(node: object):
        if isinstance(node, dict):
            for key, value in node.items():
                yield from [value] if key == "$ref" else refs(value)
        elif isinstance(node, list):
            for value in node:
                yield from refs(value)

    found = set(refs(document))
    assert len(found) > len(TOPICS)
    for ref in found:
        target = document
        for word in ref.removeprefix("#/").split("/"):
            target = target[word]


@pytest.mark.slow
def test_asyncapis_own_parser_takes_the_document(tmp_path):
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no Node.js: AsyncAPI's parser cannot run")
    words = [npm, "install", "--silent", "--no-audit", "--no-fund", PARSER]
    env = os.environ | {"npm_config_cache": str(tmp_path / "cache")}
    had = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    if had.returncode:
        pytest.skip(f"{PARSER} cannot be had: {had.stderr.strip()[-200:]}")
    (tmp_path / "parse.mjs").write_text(PARSE)
    done = subprocess.run(
        [node, "parse.mjs", ASYNCAPI], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert said["severe"] == []
    assert {*TOPICS, ALERT_COMMANDS} < set(said["channels"])
