"""The journal: written once, read back whole or refused, deleted when nothing names it."""

import pickle
from collections import Counter
from itertools import pairwise

import pytest

from connectors.contract import RefusedError, SettingsError
from connectors.journal import Journal, Place
from flows.steps.state import Journaled


def journal(folder, **limits):
    return Journal(folder / "journal", **{"inline_bytes": 0, "segment_bytes": 100, **limits})


def write(lane, records):
    written = lane.write(records, bytes)
    written.sync()
    return written.kept


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_record_is_written_once(tmp_path):
    lane = journal(tmp_path).lane("watch", "group-1")
    first = write(lane, {1: b"one", 2: b"two"})
    again = lane.write({1: None, 2: None, 3: "three"}, lambda record: record.encode())
    assert again.kept == first | {3: again.kept[3]}
    assert [path.read_bytes() for path in files(tmp_path)] == [b"onetwothree"]


def test_few_bytes_stay_in_the_snapshot_until_they_are_many(tmp_path):
    lane = journal(tmp_path, inline_bytes=5).lane("watch", "group-1")
    write(lane, {1: b"twelve bytes"})
    assert write(lane, {2: b"two"}) == {2: b"two"}
    assert [path.read_bytes() for path in files(tmp_path)] == [b"twelve bytes"]
    assert all(isinstance(r, Place) for r in write(lane, {2: b"two", 3: b"three"}).values())
    assert [path.read_bytes() for path in files(tmp_path)] == [b"twelve bytestwothree"]
    assert write(lane, {3: b"three", 4: b"four"})[4] == b"four"


def test_lanes_that_fill_evenly_are_written_and_synced_in_turn(tmp_path):
    of_step = journal(tmp_path, inline_bytes=1_600, segment_bytes=1_000_000)
    lanes = [of_step.lane("watch", f"group-{group:04d}") for group in range(16)]
    written_at = [[] for _ in lanes]
    for epoch in range(64):
        for lane, at in zip(lanes, written_at, strict=True):
            kept = write(lane, dict.fromkeys(range(epoch + 1), b"x" * 100))
            if isinstance(kept[epoch], Place):
                at.append(epoch)
    assert Counter(epoch for at in written_at for epoch in at).most_common(1)[0][1] == 1
    assert all({b - a for a, b in pairwise(at)} == {17} for at in written_at)


@pytest.mark.parametrize("key", ["group-1", "", "../up", "a/b", "ä" * 300, "."])
def test_another_execution_reads_what_the_one_before_wrote(tmp_path, key):
    kept = write(journal(tmp_path).lane("watch", key), {4: b"four", 9: b"nine"})
    lane = journal(tmp_path).lane("watch", key)
    assert lane.read(kept | {10: b"ten"}) == [b"four", b"nine", b"ten"]
    more = write(lane, {9: b"nine", 10: b"ten", 11: b"eleven"})
    assert more[9] == kept[9]
    assert more[11].file != kept[9].file
    assert all(path.is_relative_to(tmp_path / "journal") for path in files(tmp_path))


def test_what_no_snapshot_names_may_be_torn(tmp_path):
    lane = journal(tmp_path).lane("watch", "group-1")
    kept = write(lane, {1: b"one"})
    write(lane, {1: b"one", 2: b"two"})
    [segment] = files(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-2])
    assert journal(tmp_path).lane("watch", "group-1").read(kept) == [b"one"]


@pytest.mark.parametrize("damage", ["gone", "short", "flipped"])
def test_a_missing_or_damaged_record_is_refused(tmp_path, damage):
    kept = write(journal(tmp_path).lane("watch", "group-1"), {1: b"one", 2: b"two"})
    [segment] = files(tmp_path)
    if damage == "gone":
        segment.unlink()
    else:
        segment.write_bytes(b"onetw" if damage == "short" else b"onetwi")
    with pytest.raises(SettingsError, match=r"lacks its journal: .*; restore it as it was"):
        journal(tmp_path).lane("watch", "group-1").read(kept)


def test_a_segment_is_deleted_when_three_snapshots_do_not_name_it(tmp_path):
    lane = journal(tmp_path, segment_bytes=1).lane("watch", "group-1")
    counts = []
    for number in range(6):
        write(lane, {number: b"record"})
        counts.append(len(files(tmp_path)))
    assert counts == [1, 2, 3, 3, 3, 3]


def test_what_an_execution_that_committed_nothing_left_is_deleted(tmp_path):
    kept = write(journal(tmp_path).lane("watch", "group-1"), {1: b"one"})
    write(journal(tmp_path).lane("watch", "group-1"), {1: b"otherwise"})
    lane = journal(tmp_path).lane("watch", "group-1")
    lane.read(kept)
    for count in (2, 2, 1):
        write(lane, {1: b"one"})
        assert len(files(tmp_path)) == count
    assert lane.read(kept) == [b"one"]


def test_segments_outlive_the_backup_interval(tmp_path):
    lane = journal(tmp_path, segment_bytes=1, keep_s=3600).lane("watch", "group-1")
    for number in range(6):
        write(lane, {number: b"record"})
    assert len(files(tmp_path)) == 6


def test_a_snapshot_is_pickled_only_when_its_records_are_durable(tmp_path):
    lane = journal(tmp_path).lane("watch", "group-1")
    kept = write(lane, {1: b"one"}) | {2: b"two"}

    def failed():
        raise RefusedError("disk full")

    with pytest.raises(RefusedError, match="disk full"):
        pickle.dumps(Journaled("f", "state", "group-1", kept, failed))
    read = pickle.loads(pickle.dumps(Journaled("f", "state", "group-1", kept, lambda: None)))
    assert read == Journaled("f", "state", "group-1", kept)


def test_a_journal_that_cannot_be_written_says_so(tmp_path):
    lane = journal(tmp_path).lane("watch", "group-1")
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(RefusedError, match=r"cannot write .*; make room or allow it"):
        write(lane, {1: b"one"})
    with pytest.raises(SettingsError, match="Not a directory"):
        journal(tmp_path).lane("watch", "group-1")
