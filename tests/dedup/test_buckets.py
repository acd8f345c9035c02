"""Pairs from keys against all pairs of documents."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.buckets import Keyed, candidate_pairs, partition_of
from lc_data.dedup.verification import measure_pairs, split_pairs

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60)


def keyed(rows: list[tuple[int, int]]) -> Keyed:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return Keyed(table[:, 0].astype(np.uint64), table[:, 1], 1000 - table[:, 1])


@given(ROWS, st.randoms())
def test_small_buckets_give_every_pair_once_in_any_order_of_rows(rows, rng):
    expected = {
        (left, right)
        for (key, left), (other, right) in combinations(sorted(set(rows), key=lambda row: row[1]), 2)
        if key == other and left != right
    }
    rng.shuffle(rows)
    found = candidate_pairs(keyed(rows), 64)
    assert [tuple(pair) for pair in found.tolist()] == sorted(expected)


def test_a_large_bucket_stays_linear_and_everyone_meets_the_longest():
    size = 2000
    found = candidate_pairs(keyed([(1, number) for number in range(size)]), 64)
    assert len(found) < 17 * size
    assert {right for left, right in found.tolist() if left == 0} == set(range(1, size))


@given(ROWS, st.sampled_from([1, 2, 8]))
def test_partitions_lose_no_pair(rows, partitions):
    spread = keyed(rows)
    spread = Keyed(spread.keys * np.uint64(0x9E3779B97F4A7C15), spread.documents, spread.weight)
    partition = partition_of(spread.keys, partitions)
    assert partition.size == 0 or 0 <= partition.min() <= partition.max() < partitions
    parts = [candidate_pairs(spread.take(partition == number), 64).tolist() for number in range(partitions)]
    assert {tuple(pair) for part in parts for pair in part} == {tuple(p) for p in candidate_pairs(spread, 64).tolist()}


def test_partitions_are_a_power_of_two():
    with pytest.raises(ValueError, match="3 partitions"):
        partition_of(np.zeros(1, np.uint64), 3)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30), st.integers(1, 60))
def test_runs_cover_all_pairs_and_keep_to_the_budget(pairs, budget):
    sizes = np.arange(10) + 1
    table = np.array(pairs, np.int64).reshape(-1, 2)
    runs = list(split_pairs(table, sizes, budget))
    assert [row for run in runs for row in range(run.start, run.stop)] == list(range(len(pairs)))
    for run in runs:
        held = sizes[np.unique(table[run])].sum()
        assert held <= budget or run.stop - run.start == 1


def test_pairs_are_measured_in_their_order():
    sets = {1: np.array([1, 2, 3, 4], np.uint64), 2: np.array([2, 3, 4], np.uint64), 3: np.array([], np.uint64)}
    assert measure_pairs(np.array([[1, 2], [1, 3], [2, 2]]), sets).tolist() == [0.75, 0.0, 1.0]
