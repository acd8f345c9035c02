"""Rows in the order of a number, likely pairs in the order in which they are verified, and those that follow."""

from __future__ import annotations

from itertools import pairwise
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lc_data.stages.dedupe.likely import read_followers, with_followers
from lc_data.stages.dedupe.slices import Range, even_ranges, read_slices, write_sorted

NUMBERS = st.lists(st.integers(0, (1 << 64) - 1), max_size=20)
PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@given(st.lists(NUMBERS, max_size=3), st.integers(1, 5))
def test_ranges_of_files_give_every_row_once_and_in_order(files, most):
    with TemporaryDirectory() as folder:
        uris = [f"{folder}/{number}.arrow" for number in range(len(files))]
        for uri, numbers in zip(uris, files, strict=True):
            columns = [pa.array(numbers, pa.uint64()), pa.array(range(len(numbers)), pa.int64())]
            write_sorted(uri, pa.RecordBatch.from_arrays(columns, names=["number", "row"]), "number")
        ranges = even_ranges(sum(map(len, files)), most, 1 << 64)
        parts = [list(read_slices(uris, "number", wanted)) for wanted in ranges]
        for position, numbers in enumerate(files):
            rows = [row for part in parts for row in part[position].to_pylist()]
            expected = sorted(range(len(numbers)), key=numbers.__getitem__)
            assert rows == [{"number": numbers[row], "row": row} for row in expected]


@given(st.integers(0, 1000), st.integers(1, 50), st.sampled_from([1 << 32, 1 << 64]))
def test_even_ranges_cover_all_numbers(rows, most, end):
    ranges = even_ranges(rows, most, end)
    assert (ranges[0].first, ranges[-1].last) == (0, end)
    assert all(left.last == right.first for left, right in pairwise(ranges))
    assert len(ranges) * most >= rows


@given(PAIRS, st.lists(PAIRS, max_size=3))
def test_followers_meet_what_their_keepers_meet(pairs, files):
    table = np.array(pairs, np.int64).reshape(-1, 2)
    with TemporaryDirectory() as folder:
        uris = tuple(f"{folder}/{number}.arrow" for number in range(len(files)))
        for uri, gone in zip(uris, files, strict=True):
            columns = [pa.array([document for document, _ in gone], pa.int64()),
                       pa.array([keeper for _, keeper in gone], pa.int64())]  # fmt: skip
            write_sorted(uri, pa.RecordBatch.from_arrays(columns, names=["document", "keeper"]), "keeper")
        gone = read_followers(uris, np.unique(table))
    everyone, asked = [row for rows in files for row in rows], {number for pair in pairs for number in pair}
    assert sorted(map(tuple, gone.tolist())) == sorted(
        (keeper, document) for document, keeper in everyone if keeper in asked
    )
    expected = [
        *pairs,
        *((document, right) for left, right in pairs for document, keeper in everyone if keeper == left),
        *((document, left) for left, right in pairs for document, keeper in everyone if keeper == right),
    ]
    assert sorted(map(tuple, with_followers(table, gone).tolist())) == sorted(expected)


def test_a_range_that_ends_with_the_numbers_takes_the_largest(tmp_path):
    numbers = pa.RecordBatch.from_arrays([pa.array([(1 << 64) - 1, 0], pa.uint64())], names=["number"])
    write_sorted(f"{tmp_path}/a.arrow", numbers, "number")
    (rows,) = read_slices([f"{tmp_path}/a.arrow"], "number", Range(1, 1 << 64))
    assert rows.column("number").to_pylist() == [(1 << 64) - 1]
