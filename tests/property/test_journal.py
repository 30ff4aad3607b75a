"""Law of the journal: from whatever snapshot a resume begins, its records are there."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.journal import Journal

# An epoch: records that come, records that go (the oldest), whether the process dies in it.
epochs = st.lists(
    st.tuples(
        st.lists(st.binary(min_size=1, max_size=30), max_size=3),
        st.integers(0, 4),
        st.sampled_from(["goes on", "goes on", "dies uncommitted", "dies committed"]),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(epochs, st.integers(0, 60), st.integers(1, 80))
def test_a_resume_finds_every_record(moves, inline_bytes, segment_bytes):
    with TemporaryDirectory() as folder:

        def lane():
            limits = {"inline_bytes": inline_bytes, "segment_bytes": segment_bytes}
            return Journal(Path(folder, "journal"), **limits).lane("step", "key")

        open_lane, numbered = lane(), 0
        state, committed, kept = {}, {}, {}
        for came, gone, fate in moves:
            # Numbers are used again after a death, for other records.
            state |= {numbered + i: record for i, record in enumerate(came)}
            numbered += len(came)
            state = dict(list(state.items())[gone:])
            written = open_lane.write(state, bytes)
            written.sync()
            if fate != "dies uncommitted":
                committed, kept = dict(state), dict(written.kept)
            if fate != "goes on":
                open_lane = lane()
                assert open_lane.read(kept) == list(committed.values())
                state, numbered = dict(committed), max(committed, default=-1) + 1
        segments = [path for path in Path(folder).rglob("*") if path.is_file()]
        used = {record.file for record in kept.values() if not isinstance(record, bytes)}
        assert used <= {path.name for path in segments}
