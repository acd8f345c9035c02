from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.mixing.held_out import hold_out
from lc_data.mixing.strata import long_buckets, measure_strata, stratum_ids, trainable_length
from lc_data.recipe.mixture import HeldOut
from lc_data.recipe.packing import PackSection

DOCUMENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 5000)), max_size=60)


@given(DOCUMENTS)
def test_strata_count_what_a_loop_counts(rows: list[tuple[int, int, int]]) -> None:
    domain, bucket, length = (np.array([row[i] for row in rows], t) for i, t in enumerate(("u2", "u1", "u4")))
    strata = measure_strata(stratum_ids(domain, bucket, 4), length, np.ones(len(rows), bool), 3, 4)
    for d in range(3):
        for b in range(4):
            mine = [row[2] for row in rows if row[:2] == (d, b)]
            assert (strata.documents[d, b], strata.tokens[d, b]) == (len(mine), sum(mine))


def test_a_domain_code_beyond_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="stratum 12: there are 3 x 4"):
        measure_strata(np.array([0, 12]), np.array([5, 5]), np.ones(2, bool), 3, 4)


def test_a_threshold_inside_a_bucket_is_refused_with_the_edges() -> None:
    assert long_buckets((1024, 4096, 8192), 4096).tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="threshold_tokens is 5000, which is no bucket edge: take one of 1024, 4096"):
        long_buckets((1024, 4096), 5000)


@pytest.mark.parametrize(
    ("overlong", "expected"), [("split", [0, 7, 8, 90]), ("truncate", [0, 7, 8, 8]), ("drop", [0, 7, 8, 0])]
)
def test_trainable_length_follows_the_policy(overlong: str, expected: list[int]) -> None:
    packing = PackSection(seq_len=8, overlong=overlong)  # type: ignore[arg-type]
    assert trainable_length(np.array([0, 7, 8, 90], np.uint32), packing).tolist() == expected


@given(st.lists(st.integers(0, 4), max_size=200), st.sampled_from([0, 0.01, 0.1, 0.5]), st.integers(2, 20))
def test_held_out_documents_are_the_first_of_large_enough_strata(ids: list[int], share: float, least: int) -> None:
    marks = hold_out(np.array(ids, np.int32), HeldOut(share=share, min_documents_per_stratum=least))
    for stratum in set(ids):
        mine = marks[[i for i, identity in enumerate(ids) if identity == stratum]].tolist()
        n, taken = len(mine), sum(mine)
        assert mine == [True] * taken + [False] * (n - taken)
        assert taken < n
        assert taken == 0 if n < least else share * n <= taken < share * n + 1
