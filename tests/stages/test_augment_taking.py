"""What is taken of a draw, against lists that a person would write; and what comes together in a row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.augment.untie_knots import untie_knots
from lc_data.mixing.stream import DocumentStream
from lc_data.recipe.augment import UntieKnots
from lc_data.stages.augment.taking import documents_of, group_documents, take_intervals
from tests.stages.augmented import NAMES

LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=12)


@st.composite
def draws(draw):
    """A stream, a draw of it between two piece ends, later repeats included, and shares."""
    lengths = draw(LENGTHS)
    piece = draw(st.integers(1, 60))
    stream = DocumentStream.of(np.arange(len(lengths)), np.array(lengths), piece)
    ends = sorted(stream.nearest_end(draw(st.integers(0, 3 * sum(lengths)))) for _ in range(2))
    shares = draw(st.lists(st.floats(0.05, 0.5), min_size=1, max_size=2))
    return lengths, stream, ends[0], ends[1], shares


@given(draws())
def test_intervals_are_whole_documents_at_the_end_of_a_draw_of_about_their_share(case):
    lengths, stream, begin, end, shares = case
    ends = [0, *np.cumsum(lengths * 4).tolist()]
    inside = [place for place in ends if begin <= place <= end]
    intervals = take_intervals(stream, begin, end - begin, shares)
    assert len(intervals) == len(shares)
    assert all(first[1] == second[0] for first, second in pairwise(intervals))
    if len(inside) < 2:
        assert all(low == high for low, high in intervals)
        return
    assert {place for interval in intervals for place in interval} <= set(inside)
    assert intervals[-1][1] == inside[-1]
    for at, (low, _) in enumerate(intervals):
        wanted = end - (end - begin) * sum(shares[at:])
        nearest = min(abs(place - min(max(wanted, inside[0]), inside[-1])) for place in inside)
        assert abs(low - min(max(wanted, inside[0]), inside[-1])) <= nearest + 1  # a place is a whole number
    for low, high in intervals:
        document, length = documents_of(stream, low, high)
        first, stop = ends.index(low), ends.index(high)
        assert document.tolist() == [place % len(lengths) for place in range(first, stop)]
        assert length.tolist() == [lengths[place % len(lengths)] for place in range(first, stop)]


@given(st.lists(LENGTHS, min_size=1, max_size=3), st.integers(30, 400), st.integers(0, 2**62))
def test_no_row_is_ever_over_and_every_document_is_in_one_group_or_left(strata, room, key):
    options = UntieKnots.model_validate(
        {"name": "untie_knots", "share": 1, "tokens": NAMES, "min_chunk_tokens": 3, "id_digits": 2}
    )
    tables, first = [], 0
    for lengths in strata:
        tables.append((np.arange(first, first + len(lengths)), np.array(lengths, np.int64)))
        first += len(lengths)
    groups = group_documents(tables, options, room, key)
    assert sorted([*groups.document.tolist(), *groups.left.tolist()]) == list(range(first))
    assert groups.size.sum() == len(groups.document)
    ends = np.cumsum(groups.size)
    for end, size, tokens in zip(ends.tolist(), groups.size.tolist(), groups.tokens.tolist(), strict=True):
        mine = slice(end - size, end)
        parts = untie_knots(groups.document[mine], groups.length[mine], groups.chunks[mine], options, key + end)
        assert int(parts.length.sum()) == tokens <= room
        assert size > 1
