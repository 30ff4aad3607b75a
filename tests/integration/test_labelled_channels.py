"""Rules and hazard scores of the watch, counted on labelled telemetry channels of Curiosity.

Limits come from the training part of a channel alone; labels are only what is counted against.
"""

import ast
import csv
import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest

from tests.watching import ZONES, command, environment, read_topics, run

START_S = 1_420_070_400
# The channels have no times, one row a step: a minute each here.
STEP_S = 60
# What comes again within so many steps is the same alarm.
REST_STEPS = 60
# How far beyond what it did in training a channel is out of the ordinary.
MARGIN, LONGER = 0.05, 1.5


class Counted(NamedTuple):
    """Labelled sequences found and missed; spells that meet one (true) and that meet none."""

    found: int
    missed: int
    true: int
    false: int


def longest_run(holds):
    """The most rows on end of which ``holds`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], holds.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def limits(train):
    """Lower and upper end of what a channel told in training, and the margin beside them."""
    low, high = float(train.min()), float(train.max())
    return low, high, MARGIN * max(high - low, 0.1)


def rules_of(channel, train):
    """What an operator writes of a channel that was well in training: range, rate and time."""
    low, high, margin = limits(train)
    middle, steps = (low + high) / 2, np.abs(np.diff(train))
    fastest = float(max(steps.max() * (1 + MARGIN), margin)) / STEP_S
    rules = {
        "range": {"when": f"sensors.value > {high + margin} || sensors.value < {low - margin}"},
        "jump": {"when": f"rate(sensors.value) > {fastest} || rate(sensors.value) < -{fastest}"},
    }
    # One that never moved tells nothing of how long it may rest.
    if high > low:
        lasting = {
            "stuck": ("rate(sensors.value) == 0.0", steps == 0),
            "stays-high": (f"sensors.value > {middle}", train > middle),
            "stays-low": (f"sensors.value < {middle}", train < middle),
        }
        for name, (when, held) in lasting.items():
            rules[name] = {"when": when, "for": f"{round(LONGER * longest_run(held)) * STEP_S}s"}
    for name, rule in rules.items():
        yield rule | {
            "id": f"{channel}-{name}",
            "scope": {"vehicles": [channel]},
            "keep_firing_for": f"{REST_STEPS * STEP_S}s",
            "severity": "warning",
            "message": f"{{vehicle_id}} {name}: {{sensors.value}}",
            "source": "the training part of the channel",
        }


def profile_of(channel, train):
    """The channel's range in training as a hazard profile of its own."""
    low, high, margin = limits(train)
    made = {"reads": "sensors.value", "weight": 0.9, "source": "the training part of the channel"}
    return {
        "id": channel,
        "vehicles": [channel],
        "kinds": ["vehicle"],
        "parts": {
            "above": made | {"safe": high, "limit": high + margin},
            "below": made | {"safe": low, "limit": low - margin},
        },
    }


def told_by(folder, part_of, channel):
    """The telemetry values of a channel, a row a step."""
    with gzip.open(folder / part_of / f"{channel}.npy.gz") as file:
        return np.load(file)[:, 0]


def records_of(channel, values):
    for step, value in enumerate(values.tolist()):
        time = START_S + STEP_S * step
        yield {"vehicle_id": channel, "timestamp": time, "sensors": {"value": value}}


def step_of(time):
    """The row that was told at a time of RFC 3339."""
    return round((datetime.fromisoformat(time).astimezone(UTC).timestamp() - START_S) / STEP_S)


def counted(spells, sequences):
    """Spells (first row, last row) held against labelled sequences, event by event."""
    meets = np.array(
        [[a <= end and begin <= b for begin, end in sequences] for a, b in spells], bool
    ).reshape(len(spells), len(sequences))
    found, true = int(meets.any(0).sum()), int(meets.any(1).sum())
    return Counted(found, len(sequences) - found, true, len(spells) - true)


def merged(spells):
    """Spells that overlap made one."""
    joined = []
    for begin, end in sorted(spells):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


@pytest.fixture(scope="module")
def labels(outside_data):
    with (outside_data / "msl-telemetry-anomaly" / "labeled_anomalies_msl.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {row["chan_id"]: ast.literal_eval(row["anomaly_sequences"]) for row in rows}


@pytest.fixture(scope="module")
def last_rows(outside_data, labels):
    """The last row of the test part of each channel."""
    folder = outside_data / "msl-telemetry-anomaly"
    return {channel: len(told_by(folder, "test", channel)) - 1 for channel in labels}


@pytest.fixture(scope="module")
def watched(outside_data, labels, tmp_path_factory):
    """Topic -> data of the events that one watch told of the test parts of all channels."""
    folder, data = tmp_path_factory.mktemp("channels"), outside_data / "msl-telemetry-anomaly"
    rules, profiles = [], []
    with (folder / "telemetry.ndjson").open("w") as file:
        for channel in labels:
            train = told_by(data, "train", channel)
            rules += rules_of(channel, train)
            profiles.append(profile_of(channel, train))
            for record in records_of(channel, told_by(data, "test", channel)):
                file.write(json.dumps(record) + "\n")
    # JSON is YAML.
    (folder / "rules.yaml").write_text(json.dumps(rules))
    (folder / "profiles.yaml").write_text(json.dumps(profiles))
    (folder / "zones.geojson").write_text(json.dumps(ZONES))
    env = environment(
        folder, folder, results=f"dir:{folder}/topics", hazard=folder / "profiles.yaml"
    )
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    topics = ("compliance_violations", "hazard_scores", "dead_letters")
    events = {topic: read_topics(folder / "topics", [topic]).values() for topic in topics}
    assert not events["dead_letters"]
    return {topic: [event["data"] for event in told] for topic, told in events.items()}


def alarms(watched, last_rows):
    """(channel, kind of rule) -> spells in which its alarms held, without the rest at their end."""
    raised, cleared, spells = {}, {}, defaultdict(list)
    for data in watched["compliance_violations"]:
        (raised if data["state"] == "unacknowledged" else cleared)[data["alarm_id"]] = data
    for alarm_id, data in raised.items():
        channel, begin, end = data["vehicle_id"], step_of(data["time"]), None
        if alarm_id in cleared:
            end = step_of(cleared[alarm_id]["time"]) - REST_STEPS
        kind = data["rule_id"].removeprefix(f"{channel}-")
        spells[channel, kind].append((begin, last_rows[channel] if end is None else end))
    return spells


def raised_scores(watched, last_rows):
    """Channel -> spells in which its score was of another class than low."""
    spells, begun = defaultdict(list), {}
    for data in sorted(watched["hazard_scores"], key=lambda data: data["time"]):
        channel, step = data["vehicle_id"], step_of(data["time"])
        if data["class"] != "low":
            begun.setdefault(channel, step)
        elif channel in begun:
            spells[channel].append((begun.pop(channel), step - 1))
    for channel, step in begun.items():
        spells[channel].append((step, last_rows[channel]))
    return spells


# Channel -> by rules, by hazard scores: sequences found and missed, spells true and false.
EXPECTED = {
    "C-1": ((0, 2, 0, 0), (0, 2, 0, 0)),
    "C-2": ((2, 0, 1, 0), (2, 0, 6, 24)),
    "D-14": ((2, 0, 2, 0), (2, 0, 2, 0)),
    "D-15": ((1, 0, 2, 0), (1, 0, 27, 2)),
    "F-4": ((1, 0, 1, 3), (1, 0, 1, 4)),
    "F-5": ((1, 0, 2, 0), (1, 0, 1, 0)),
    "M-1": ((1, 0, 2, 0), (1, 0, 1, 13)),
    "M-2": ((1, 0, 2, 1), (1, 0, 23, 0)),
    "M-3": ((0, 1, 0, 0), (0, 1, 0, 0)),
    "M-4": ((1, 0, 1, 3), (0, 1, 0, 2)),
    "M-5": ((1, 0, 1, 0), (1, 0, 2, 0)),
    "M-6": ((1, 0, 1, 0), (1, 0, 1, 0)),
    "M-7": ((1, 0, 1, 1), (1, 0, 1, 1)),
    "P-11": ((2, 0, 3, 1), (2, 0, 6, 1)),
    "S-2": ((1, 0, 1, 0), (1, 0, 1, 0)),
    "T-4": ((1, 0, 1, 0), (1, 0, 1, 0)),
    "T-5": ((1, 0, 1, 0), (1, 0, 1, 0)),
}
# Kind of rule -> the same of its alarms alone, over all channels.
BY_KIND = {
    "range": (16, 5, 18, 7),
    "jump": (15, 6, 19, 13),
    "stuck": (2, 19, 2, 0),
    "stays-high": (3, 18, 3, 3),
    "stays-low": (3, 18, 3, 0),
}


def total(counts):
    return Counted(*map(sum, zip(*counts, strict=True)))


def begins(spells):
    return [(begin, begin) for begin, _ in spells]


def test_what_rules_and_scores_find_of_the_labelled_sequences(watched, labels, last_rows):
    by_rule, scored = alarms(watched, last_rows), raised_scores(watched, last_rows)
    told = {
        channel: merged(
            [one for (c, _), spells in by_rule.items() if c == channel for one in spells]
        )
        for channel in labels
    }
    found = {
        channel: (counted(told[channel], sequences), counted(scored[channel], sequences))
        for channel, sequences in labels.items()
    }
    assert found == EXPECTED
    by_rules, by_scores = map(total, zip(*found.values(), strict=True))
    # Precision 0.71 and recall 0.86; 0.61 and 0.81.
    assert by_rules == (18, 3, 22, 9)
    assert by_scores == (17, 4, 74, 47)
    # Of spells that begin in a labelled sequence alone, so that a long one finds nothing by luck.
    inside = [
        (counted(begins(told[channel]), sequences), counted(begins(scored[channel]), sequences))
        for channel, sequences in labels.items()
    ]
    assert tuple(map(total, zip(*inside, strict=True))) == ((15, 6, 18, 13), (16, 5, 71, 50))


def test_what_each_kind_of_rule_finds_by_itself(watched, labels, last_rows):
    by_rule = alarms(watched, last_rows)
    found = {
        kind: total(counted(by_rule[channel, kind], told) for channel, told in labels.items())
        for kind in BY_KIND
    }
    assert found == BY_KIND
    assert {kind for _, kind in by_rule} == set(BY_KIND)
