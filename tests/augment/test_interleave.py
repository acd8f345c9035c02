from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.augment.grouping import group_neighbours, interleave_strata
from lc_data.augment.interleave import interleave
from lc_data.augment.parts import target_spans
from lc_data.recipe.augment import Interleave


@given(st.lists(st.tuples(st.integers(6, 60), st.integers(1, 4)), min_size=1, max_size=8), st.integers(0, 2**63))
def test_all_first_chunks_come_before_all_second_ones(documents, key):
    length = np.array([tokens for tokens, _ in documents])
    chunks = np.array([count for _, count in documents])
    options = Interleave(name="interleave", share=1, chunks=(1, 4), min_chunk_tokens=1)
    parts = interleave(np.arange(len(length)) + 7, length, chunks, options, key)
    seen: dict[int, list[tuple[int, int]]] = {}
    turns = []
    for source, start, tokens in zip(parts.source.tolist(), parts.start.tolist(), parts.length.tolist(), strict=True):
        mine = seen.setdefault(source, [])
        assert start == sum(count for _, count in mine)
        turns.append((len(mine), source))
        mine.append((start, tokens))
    assert turns == sorted(turns)
    assert [sum(tokens for _, tokens in seen[7 + number]) for number in range(len(length))] == length.tolist()
    assert [len(seen[7 + number]) for number in range(len(length))] == chunks.tolist()
    assert target_spans(parts) is None


@given(st.lists(st.integers(1, 130), max_size=40), st.integers(2, 9))
def test_groups_hold_neighbours_that_fit_and_never_one_alone(cost, most):
    group = group_neighbours(np.array(cost, np.int64), 100, most)
    grouped = [number for number in group.tolist() if number >= 0]
    assert grouped == sorted(grouped)
    for number in set(grouped):
        members = [cost[at] for at in np.flatnonzero(group == number)]
        assert 2 <= len(members) <= most
        assert sum(members) <= 100
    assert all(group[at] == -1 for at, tokens in enumerate(cost) if tokens > 100)


@given(st.lists(st.integers(0, 9), max_size=5))
def test_every_table_runs_evenly_through_the_order(sizes):
    order = interleave_strata(sizes)
    assert sorted(order.tolist()) == list(range(sum(sizes)))
    begin = 0
    for size in sizes:
        mine = [at for at, row in enumerate(order.tolist()) if begin <= row < begin + size]
        assert [order[at] for at in mine] == list(range(begin, begin + size))
        begin += size
