"""Exact equality: white space aside, a text equals itself and nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.buckets import group_equal
from lc_data.dedup.exact import exact_hashes

TEXTS = st.text(st.sampled_from("ab \n\t\u3000\u2028é汉🙂"), max_size=30)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_the_hash_is_that_of_the_text_with_single_spaces(texts):
    found = exact_hashes(pa.array(texts, pa.large_string()))
    for row, text in enumerate(texts):
        expected = xxhash.xxh3_128_intdigest(" ".join(text.split()))
        assert (int(found[row, 0]) << 64 | int(found[row, 1])) == expected


def test_case_punctuation_and_order_are_kept_apart():
    hashes = exact_hashes(pa.array(["a b", "a  b\n", "A b", "a b.", "b a", "ab"], pa.large_string()))
    assert group_equal(hashes).tolist().count(group_equal(hashes)[0]) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_groups_are_those_of_equal_rows(rows):
    groups = group_equal(np.array(rows, np.uint64).reshape(-1, 2))
    for left, one in enumerate(rows):
        for right, other in enumerate(rows):
            assert (groups[left] == groups[right]) == (one == other)
