from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.readers.unique import find_repeated


@given(st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=6))
def test_only_the_first_in_plan_order_stays(tasks: list[list[int]]) -> None:
    keys = [np.array([[value % 2, value] for value in task], np.uint64).reshape(-1, 2) for task in tasks]
    seen: set[int] = set()
    expected = []
    for task in tasks:
        rows = []
        for row, value in enumerate(task):
            if value in seen:
                rows.append(row)
            seen.add(value)
        expected.append(rows)
    assert [rows.tolist() for rows in find_repeated(keys)] == expected
