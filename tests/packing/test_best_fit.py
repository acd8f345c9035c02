from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.best_fit import best_fit_decreasing
from tests.packing.oracle import best_fit

CAPACITIES = st.sampled_from([1, 2, 5, 63, 64, 65, 300, 4096, 8193, 262_145])


@given(
    CAPACITIES.flatmap(
        lambda c: st.tuples(st.just(c), st.lists(st.integers(1, c) | st.integers(1, min(c, 9)), max_size=60))
    )
)
def test_kernel_and_oracle_agree_bit_for_bit(case: tuple[int, list[int]]) -> None:
    capacity, lengths = case
    pack, free = best_fit_decreasing(np.array(lengths, np.int32), capacity)
    assert (pack.tolist(), free.tolist()) == best_fit(lengths, capacity)
    assert (np.bincount(pack, weights=lengths, minlength=len(free)) + free == capacity).all()
    assert (pack.dtype, free.dtype) == (np.int32, np.int32)


def test_a_megatoken_row_is_filled() -> None:
    lengths = np.array([(1 << 20) - 1, 1, 1 << 20, 700_000, 348_576], np.int32)
    pack, free = best_fit_decreasing(lengths, 1 << 20)
    assert pack.tolist() == [1, 1, 0, 2, 2]
    assert free.tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [0, -3, 9])
def test_a_length_that_cannot_be_placed_is_an_error(bad: int) -> None:
    with pytest.raises(ValueError, match="must lie in 1 to 8"):
        best_fit_decreasing(np.array([3, bad]), 8)


def test_many_small_documents_fill_rows() -> None:
    lengths = (np.arange(200_000) * 7919 % 5000 + 1).astype(np.int32)
    _, free = best_fit_decreasing(lengths, 8193)
    assert 1 - free.mean() / 8193 > 0.9999
