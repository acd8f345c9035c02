"""Exact similarities against sets of Python words, and the cut of pairs into runs."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup import verification
from lc_data.dedup.verification import measure_pairs, split_pairs
from lc_data.text.buffers import as_text
from tests.dedup.prose import exact_jaccard

TEXTS = st.lists(st.sampled_from(["a ", "b ", "Word, ", "漢", "字", "\n", "é-"]), max_size=60).map("".join)


@given(st.lists(TEXTS, min_size=3, max_size=3), st.integers(1, 3), st.integers(1, 400))
def test_pairs_are_measured_in_their_order_as_sets_are(texts, n, held):
    pairs = [(0, 1), (0, 2), (2, 1), (1, 1)]
    with patch.object(verification, "TEXT_BYTES", held):
        found = measure_pairs(np.array(pairs), {row: as_text(text) for row, text in enumerate(texts)}, n)
    assert found.tolist() == pytest.approx([exact_jaccard(texts[left], texts[right], n) for left, right in pairs])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30), st.integers(1, 60))
def test_runs_cover_all_pairs_and_keep_to_the_budget(pairs, budget):
    sizes = np.arange(10) + 1
    table = np.array(pairs, np.int64).reshape(-1, 2)
    runs = list(split_pairs(table, sizes, budget))
    assert [row for run in runs for row in range(run.start, run.stop)] == list(range(len(pairs)))
    for run in runs:
        held = sizes[np.unique(table[run])].sum()
        assert held <= budget or run.stop - run.start == 1
