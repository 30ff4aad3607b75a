"""Zones and rules that change while a flow runs: taken whole, or refused and told."""

import json
import os

import pytest

from connectors.contract import ConnectorError
from flows.steps import editions as step
from flows.steps.editions import Editions
from flows.steps.registry import load_registry
from tests.watching import ZONES, write_inputs


@pytest.fixture
def urls(tmp_path):
    write_inputs(tmp_path, [])
    return f"file:{tmp_path}/zones.geojson", f"file:{tmp_path}/rules.yaml"


@pytest.fixture
def taken():
    return []


@pytest.fixture
def following(urls, taken):
    """Looks at every call: any time is long enough ago."""
    return Editions(load_registry(*urls), *urls, every_s=1e-9, on_change=taken.append)


def change(folder, edit):
    zones = json.loads(json.dumps(ZONES))
    edit(zones["features"])
    path = folder / "zones.geojson"
    path.write_text(json.dumps(zones))
    # Two changes within one tick of the file system's clock differ all the same.
    os.utime(path, ns=(path.stat().st_mtime_ns + 1_000_000,) * 2)


def test_a_changed_file_is_taken_and_told_once(following, taken, tmp_path):
    first = following.newest()
    assert following.newest() is first

    def add(features):
        features.append({**features[0], "id": "new"})

    change(tmp_path, add)
    second = following.newest()
    assert second.fences.zones[-1].id == "new"
    assert following.newest() is second
    assert taken == [second]
    assert following.at_least(first.fingerprint) is second


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda f: f.pop(0), "zone `z0` version 1 is gone; end it with `effective_to`"),
        (
            lambda f: f[0]["properties"].update(max_depth_m=7),
            "zone `z0` version 1 says something else than before",
        ),
        (
            lambda f: f[0]["geometry"]["coordinates"][0].reverse() or f[0].update(id=""),
            "`id` has 0 characters",
        ),
        (lambda f: f[0]["geometry"]["coordinates"][0].pop(), "not closed"),
    ],
)
def test_a_mistake_leaves_all_as_it_was_and_is_told_once(following, taken, tmp_path, capfd, edit,
                                                         says):  # fmt: skip
    first = following.newest()
    change(tmp_path, edit)
    for _ in range(3):
        assert following.newest() is first
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "zones and rules stay as they were" in said
    assert says in said
    change(tmp_path, lambda f: f[0]["properties"].update(effective_to="2030-01-01T00:00:00Z"))
    assert following.newest().fences.zones[0].effective_to is not None
    assert len(taken) == 1


def test_a_flow_that_does_not_look_keeps_what_it_has(urls, tmp_path):
    editions = Editions(load_registry(*urls), *urls, every_s=0)
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    assert len(editions.newest().fences.zones) == len(ZONES["features"])


def test_what_another_process_has_is_waited_for(urls, tmp_path, monkeypatch):
    editions = Editions(load_registry(*urls), *urls, every_s=3_600)
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    other = load_registry(*urls).fingerprint
    assert editions.at_least(other).fingerprint == other
    monkeypatch.setattr(step, "PATIENCE_S", 0.0)
    with pytest.raises(ConnectorError, match="other zones or rules"):
        editions.at_least("of nobody")
