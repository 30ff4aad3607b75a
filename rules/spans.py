"""Spans: from "holds in this row" to "began here, ended there", on columns.

Presence in a zone and the truth of a rule's condition are the same question: a subject (a vehicle
and a zone, a vehicle and a rule) has a sequence of rows, in some of which something holds, in some
it is unknown, in all others it does not. Unknown changes nothing: a span that is open stays open
through it, and none begins with it.
"""

from dataclasses import dataclass

import numpy as np

from schemas.frame import Bools, Longs, Rows


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans that touch the rows looked at; k spans, sorted by subject, then time.

    ``subject``: (k,) int64. ``first``: (k,) rank of the first row in which it certainly holds,
    -1 where the span was open before. ``last``: (k,) rank of the last row of the span.
    ``ended``: (k,) True where a later row of the sequence says it holds no more (rank last + 1).
    ``owner``: (m,) the span each entry asked about belongs to, -1 for unknown ones outside all.
    """

    subject: Longs
    first: Rows
    last: Rows
    ended: Bools
    owner: Rows

    def __len__(self) -> int:
        return len(self.subject)


def spans(
    subject: Longs, rank: Rows, certain: Bools, open_subject: Longs, length: Rows, of_open: Rows
) -> Spans:
    """The spans of each subject.

    ``subject``, ``rank``, ``certain``: (m,) one entry a row in which it holds (True) or may hold
    (False); ``rank`` counts the rows of the subject's sequence from 0; entries in any order, each
    (subject, rank) once. ``open_subject``: (k,) subjects whose span is open before rank 0.
    ``length``: (m,) and ``of_open``: (k,) number of rows in the subject's sequence.
    """
    # An open span is an entry that certainly holds at rank -1. Sorted by (subject, rank), a span
    # is a run of entries whose ranks follow one another without a gap: a gap is a row in which
    # it does not hold.
    subjects = np.concatenate([open_subject, subject])
    ranks = np.concatenate([np.full(len(open_subject), -1, np.intp), rank])
    holds = np.concatenate([np.ones(len(open_subject), np.bool_), certain])
    lengths = np.concatenate([of_open, length])
    if not len(subjects):
        return Spans(subjects, ranks, ranks, holds, ranks)
    # One integer sorts by subject, then rank. The factor leaves a gap of 2 between the last rank
    # of a subject and rank -1 of the next, so a run never goes on into another subject.
    key = subjects * (int(ranks.max()) + 3) + ranks
    order = np.argsort(key, kind="stable")
    key, subjects, ranks = key[order], subjects[order], ranks[order]
    holds, lengths = holds[order], lengths[order]
    fresh = key[1:] != key[:-1] + 1
    begin = np.concatenate([[0], fresh.nonzero()[0] + 1])
    end = np.concatenate([begin[1:], [len(subjects)]]) - 1
    # Position of the first certain entry of each run; a run without one is no span.
    position = np.where(holds, np.arange(len(subjects)), len(subjects))
    first = np.minimum.reduceat(position, begin)
    real = first < len(subjects)
    span_of_run = np.where(real, np.cumsum(real) - 1, -1)
    owner = np.empty(len(subjects), np.intp)
    run = np.repeat(np.arange(len(begin)), end - begin + 1)
    # What is unknown before the first certain entry belongs to no span.
    owner[order] = np.where(np.arange(len(subjects)) >= first[run], span_of_run[run], -1)
    first, end = first[real], end[real]
    return Spans(
        subject=subjects[end],
        first=ranks[first],
        last=ranks[end],
        ended=ranks[end] + 1 < lengths[end],
        owner=owner[len(open_subject) :],
    )
