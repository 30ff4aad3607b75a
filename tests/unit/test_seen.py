"""The memory that makes an append-only sink idempotent."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.seen import MERGE_AT, SeenIds

_ids = st.lists(st.integers(0, 20).map(lambda n: b"%d" % n), max_size=30)


@given(already=_ids, batches=st.lists(_ids, max_size=5))
def test_an_id_is_new_exactly_once_however_ids_are_batched(
    already: list[bytes], batches: list[list[bytes]]
) -> None:
    seen, model = SeenIds(already), set(already)
    for batch in batches:
        expected = []
        for name in batch:
            expected.append(name not in model)
            model.add(name)
        assert seen.first_time(batch) == expected
    assert len(seen) == len(model)


def test_ids_stay_known_when_many_more_have_come() -> None:
    names = [b"%d" % n for n in range(3 * MERGE_AT)]
    seen = SeenIds(names[:10])
    for start in range(0, len(names), 10_000):
        batch = names[start : start + 10_000]
        assert seen.first_time(batch) == [start + n >= 10 for n in range(len(batch))]
    assert not any(seen.first_time(names))
    assert len(seen) == len(names)
