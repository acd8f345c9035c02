from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.lineage import pack_hashes
from lc_data.packing.plan import PlanBlock

PIECE = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2))
PACKS = st.lists(st.lists(PIECE, min_size=1, max_size=4), max_size=6)


def block(packs: list[list[tuple[int, ...]]], first: int) -> PlanBlock:
    rows = [(first + n, *piece, at) for n, pack in enumerate(packs) for at, piece in enumerate(pack)]
    columns: Any = np.array(rows, np.int64).reshape(-1, 6).T
    return PlanBlock(*columns)


@given(PACKS, PACKS, st.integers(0, 9))
def test_packs_have_one_hash_exactly_where_they_hold_the_same_pieces_in_one_order(
    one: list[Any], other: list[Any], first: int
) -> None:
    left, right = pack_hashes(block(one, first)), pack_hashes(block(other, 0))
    assert (left.dtype, len(left), len(right)) == (np.uint64, len(one), len(other))
    for pack, mark in zip(one, left.tolist(), strict=True):
        for peer, other_mark in zip(other, right.tolist(), strict=True):
            assert (mark == other_mark) == (pack == peer)
