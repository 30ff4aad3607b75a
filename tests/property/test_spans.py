"""Laws of spans: the columns say what a plain loop over each subject's rows says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.spans import spans

NO, MAYBE, YES = 0, 1, 2
rows = st.lists(st.sampled_from([NO, MAYBE, YES]), max_size=12)
subjects = st.lists(st.tuples(rows, st.booleans()), max_size=6)


def by_hand(answers: list[int], was_open: bool) -> list[tuple[int, int, bool]]:
    """(first, last, ended) of each span of one subject."""
    found = []
    first = -1 if was_open else None
    for rank, answer in enumerate(answers):
        if first is None and answer == YES:
            first = rank
        elif first is not None and answer == NO:
            found.append((first, rank - 1, True))
            first = None
    if first is not None:
        found.append((first, len(answers) - 1, False))
    return found


def in_columns(cases: list[tuple[list[int], bool]]):
    entries = [
        (subject, rank, answer == YES, len(answers))
        for subject, (answers, _) in enumerate(cases)
        for rank, answer in enumerate(answers)
        if answer != NO
    ]
    opened = [(s, len(answers)) for s, (answers, was_open) in enumerate(cases) if was_open]
    table = np.array(entries, np.int64).reshape(-1, 4)
    known = np.array(opened, np.int64).reshape(-1, 2)
    found = spans(
        table[:, 0], table[:, 1], table[:, 2].astype(bool), known[:, 0], table[:, 3], known[:, 1]
    )
    return found, entries


@given(subjects)
def test_spans_are_what_a_loop_over_each_subject_finds(cases):
    found, _ = in_columns(cases)
    expected = [(subject, *span) for subject, case in enumerate(cases) for span in by_hand(*case)]
    columns = (found.subject, found.first, found.last, found.ended)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == expected


@given(subjects)
def test_each_certain_entry_has_an_owner_that_covers_it(cases):
    found, entries = in_columns(cases)
    for (subject, rank, certain, _), owner in zip(entries, found.owner.tolist(), strict=True):
        if owner < 0:
            assert not certain
            continue
        assert found.subject[owner] == subject
        assert found.first[owner] <= rank <= found.last[owner]


@given(rows, st.booleans(), st.data())
def test_where_the_rows_are_cut_changes_nothing(answers, was_open, data):
    cut = data.draw(st.integers(0, len(answers)))
    whole, _ = in_columns([(answers, was_open)])
    head, _ = in_columns([(answers[:cut], was_open)])
    still_open = bool(len(head)) and not head.ended[-1]
    tail, _ = in_columns([(answers[cut:], still_open)])
    begun = [f for f in head.first.tolist() if f >= 0]
    begun += [f + cut for f in tail.first.tolist() if f >= 0]
    ended = [last for last, end in zip(head.last.tolist(), head.ended.tolist(), strict=True) if end]
    ended += [
        last + cut for last, end in zip(tail.last.tolist(), tail.ended.tolist(), strict=True) if end
    ]
    assert begun == [f for f in whole.first.tolist() if f >= 0]
    assert ended == whole.last[whole.ended].tolist()
